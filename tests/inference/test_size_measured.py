"""Diameters that the model measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage.data import immunohistochemistry

from conftest import threshold_model
from napari_unetpp import load_model, predict
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import BlockDone, Rescaled, RunStarted, result_of
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._size_measured import MEASURE, object_size
from napari_unetpp.io import as_image
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("one_thread")

AUTO = PredictionConfig(device="cpu", diameter="auto")


def knowing(model: Model, diameter: float) -> Model:
    return Model(model.network, model.config.model_copy(update={"diameter": diameter}))


def discs(shape: Sequence[int], diameter: float, apart: float) -> np.ndarray:
    """Return bright discs with noise; larger ones have softer edges, as if enlarged."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    off = (y % apart - apart / 2, x % apart - apart / 2)
    edge = np.clip(20 * (np.hypot(*off) / diameter - 0.5), -50, 50)
    noise = np.random.default_rng(0).normal(0, 4, shape)
    return np.clip(20 + 120 / (1 + np.exp(edge)) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("diameter", [44, 11])
def test_the_bundled_model_measures_nuclei(diameter: int) -> None:
    model = load_model("nuclei")
    image = as_image(discs((170, 170), diameter, 1.9 * diameter))
    size = result_of(object_size(image, model, AUTO, ""))
    # It draws outlines where the soft edges begin, a little outside their middle.
    assert diameter <= size.diameter <= 1.1 * diameter
    assert size.n_objects is not None
    assert size.n_objects > 3
    assert f"median of {size.n_objects}" in size.text


def test_a_size_that_runs_away_is_not_told() -> None:
    # Read larger, tissue shows ever smaller pieces, and the network is never surer.
    image = as_image(immunohistochemistry()[:150, :170])
    size = result_of(object_size(image, load_model("nuclei"), AUTO, ""))
    assert size.diameter is None
    assert size.factor == 1
    assert "no steady size" in size.text


def test_it_is_told_before_the_run_begins() -> None:
    model = knowing(threshold_model(), 14.0)
    image = as_image(discs((90, 120), 14, 30))
    events = list(predict_image(image, model, AUTO, "run"))
    kinds = [type(event) for event in events]
    begun = kinds.index(RunStarted)
    assert kinds[begun - 1] is Rescaled
    measuring = events[: begun - 1]
    assert measuring
    assert all(isinstance(event, BlockDone) for event in measuring)
    assert {event.stage for event in measuring} == {MEASURE}
    assert events[begun - 1].size.diameter == pytest.approx(14, rel=0.1)
    assert events[begun].prediction.size == events[begun - 1].size


def test_the_same_is_measured_every_time_and_in_one_window_or_several() -> None:
    model = knowing(threshold_model(), 14.0)
    stack = np.stack([discs((300, 310), 14, 30)] * 3)
    image = as_image(stack, "TYX")
    sizes = {result_of(object_size(image, model, AUTO, "")) for _ in range(2)}
    assert len(sizes) == 1
    assert sizes.pop().diameter == pytest.approx(14, rel=0.1)


def test_an_image_without_objects_is_read_as_it_is() -> None:
    model = knowing(threshold_model(), 14.0)
    pixels = np.zeros((64, 64), np.float32)
    pixels[0, 0] = 1e-3
    model.network.heads["1"].bias.data[1] -= 100
    model.network.heads["2"].bias.data[1] -= 100
    found = predict(pixels, model, device="cpu", diameter="auto")
    assert found.size is not None
    assert found.size.diameter is None
    assert found.read_on is None
    assert "no object was found" in found.size.text
