"""The mean over flips and turns, against turned images one by one; and with tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import zarr

from napari_unetpp import api
from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.config import NetworkConfig, PredictionConfig
from napari_unetpp.errors import JobChangedError
from napari_unetpp.inference import (
    Predictor,
    TileDone,
    TileTooLargeError,
    predict_image,
)
from napari_unetpp.inference._predictor import bytes_per_pixel
from napari_unetpp.inference._turns import turns_of
from napari_unetpp.io import as_image, image_range
from napari_unetpp.nn import Model, probabilities

pytestmark = pytest.mark.usefixtures("one_thread")

ROUNDING = 1e-5
CPU = torch.device("cpu")


def padded(model, pixels, axes, level):
    """The normalised image (C, *S), filled up to the alignment as a run does."""
    config = model.config
    image = canonical(as_image(pixels, axes), len(axes), config.channels, 1)
    intensity = image_range(image, config.intensity)
    x = normalise(np.asarray(image.data), intensity, config.intensity)
    alignment = config.network.alignment(level)
    missing = [(0, -n % a) for n, a in zip(pixels.shape, alignment, strict=True)]
    return np.pad(x, [(0, 0), *missing], mode="edge")


def by_hand(model, pixels, axes, *, level=None, square=True):
    """Heads (H, K, *S): each image is turned by NumPy, and its answer turned back."""
    x = padded(model, pixels, axes, level)
    answers = []
    for quarters in range(4) if square else (0, 2):
        for mirrored in (False, True):
            turned = np.flip(x, -1) if mirrored else x
            turned = np.rot90(turned, quarters, (-2, -1))
            with torch.inference_mode():
                heads = model.network(torch.from_numpy(turned.copy())[None], level)
            p = np.stack([probabilities(head)[0].numpy() for head in heads])
            p = np.rot90(p, -quarters, (-2, -1))
            answers.append(np.flip(p, -1) if mirrored else p)
    return np.mean(answers, axis=0)[(..., *map(slice, pixels.shape))]


@pytest.fixture
def predicted(finish):
    def predict(model, pixels, axes, **changes):
        changes.setdefault("precision", "float32")
        settings = PredictionConfig(device="cpu", tta=True, **changes)
        run = predict_image(as_image(pixels, axes), model, settings, "run")
        return finish(run)[1]

    return predict


@pytest.mark.parametrize(("tile", "shape"), [(32, (83, 70)), (None, (45, 33))])
def test_2d_tiled_equals_whole(predicted, lively_model, noise, shape, tile):
    pixels = noise(*shape)
    expected = by_hand(lively_model, pixels, "YX")
    found = predicted(lively_model, pixels, "YX", tile=tile)
    assert found.head_names == ("head 1", "head 2", "head 3")
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING
    assert np.abs(found.mean.compute() - expected.mean(axis=0)).max() <= ROUNDING
    assert np.ptp(expected) > 0.5


@pytest.mark.parametrize("tile", [16, None])
def test_3d_tiled_equals_whole(predicted, lively_model_3d, noise, tile):
    pixels = noise(6, 21, 30)
    expected = by_hand(lively_model_3d, pixels, "ZYX")
    found = predicted(lively_model_3d, pixels, "ZYX", tile=tile)
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING


@pytest.mark.parametrize("tile", [16, None])
def test_axes_that_are_pooled_differently_are_only_flipped(
    make_model, predicted, noise, tile
):
    model = make_model(widths=(4, 8, 16), strides=((1, 2), (2, 2)))
    pixels = noise(40, 51)
    expected = by_hand(model, pixels, "YX", square=False)
    found = predicted(model, pixels, "YX", tile=tile)
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING


@pytest.mark.parametrize("level", [1, 2])
def test_one_head_of_a_level(predicted, lively_model, noise, level):
    pixels = noise(60, 91)
    expected = by_hand(lively_model, pixels, "YX", level=level)[-1:]
    found = predicted(lively_model, pixels, "YX", level=level, mode="fast", tile=32)
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING


def test_only_the_levels_in_use_count():
    network = NetworkConfig(widths=(4, 8, 16), strides=((2, 2), (1, 2)))
    assert len(turns_of(network)) == 4
    assert len(turns_of(network.model_copy(update={"strides": ((2, 2), (2, 2))}))) == 8
    deep = NetworkConfig(spatial_dims=3, widths=(4, 8, 16), strides=((1, 2, 2),) * 2)
    assert len(turns_of(deep)) == 8


def test_every_turn_is_another_one_and_leads_back():
    x = torch.arange(24).reshape(1, 2, 3, 4)
    turns = turns_of(NetworkConfig())
    seen = {tuple(turn.there(x).flatten().tolist()) for turn in turns}
    assert len(seen) == 8
    assert all(torch.equal(turn.back(turn.there(x)), x) for turn in turns)
    assert torch.equal(turns[0].there(x), x)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_a_part_of_a_turned_image_is_the_turned_part(spatial_dims):
    x = torch.rand(6, 7, 9)[-1 if spatial_dims == 2 else slice(None)]
    box = ((1, 4), (2, 5), (3, 8))[-spatial_dims:]
    part = x[tuple(slice(*span) for span in box)]
    for turn in turns_of(NetworkConfig()):
        there = turn.box(box, tuple(x.shape))
        found = turn.there(x)[tuple(slice(*span) for span in there)]
        assert torch.equal(turn.back(found), part)


def test_it_does_not_matter_how_an_image_lies(predicted, lively_model, noise):
    """Sizes that are multiples of the alignment, so that nothing is padded."""
    pixels = noise(64, 96)
    expected = predicted(lively_model, pixels, "YX").mean.compute()
    turned = predicted(lively_model, np.rot90(pixels), "YX").mean.compute()
    back = np.rot90(turned, -1, (-2, -1))
    assert np.abs(back - expected).max() <= ROUNDING


def test_the_same_bits_for_any_tile(predicted, lively_model, noise):
    pixels = noise(90, 75)
    first, second = (
        predicted(lively_model, pixels, "YX", tile=tile).mean.compute()
        for tile in (32, 64)
    )
    steps = [np.rint(each * 255) for each in (first, second)]
    assert np.mean(steps[0] != steps[1]) < 1e-3


def test_tiles_that_are_cut_for_want_of_memory(
    predicted, lively_model, noise, monkeypatch
):
    forward = Predictor._forward

    def little(self, x, crop):
        if x[0, 0].size > 90 * 90:
            raise torch.OutOfMemoryError("too large")
        return forward(self, x, crop)

    pixels = noise(60, 131)
    expected = predicted(lively_model, pixels, "YX").heads.compute()
    monkeypatch.setattr(Predictor, "_forward", little)
    with pytest.raises(TileTooLargeError):
        Predictor(lively_model, CPU, tta=True).predict_batch(
            np.zeros((1, 1, 96, 96), np.float32)
        )
    found = predicted(lively_model, pixels, "YX", tile=64).heads.compute()
    assert np.abs(found - expected).max() <= ROUNDING


def test_turning_takes_a_little_more_memory():
    network = NetworkConfig(out_channels=3)
    more = bytes_per_pixel(network, tta=True) - bytes_per_pixel(network)
    assert 0 < more < 0.2 * bytes_per_pixel(network)


# --- temperatures ---


def with_temperatures(model, *temperatures):
    config = model.config.model_copy(update={"temperatures": temperatures})
    return Model(model.network, config)


def test_a_temperature_of_one_changes_no_bit(lively_model, noise):
    x = noise(1, 1, 48, 64).astype(np.float32) / 4000
    plain = Predictor(lively_model, CPU).predict_batch(x)
    ones = Predictor(with_temperatures(lively_model, 1, 1.0, 1), CPU).predict_batch(x)
    np.testing.assert_array_equal(plain, ones)


def test_logits_are_divided_by_the_temperature_of_their_head(lively_model, noise):
    x = noise(1, 1, 48, 64).astype(np.float32) / 4000
    model = with_temperatures(lively_model, 0.5, 2.0, 3.0)
    with torch.inference_mode():
        heads = lively_model.network(torch.from_numpy(x))
    expected = [
        probabilities(head / t)[0].numpy()
        for head, t in zip(heads, (0.5, 2, 3), strict=True)
    ]
    every = Predictor(model, CPU).predict_batch(x)[0]
    assert np.abs(every - np.stack(expected)).max() <= ROUNDING
    for level in (1, 2, 3):
        for used in (model, model.prune(level)):
            fast = Predictor(used, CPU, level, "fast").predict_batch(x)[0, 0]
            assert np.abs(fast - expected[level - 1]).max() <= ROUNDING
    assert model.prune(2).config.temperatures == (0.5, 2.0)
    assert model.prune(2).temperatures == (0.5, 2.0)
    assert lively_model.prune(2).config.temperatures == ()


def test_a_unet_has_one_temperature(make_model, noise):
    x = noise(1, 1, 48, 64).astype(np.float32) / 4000
    unet = make_model(widths=(4, 8, 16), architecture="unet")
    with torch.inference_mode():
        (head,) = unet.network(torch.from_numpy(x))
    found = Predictor(with_temperatures(unet, 2.5), CPU).predict_batch(x)[0, 0]
    assert np.abs(found - probabilities(head / 2.5)[0].numpy()).max() <= ROUNDING


# --- in a job ---


def test_a_job_keeps_to_its_turns(make_busy_model, noise, finish, tmp_path, arrays_of):
    model = make_busy_model(widths=(4, 8, 16))
    path = tmp_path / "cells.zarr"
    array = zarr.create_array(path, shape=(70, 60), dtype="uint16", chunks=(35, 60))
    array[:] = noise(70, 60)

    def begin(tta):
        settings = PredictionConfig(device="cpu", tile=32, tta=tta)
        return api.segmenting_to(
            path, tmp_path / "out", model, settings, form="zarr", axes="YX"
        )

    run = begin(True)
    before = [event for event, _ in zip(run, range(3), strict=False)]
    run.close()
    assert isinstance(before[-1], TileDone)
    with pytest.raises(JobChangedError, match="tta was True, is False"):
        list(begin(False))
    events, saved = finish(begin(True))
    assert saved.n_resumed == events[0].n_done > 0
    there = arrays_of(saved.outputs["labels"])
    found = api.segment(noise(70, 60), model, axes="YX", device="cpu", tta=True)
    np.testing.assert_array_equal(there["labels/labels/0"], found.labels)
    plain = api.segment(noise(70, 60), model, axes="YX", device="cpu")
    means = [np.asarray(each.prediction.mean) for each in (found, plain)]
    assert not np.array_equal(*means)
    assert list(begin(True))[-1].result.up_to_date
