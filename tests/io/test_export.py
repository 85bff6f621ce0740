"""Models as programs for others: the same answer, for any size."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import napari_unetpp
from conftest import instance_config, random_model
from napari_unetpp.arrays import intensity_range, normalise
from napari_unetpp.config import ModelConfig, NetworkConfig
from napari_unetpp.errors import OutputError, OutputExistsError, SettingsError
from napari_unetpp.io import check_export, export_program
from napari_unetpp.io._export import (
    TOLERANCE,
    compare,
    exported_network,
    output_names,
    random_pixels,
    reader_of,
)
from napari_unetpp.nn import probabilities

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unetpp.nn import Model

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {
    "2-D": {},
    "3-D, thick planes": {"spatial_dims": 3, "strides": ((1, 2, 2), (2, 2, 2))},
    "linear": {"upsampling": "linear"},
    "nearest, no norm": {"upsampling": "nearest", "norm": "none"},
    "U-Net": {"architecture": "unet"},
    "one class": {"out_channels": 1},
}


def classes(**shape: object) -> Model:
    """Return a model of a network of any shape, each head with its own temperature."""
    network = NetworkConfig(**{"widths": (4, 8, 16), "out_channels": 3, **shape})
    n = network.out_channels
    shares = ((1.0,), (0.25, 0.75)) if network.n_heads > 1 else ()
    config = ModelConfig(
        name="any",
        network=network,
        task="classes",
        class_names=tuple(f"class {i}" for i in range(n)),
        class_values=tuple(range(n)),
        temperatures=(0.8, 1.5)[: network.n_heads],
        head_weights=shares,
    )
    model = random_model(config)
    for module in model.network.modules():  # norms that do something
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_exported_network_answers_as_the_one_that_was_trained(shape) -> None:
    model = classes(**shape)
    pixels = random_pixels(model, 2)
    with torch.no_grad():
        mean, *heads = exported_network(model)(pixels)
        logits = model.network(pixels)
    wanted = [
        probabilities(each / t)
        for each, t in zip(logits, model.temperatures, strict=True)
    ]
    shares = model.head_weights(model.config.network.depth)
    right = sum(share * head for share, head in zip(shares, wanted, strict=True))
    assert (mean - right).abs().max() < 1e-6
    assert len(heads) == (len(shares) if len(shares) > 1 else 0)
    for head, each in zip(heads, wanted, strict=bool(heads)):
        assert (head - each).abs().max() < 1e-6


def test_the_exported_mean_is_that_of_a_prediction() -> None:
    model = random_model(instance_config())
    image = np.random.default_rng(0).random((64, 96)).astype(np.float32)
    found = napari_unetpp.predict(image, model, device="cpu", precision="float32")
    ready = normalise(
        image[None],
        intensity_range(image.reshape(1, -1), model.config.intensity),
        model.config.intensity,
    )
    with torch.no_grad():
        mean = exported_network(model)(torch.from_numpy(ready)[None])[0]
    assert np.abs(mean[0].numpy() - np.asarray(found.mean)).max() < 1e-5


@pytest.mark.parametrize(
    ("form", "suffix"), [("torchscript", ".pt"), ("torch-export", ".pt2")]
)
def test_programs_of_torch_answer_as_the_network(form, suffix, tmp_path: Path) -> None:
    model = classes()
    done = export_program(model, tmp_path / f"m{suffix}", form)
    assert done.difference == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"m{suffix}"]
    run = reader_of(done.path, form)
    for factor in (2, 4, 5):
        found = run(random_pixels(model, factor))
        with torch.no_grad():
            wanted = exported_network(model)(random_pixels(model, factor))
        assert len(found) == len(output_names(model)) == 3
        for a, b in zip(found, wanted, strict=True):
            assert np.abs(a - b.numpy()).max() < TOLERANCE


@pytest.mark.skipif(
    any(importlib.util.find_spec(n) is None for n in ("onnxscript", "onnxruntime")),
    reason="the extra onnx is not installed",
)
def test_onnx_answers_as_the_network(tmp_path: Path) -> None:
    import onnxruntime

    model = classes()
    done = export_program(model, tmp_path / "m.onnx", "onnx")
    assert done.difference is not None
    assert done.difference < TOLERANCE
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    assert [each.name for each in session.get_outputs()] == ["mean", "head_1", "head_2"]
    held = session.get_modelmeta().custom_metadata_map["napari_unetpp"]
    assert ModelConfig.model_validate(json.loads(held)) == model.config
    difference = compare(exported_network(model), model, reader_of(done.path, "onnx"))
    assert difference == done.difference


def test_torchscript_says_what_it_is(tmp_path: Path) -> None:
    model = classes()
    path = export_program(model, tmp_path / "m.pt", "torchscript").path
    with zipfile.ZipFile(path) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("napari_unetpp.json")]
        assert ModelConfig.model_validate_json(archive.read(name)) == model.config


def test_wrong_names_and_existing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ends in \.onnx; write to m\.onnx"):
        check_export(tmp_path / "m.pt", "onnx", overwrite=False)
    (tmp_path / "m.pt").touch()
    with pytest.raises(OutputExistsError, match="not overwritten"):
        check_export(tmp_path / "m.pt", "torchscript", overwrite=False)
    assert check_export(tmp_path / "m.pt", "torchscript", overwrite=True)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("napari_unetpp.io._export.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"needs onnx and onnxscript.*\[onnx\]"):
        check_export(tmp_path / "m.onnx", "onnx", overwrite=False)
    assert reader_of(tmp_path / "m.onnx", "onnx") is None


def test_objects_have_their_classes_in_order() -> None:
    model = random_model(instance_config())
    with torch.no_grad():
        mean = exported_network(model)(random_pixels(model, 2))[0]
    assert mean.shape[1] == len(model.config.class_names)
    assert torch.allclose(mean.sum(1), torch.ones(()), atol=1e-5)
