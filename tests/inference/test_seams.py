"""Whether a check for seams finds none where there are none, and finds one."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import SeamCheck, check_seams, result_of
from napari_unetpp.inference._sample_region import cut_out, sample_region
from napari_unetpp.io import as_image
from napari_unetpp.nn import UNetPlusPlus

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = PredictionConfig(device="cpu")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)


def check(data, model, axes, settings=CPU, **where) -> SeamCheck:
    return result_of(check_seams(as_image(data, axes), model, settings, "run", **where))


def test_there_are_none(small_model):
    found = check(noise(300, 400), small_model, "YX")
    assert found.passed
    assert found.largest <= 1e-5
    assert found.n_borders == (2 + 2) + (1 + 1)
    assert found.box == ((0, 300), (0, 400))
    assert found.tiles == ((144, 144), (224, 224))
    assert "No seam" in found.text


def test_there_are_none_in_a_stack(small_model_3d):
    found = check(noise(16, 32, 48), small_model_3d, "ZYX")
    assert found.passed
    assert found.n_borders > 0


def test_a_network_that_sees_farther_than_its_halo_is_caught(small_model, monkeypatch):
    monkeypatch.setattr(UNetPlusPlus, "receptive_field", lambda *_: (0, 0))
    tiles = CPU.model_copy(update={"tta": True})  # turned tiles are no stream
    found = check(noise(200, 260), small_model, "YX", tiles)
    assert not found.passed
    assert found.largest > 1e-3
    edges = {edge for core in found.tiles for edge in core}
    distance = min(abs(at % edge - edge) for at in found.place for edge in edges)
    nearest = min(distance, *(at % edge for at in found.place for edge in edges))
    assert nearest <= 32  # it is found beside a border
    assert "Tiles show" in found.text


def test_an_image_of_one_tile_has_no_borders(small_model):
    found = check(noise(100, 120), small_model, "YX")
    assert found.passed
    assert found.n_borders == 0
    assert "can be no seam" in found.text


def test_it_is_done_where_somebody_looks(small_model):
    data = noise(3, 600, 800)
    region = ((100, 150), (0, 800))
    found = check(data, small_model, "TYX", region=region, loop=(1,))
    assert found.box == ((100, 150), (80, 720))
    assert found.place[0] == 1


def test_a_piece_keeps_axes_and_channels():
    from napari_unetpp.arrays import canonical

    data = noise(5, 3, 40, 60)
    whole = canonical(as_image(data, "TCYX"), 2, "as_is", 3)
    box = sample_region(whole, (16, 100))
    assert box == ((12, 28), (0, 60))
    part = cut_out(whole, box)
    assert part.axes == "TCYX"
    assert np.array_equal(np.asarray(part.data), data[2:3, :, 12:28])
