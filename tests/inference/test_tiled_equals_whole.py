"""Tiles give what one forward pass over the whole image gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.config import InstanceConfig, PredictionConfig
from napari_unetpp.inference import label, predict_image
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._reading import TileReader
from napari_unetpp.inference._run import predict_tiles
from napari_unetpp.inference._scratch import Stores
from napari_unetpp.io import as_image, image_range
from napari_unetpp.nn._losses import probabilities

ROUNDING = 1e-5


def settings(**changes):
    return PredictionConfig(device="cpu", precision="float32", **changes)


def whole(model, pixels, axes, level=None):
    """All heads (H, K, *spatial) of the padded image in one forward pass."""
    config = model.config
    image = canonical(as_image(pixels, axes), len(axes), config.channels, 1)
    intensity = image_range(image, config.intensity)
    x = normalise(np.asarray(image.data), intensity, config.intensity)
    alignment = config.network.alignment(level)
    missing = [(0, -n % a) for n, a in zip(pixels.shape, alignment, strict=True)]
    x = np.pad(x, [(0, 0), *missing], mode="edge")
    with torch.inference_mode():
        heads = model.network(torch.from_numpy(x)[None], level)
        heads = [probabilities(head)[0].numpy() for head in heads]
    return np.stack(heads)[(..., *map(slice, pixels.shape))]


@pytest.fixture
def tiled(finish):
    """Return a function that predicts and returns the prediction."""

    def predict(model, pixels, axes, **changes):
        run = predict_image(as_image(pixels, axes), model, settings(**changes), "run")
        return finish(run)[1]

    return predict


@pytest.mark.parametrize("tile", [64, 200, 4096, None])
@pytest.mark.parametrize("shape", [(203, 310), (64, 64), (257, 65)])
def test_2d_tiled_equals_whole(tiled, lively_model, noise, shape, tile):
    pixels = noise(*shape)
    expected = whole(lively_model, pixels, "YX")
    found = tiled(lively_model, pixels, "YX", tile=tile)
    assert found.head_names == ("head 1", "head 2", "head 3")
    assert np.ptp(expected) > 0.8  # the network does say something
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING
    assert np.abs(found.mean.compute() - expected.mean(axis=0)).max() <= ROUNDING


@pytest.mark.parametrize("tile", [16, 24, 64, None])
@pytest.mark.parametrize("shape", [(13, 61, 45), (24, 40, 32)])
def test_3d_tiled_equals_whole(tiled, lively_model_3d, noise, shape, tile):
    pixels = noise(*shape)
    expected = whole(lively_model_3d, pixels, "ZYX")
    found = tiled(lively_model_3d, pixels, "ZYX", tile=tile)
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING


@pytest.mark.parametrize("shape", [(1, 2), (1, 300), (5, 3), (17, 130)])
def test_images_smaller_than_the_alignment(tiled, lively_model, shape):
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected = whole(lively_model, pixels, "YX")
    found = tiled(lively_model, pixels, "YX", tile=64)
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING


@pytest.mark.parametrize("level", [1, 2, 3])
def test_each_level_has_its_own_halo_and_alignment(finish, lively_model, noise, level):
    pixels = noise(150, 131)
    expected = whole(lively_model, pixels, "YX", level)
    events, found = finish(
        predict_image(
            as_image(pixels, "YX"), lively_model, settings(level=level, tile=32), "run"
        )
    )
    radius = lively_model.network.receptive_field(level)[0]
    halo, alignment = events[0].halo[0], 2**level
    assert radius <= halo < radius + alignment
    assert halo % alignment == 0
    assert events[0].level == level
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING


@pytest.mark.parametrize("level", [1, 2, 3])
def test_fast_mode_is_one_head(tiled, lively_model, noise, level):
    pixels = noise(90, 131)
    expected = whole(lively_model, pixels, "YX", level)[-1:]
    found = tiled(lively_model, pixels, "YX", level=level, tile=64, mode="fast")
    assert found.head_names == (f"head {level}",)
    assert found.uncertainty.shape == (90, 131)
    assert np.abs(found.heads.compute() - expected).max() <= ROUNDING
    assert np.array_equal(found.mean.compute(), found.heads.compute()[0])


@pytest.mark.parametrize("upsampling", ["linear", "nearest"])
def test_every_kind_of_upsampling(make_model, tiled, noise, upsampling):
    model = make_model(widths=(4, 8, 16), upsampling=upsampling)
    pixels = noise(100, 111)
    found = tiled(model, pixels, "YX", tile=32)
    assert np.abs(found.heads.compute() - whole(model, pixels, "YX")).max() <= ROUNDING


def test_unet_has_one_head(make_model, tiled, noise):
    model = make_model(widths=(4, 8, 16), architecture="unet")
    pixels = noise(100, 111)
    found = tiled(model, pixels, "YX", tile=32)
    assert found.head_names == ("head 2",)
    assert np.abs(found.heads.compute() - whole(model, pixels, "YX")).max() <= ROUNDING


def test_batches_do_not_change_the_result(tiled, lively_model, noise):
    pixels = noise(3, 150, 131)
    one = tiled(lively_model, pixels, "TYX", tile=64)
    four = tiled(lively_model, pixels, "TYX", tile=64, batch=4)
    assert np.abs(one.heads.compute() - four.heads.compute()).max() <= ROUNDING


def test_loop_axes_are_predicted_on_their_own(tiled, lively_model, noise):
    pixels = noise(2, 3, 70, 81)
    found = tiled(lively_model, pixels, "TZYX", tile=64)
    assert found.axes == "TZYX"
    assert found.heads.shape == (3, 3, 2, 3, 70, 81)
    alone = tiled(lively_model, pixels[1:, 2:], "TZYX")
    # The intensities of the whole image count, so the plane alone differs a little.
    assert np.corrcoef(
        found.mean.compute()[:, 1, 2].ravel(), alone.mean.compute().ravel()
    )[0, 1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("tile", [64, 128, None])
def test_same_labels_for_any_tile(finish, tiled, lively_model, noise, tile):
    pixels = noise(190, 170)
    expected = tiled(lively_model, pixels, "YX", tile=96)
    found = tiled(lively_model, pixels, "YX", tile=tile)
    background, interior, _ = expected.mean.compute()
    thresholds = InstanceConfig(
        foreground_threshold=float(np.quantile(1 - background, 0.6)),
        seed_threshold=float(np.quantile(interior, 0.9)),
        min_size=4,
    )
    config = lively_model.config.model_copy(update={"instances": thresholds})
    _, a = finish(label(expected, config, "run"))
    _, b = finish(label(found, config, "run"))
    assert a.n_objects > 20
    assert np.array_equal(a.labels, b.labels)


@pytest.mark.parametrize(
    "region", [((50, 113), (100, 222)), ((0, 10), (300, 310)), ((1, 203), (7, 8))]
)
def test_a_view_equals_that_part_of_the_whole(
    finish, tiled, lively_model, noise, region
):
    pixels = noise(2, 203, 310)
    expected = tiled(lively_model, pixels, "TYX")
    image = replace(
        as_image(pixels, "TYX"), scale=(2.0, 0.5, 0.25), translate=(1.0, 10.0, 0.0)
    )
    run = predict_image(
        image, lively_model, settings(tile=64), "run", region=region, loop=(1,)
    )
    events, found = finish(run)
    (y0, y1), (x0, x1) = region
    part = expected.heads.compute()[:, :, 1:, y0:y1, x0:x1]
    assert found.shape == part.shape[2:]
    assert np.abs(found.heads.compute() - part).max() <= ROUNDING
    assert found.translate == (1.0 + 2.0, 10.0 + 0.5 * y0, 0.25 * x0)
    assert len(events) - 1 < 24  # not all tiles of the image
    for event in events[1:]:  # every part that is told of lies in the result
        assert all(
            0 <= a < b <= size
            for (a, b), size in zip(event.box, found.shape, strict=True)
        )


def test_a_misaligned_tile_fails(lively_model, noise):
    """The negative test: what the equality rests on is the alignment."""
    pixels = noise(203, 310)
    image = as_image(pixels, "YX")
    plan = make_plan(image, lively_model, settings(tile=64))
    expected = whole(lively_model, pixels, "YX")
    middle = plan.grid[plan.grid.n_blocks[1] * 1 + 2]
    errors = []
    for shift in (0, 1, 4, 8):
        outer = tuple((a + shift, b + shift) for a, b in middle.outer)
        tile = replace(middle, outer=outer)
        heads = plan.predictor.predict_batch(TileReader(plan).pixels(tile)[None])[0]
        crop = tuple(slice(a - shift, b - shift) for a, b in middle.crop)
        core = tuple(slice(*span) for span in middle.core)
        found = heads[(..., *crop)]
        errors.append(np.abs(found - expected[(..., *core)]).max())
    assert errors[0] <= ROUNDING
    assert errors[1] > 100 * ROUNDING
    assert errors[2] > 100 * ROUNDING
    # A whole multiple of the alignment is on the grid, but one side's halo is short.
    assert errors[3] < errors[1]


def test_a_halo_that_is_too_small_fails(finish, lively_model, noise):
    pixels = noise(203, 310)
    plan = make_plan(as_image(pixels, "YX"), lively_model, settings(tile=64))
    small = replace(plan.grid, halo=(8, 8))
    short = replace(plan, grid=small, tiles=range(len(small)), streams=False)
    stores = Stores(
        (203, 310),
        small.core,
        plan.predictor.head_names,
        lively_model.config.class_names,
        keep_heads=True,
        folder=None,
    )
    finish(predict_tiles(short, stores, "run"))
    error = np.abs(stores.heads.heads().compute() - whole(lively_model, pixels, "YX"))
    assert error.max() > 100 * ROUNDING
