"""Whole runs that stop early: as any run, and told how deep they went."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetpp.arrays import Image
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference import TileDone, result_of
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._predictor import Predictor


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def sure(make_model):
    """A model that is sure of empty ground, and an image with something in it."""
    model = make_model(widths=(4, 6, 8))
    pixels = np.zeros((90, 70), np.float32)
    pixels[40:52, 30:44] = np.random.default_rng(0).uniform(0.1, 1, (12, 14))
    network = model.network.eval()
    seen = np.pad(pixels, ((0, 2), (0, 2)))[None, None]
    with torch.no_grad():
        logits = network(torch.from_numpy(seen))
        for head, found in zip(network.heads.values(), logits, strict=True):
            flat = found[0].flatten(1)
            gain = 4 / flat.std(1)
            head.weight.mul_(gain.view(-1, 1, 1, 1))
            head.bias.sub_(flat.median(1).values).mul_(gain)
            head.bias[0] += 7
    return model, Image(pixels, "YX", (1.0, 1.0), ("pixel", "pixel"))


def _predicted(sure, **settings):
    model, image = sure
    config = PredictionConfig(device="cpu", precision="float32", **settings)
    return result_of(predict_image(image, model, config, "run"))


def test_a_tolerance_of_0_is_the_usual_run(sure):
    usual, early = _predicted(sure), _predicted(sure, adaptive=0)
    np.testing.assert_allclose(early.heads, usual.heads, rtol=0, atol=1e-6)
    assert usual.depth is None
    assert (np.asarray(early.depth) == 2).all()


@pytest.mark.parametrize("mode", ["accurate", "fast"])
def test_level_1_has_nothing_to_stop(sure, mode):
    usual, early = (
        _predicted(sure, mode=mode, level=1, adaptive=tolerance)
        for tolerance in (None, 0.1)
    )
    np.testing.assert_allclose(early.heads, usual.heads, rtol=0, atol=1e-6)
    assert (np.asarray(early.depth) == 1).all()


@pytest.mark.parametrize("mode", ["accurate", "fast"])
def test_the_result_does_not_depend_on_tiles(sure, mode):
    large = _predicted(sure, adaptive=0.02, mode=mode)
    small = _predicted(sure, adaptive=0.02, mode=mode, tile=32)
    np.testing.assert_allclose(small.heads, large.heads, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(small.depth, large.depth)
    assert set(np.unique(large.depth)) == {1, 2}


def test_a_view_is_a_part_of_the_whole(sure):
    model, image = sure
    config = PredictionConfig(device="cpu", precision="float32", adaptive=0.02)
    whole = result_of(predict_image(image, model, config, "run"))
    box = ((32, 60), (20, 50))
    run = predict_image(image, model, config, "run", region=box)
    part = result_of(run)
    cut = np.asarray(whole.mean)[:, 32:60, 20:50]
    np.testing.assert_allclose(part.mean, cut, rtol=0, atol=1e-6)


def test_events_tell_how_much_was_computed(sure):
    model, image = sure
    image = replace(image, data=np.pad(image.data, ((0, 400), (0, 400))))
    shares = {}
    for tolerance in (None, 0.0, 0.02):
        config = PredictionConfig(device="cpu", adaptive=tolerance)
        *_, last = [
            event
            for event in predict_image(image, model, config, "run")
            if isinstance(event, TileDone)
        ]
        shares[tolerance] = last.network_share
    assert shares[None] == 1
    assert 0 < shares[0.02] < 1 <= shares[0.0]


def test_what_cannot_stop_early_is_refused(sure, make_model):
    model, _ = sure
    with pytest.raises(SettingsError, match=r"adaptive=0\.1: with tta.*leave adaptive"):
        Predictor(model, torch.device("cpu"), tta=True, adaptive=0.1)
    flat = make_model(architecture="unet", widths=(4, 6, 8))
    with pytest.raises(SettingsError, match=r"adaptive=0\.1: this model has one head"):
        Predictor(flat, torch.device("cpu"), adaptive=0.1)


def test_a_tolerance_is_a_probability():
    with pytest.raises(ValueError, match="less than 1"):
        PredictionConfig(adaptive=1.0)
