"""In which precision a network predicts, and what it changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_unetpp.config import (
    NetworkConfig,
    OutputConfig,
    PredictionConfig,
    WorkersConfig,
)
from napari_unetpp.inference import Predictor
from napari_unetpp.inference._fingerprint import differences, fingerprint_parts
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._precision import (
    has_bfloat16,
    resolve_precision,
    why_precision,
)
from napari_unetpp.inference._preflight import preflight
from napari_unetpp.inference._request import JobRequest
from napari_unetpp.io import as_image

CPU = torch.device("cpu")


@pytest.fixture
def processor(monkeypatch):
    """Return a function that says what the processor can."""

    def can(**found):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)

    return can


def test_auto_is_bfloat16_where_the_processor_has_it(processor):
    network = NetworkConfig()
    processor(avx512_bf16=True)
    assert resolve_precision("auto", CPU, network) == "bfloat16"
    assert "computes with" in why_precision("auto", CPU)
    processor(amx_bf16=True, avx512_bf16=False)
    assert has_bfloat16(CPU)
    processor(avx2=True)
    assert resolve_precision("auto", CPU, network) == "float32"
    assert why_precision("auto", CPU) == "float32: this processor has no bfloat16"


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_what_is_asked_for_is_used(processor, wanted):
    processor(avx512_bf16=wanted == "float32")
    assert resolve_precision(wanted, CPU, NetworkConfig()) == wanted
    assert why_precision(wanted, CPU) == f"{wanted}, as asked for"


def test_bfloat16_changes_few_labels(lively_model):
    x = np.random.default_rng(0).random((1, 1, 96, 96), np.float32)
    exact, fast = (
        Predictor(lively_model, CPU, precision=each).predict_batch(x)
        for each in ("float32", "bfloat16")
    )
    difference = np.abs(exact - fast)
    assert 0 < difference.max() < 0.1
    changed = exact.mean(axis=1).argmax(axis=1) != fast.mean(axis=1).argmax(axis=1)
    assert changed.mean() < 0.01
    sure = np.sort(exact.mean(axis=1), axis=1)[:, -1] > 0.6
    assert not (changed & sure).any()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_plan_says_what_is_used(lively_model, processor, precision):
    processor(avx512_bf16=precision == "bfloat16")
    image = as_image(np.zeros((64, 64), np.float32) + np.eye(64), "YX")
    plan = make_plan(image, lively_model, PredictionConfig(device="cpu"))
    assert plan.settings.precision == plan.predictor.precision == precision


def test_what_it_changes_is_told_of_a_piece_of_the_image(lively_model, finish):
    pixels = np.random.default_rng(1).random((70, 90)).astype(np.float32)
    settings = PredictionConfig(device="cpu", precision="bfloat16")
    image = as_image(pixels, "YX")
    told = finish(preflight(image, lively_model, settings, "run"))[1]
    assert told.precision == "bfloat16"
    assert 0 <= told.changed < 0.02
    assert any("another class than in float32" in line for line in told.lines)
    exact = settings.model_copy(update={"precision": "float32"})
    told = finish(preflight(image, lively_model, exact, "run"))[1]
    assert told.changed is None


def test_another_precision_is_another_job(lively_model, tmp_path):
    pixels = np.random.default_rng(1).random((70, 90))

    def parts(precision):
        settings = PredictionConfig(device="cpu", precision=precision)
        request = JobRequest(
            source=pixels,
            image=as_image(pixels, "YX"),
            axes="YX",
            channel=None,
            model=lively_model,
            settings=settings,
            folder=tmp_path,
            stem="image",
            outputs=OutputConfig(),
            mask=None,
            overwrite=False,
            workers=WorkersConfig(),
        )
        return fingerprint_parts(request)

    assert differences(parts("float32"), parts("bfloat16")) == [
        "precision was float32, is bfloat16"
    ]
