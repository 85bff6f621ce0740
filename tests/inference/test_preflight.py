"""What is told before a run is what the run then takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import (
    RunStarted,
    TileDone,
    predict_image,
    preflight,
    result_of,
    run_job,
)
from napari_unetpp.io import as_image

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = PredictionConfig(device="cpu")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


def told(data, model, axes, settings=CPU, **options):
    image = as_image(data, axes)
    return result_of(preflight(image, model, settings, "run", **options))


@pytest.mark.parametrize("changes", [{}, {"tile": 64}, {"memory": "900 MB"}])
def test_it_is_what_the_job_then_says(small_model, tmp_path, changes):
    from napari_unetpp import api
    from napari_unetpp.config import OutputConfig, WorkersConfig

    settings = PredictionConfig(device="cpu", **changes)
    data = noise(2, 300, 260)
    found = told(data, small_model, "TYX", settings, timed=False)
    request = api.job_request(
        data,
        tmp_path,
        small_model,
        settings,
        OutputConfig(),
        WorkersConfig(),
        axes="TYX",
    )
    run = run_job(request, "run")
    started = next(event for event in run if isinstance(event, RunStarted))
    run.close()
    assert (found.core, found.n_tiles) == (started.core, started.n_tiles)
    assert found.memory == started.memory
    assert found.device == started.device
    assert found.n_pixels == data.size


def test_what_is_computed_is_what_the_network_then_computes(small_model):
    settings = CPU.model_copy(update={"tile": 64, "tta": True})
    image = as_image(noise(256, 200), "YX")
    found = result_of(preflight(image, small_model, settings, "run", timed=False))
    run = predict_image(image, small_model, settings, "run")
    last = [event for event in run if isinstance(event, TileDone)][-1]
    padded = last.network_pixels / image.data.size
    assert found.computed == pytest.approx(8 * padded)  # turned tiles count once


def test_the_time_is_that_of_a_piece(small_model):
    found = told(noise(300, 260), small_model, "YX")
    assert 0 < found.seconds < 60


def test_lines_say_device_memory_tiles_and_build(small_model):
    found = told(noise(100, 90), small_model, "YX", timed=False)
    text = "\n".join(found.lines)
    assert torch.__version__ in text
    assert "GiB free" in text
    assert "1 tile of" in text
    assert "about" not in text  # it was not timed
    assert found.fits


def test_a_diameter_changes_the_tiles(small_model):
    config = small_model.config.model_copy(update={"diameter": 10.0})
    model = type(small_model)(small_model.network, config)
    settings = CPU.model_copy(update={"diameter": 20.0, "tile": 64})
    found = told(noise(256, 256), model, "YX", settings)
    assert found.n_tiles == 4  # of 128 x 128 pixels, half as many along each axis
    assert found.computed < 1
    assert found.seconds > 0
