"""Runs whose rows flow from tile to tile: the same result, and no row twice."""

from __future__ import annotations

import math
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest

from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import ImageError
from napari_unetpp.inference import TileDone, predict_image
from napari_unetpp.inference._encoded import EncodedTile, placed
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._run import predict_tiles
from napari_unetpp.inference._scratch import Stores
from napari_unetpp.io import as_image
from napari_unetpp.tiling import Focus

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = PredictionConfig(device="cpu", precision="float32")
ROUGH = PredictionConfig(device="cpu", precision="bfloat16")


@pytest.fixture(scope="module")
def small(make_model):
    """A model of two levels: halos of 24 and 28 pixels."""
    return make_model(widths=(4, 8, 16))


@pytest.fixture
def predicted(finish):
    """Return a function that predicts: its plan, the tiles told of, and all heads."""

    def run(model, pixels, axes="YX", *, streams=True, tiles=None, **how):
        image = as_image(pixels, axes)
        plan = make_plan(image, model, how.pop("settings", CPU), **how)
        assert plan.streams
        plan = replace(plan, streams=streams)
        if tiles is not None:
            plan = replace(plan, tiles=tiles)
        stores = Stores(
            plan.shape,
            plan.grid.core,
            plan.predictor.head_names,
            model.config.class_names,
            keep_heads=True,
            folder=None,
            background=0,
        )
        events, _ = finish(predict_tiles(plan, stores, "run"))
        plan.close()
        done = [event for event in events if isinstance(event, TileDone)]
        return plan, done, stores.heads.heads().compute()

    return run


def rows_through(grid, tiles):
    """How many pixels go through a network for tiles that are done strip by strip."""
    n_strips, total, before = math.prod(grid.n_blocks[1:]), 0, None
    for index in sorted(
        tiles, key=lambda i: (i // grid.tiles_a_plane, i % n_strips, i)
    ):
        outer = grid[index].outer
        first = outer[0][0]
        same = before is not None and before[0] == index - n_strips
        if same and index % grid.tiles_a_plane >= n_strips:
            first = before[1]
        inner = math.prod(stop - start for start, stop in outer[1:])
        total += (outer[0][1] - first) * inner
        before = index, outer[0][1]
    return total


@pytest.mark.parametrize(
    ("shape", "axes"), [((700, 90), "YX"), ((2, 150, 131), "TYX"), ((40, 50), "YX")]
)
def test_no_pixel_is_computed_twice(predicted, small, noise, shape, axes):
    plan, done, _ = predicted(small, noise(*shape), axes)
    assert plan.grid.core[1] >= shape[-1]  # all of the width
    padded = math.prod(plan.grid.padded_shape) * plan.grid.n_planes
    assert done[-1].network_pixels == padded
    assert padded <= 1.1 * math.prod(shape)  # here the alignment is 4


def test_no_voxel_is_computed_twice(predicted, lively_model_3d, noise):
    plan, done, _ = predicted(lively_model_3d, noise(70, 30, 45), "ZYX")
    assert len(plan.grid) > 1
    assert done[-1].network_pixels == math.prod(plan.grid.padded_shape)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [((203, 150), CPU), ((203, 150), ROUGH), ((64, 33), CPU), ((5, 130), ROUGH)],
)
def test_the_same_bits_for_any_tile(predicted, small, noise, shape, settings):
    pixels = noise(*shape)
    plan, _, expected = predicted(small, pixels, settings=settings)
    assert np.ptp(expected) > 0.8  # the network does say something
    alignment = plan.grid.alignment
    for core in ((64, 32), (4, 400), (128, 16), (400, 400)):
        plan, done, found = predicted(small, pixels, core=core, settings=settings)
        assert np.array_equal(found, expected)
        assert done[-1].network_pixels == rows_through(plan.grid, range(len(plan.grid)))
        assert all(n % a == 0 for n, a in zip(core, alignment, strict=True))


@pytest.mark.parametrize("core", [(2, 16, 48), (8, 64, 16), (64, 20, 20)])
def test_the_same_bits_for_any_tile_of_a_stack(predicted, lively_model_3d, noise, core):
    pixels = noise(13, 45, 61)
    _, _, expected = predicted(lively_model_3d, pixels, "ZYX")
    _, _, found = predicted(lively_model_3d, pixels, "ZYX", core=core)
    assert np.array_equal(found, expected)


def test_streams_give_what_tiles_give(predicted, small, lively_model_3d, noise):
    for model, shape, axes, core, settings in (
        (small, (2, 150, 131), "TYX", (32, 64), CPU),
        (small, (150, 131), "YX", (32, 64), ROUGH),
        (lively_model_3d, (13, 45, 61), "ZYX", (4, 16, 32), CPU),
    ):
        pixels, how = noise(*shape), {"core": core, "settings": settings}
        _, streamed, found = predicted(model, pixels, axes, **how)
        _, alone, expected = predicted(model, pixels, axes, streams=False, **how)
        assert np.array_equal(found, expected)
        assert streamed[-1].network_pixels < 0.7 * alone[-1].network_pixels


def test_what_is_pending_is_done_in_pieces(predicted, small, noise):
    pixels, rng = noise(2, 203, 110), np.random.default_rng(2)
    plan, _, whole = predicted(small, pixels, "TYX", core=(16, 64))
    for share in (0.1, 0.7):
        tiles = np.flatnonzero(rng.random(len(plan.grid)) < share).tolist()
        again, done, found = predicted(
            small, pixels, "TYX", core=(16, 64), tiles=tiles, intensity=plan.intensity
        )
        assert sorted(event.tile.index for event in done) == tiles
        expected = np.zeros_like(whole)
        for tile in (again.grid[index] for index in tiles):
            at = (..., *tile.loop, *(slice(*span) for span in tile.core))
            expected[at] = whole[at]
        assert np.array_equal(found, expected)
        assert done[-1].network_pixels == rows_through(again.grid, tiles)


def test_what_is_outside_of_a_mask_is_no_part_of_a_stream(predicted, small, noise):
    pixels, mask = noise(2, 203, 150), np.zeros((2, 203, 150), bool)
    mask[0, 3:40, 5:70], mask[0, 120, 100], mask[0, 190:, :] = True, True, True
    mask[1, 60:100, 80] = True
    _, _, whole = predicted(small, pixels, "TYX")
    for core in ((16, 64), (32, 256)):
        plan, done, found = predicted(small, pixels, "TYX", core=core, mask=mask)
        assert np.array_equal(found[..., mask], whole[..., mask])
        assert (found[..., ~mask] == np.array([1, 0, 0])[:, None]).all()
        wanted = []
        for event in done:
            within = mask[tuple(slice(*span) for span in event.box)].any()
            assert event.skipped == (not within)
            wanted += [event.tile.index] * bool(within)
        assert done[-1].network_pixels == rows_through(plan.grid, wanted)


@pytest.mark.parametrize("core", [(16, 64), (64, 200), (8, 200)])
def test_constant_ground_is_left_out(predicted, small, noise, core):
    pixels = np.full((640, 150), 7, np.uint16)
    pixels[200:230] = noise(30, 150)
    pixels[330:332, 20:30] = 3000
    pixels[500:, :] = 9  # another value from here on
    plan, done, found = predicted(small, pixels, core=core)
    _, _, expected = predicted(
        small, pixels, core=(640, 256), intensity=plan.intensity
    )  # one tile, all of it computed
    assert np.array_equal(found, expected)
    skipped = {event.tile.index for event in done if event.skipped}
    computed = done[-1].network_pixels
    assert skipped
    assert computed < rows_through(plan.grid, range(len(plan.grid)))
    _, done, _ = predicted(
        small, pixels, core=core, streams=False, intensity=plan.intensity
    )
    alone = {event.tile.index for event in done if event.skipped}
    assert skipped == alone  # what is constant does not depend on the road


def test_a_run_begins_in_view_and_jumps_with_it(small, noise, predicted):
    pixels = noise(640, 200)
    _, _, expected = predicted(small, pixels, core=(32, 64))
    focus = Focus(((300, 330), (70, 90)))
    plan = make_plan(as_image(pixels), small, CPU, core=(32, 64), first=focus)
    stores = Stores(
        plan.shape,
        plan.grid.core,
        plan.predictor.head_names,
        small.config.class_names,
        keep_heads=True,
        folder=None,
    )
    rows = []
    for event in predict_tiles(plan, stores, "run"):
        rows.append((event.tile.core[0][0], event.tile.core[1][0]))
        if len(rows) == 3:
            focus.look_at(((0, 40), (0, 10)))
    plan.close()
    assert rows[:2] == [(288, 64), (320, 64)]  # the view, from its top
    assert rows[2] == (352, 64)  # then down
    # What had been read is done, then the new view, from its top.
    at = rows.index((0, 0))
    assert 3 < at <= 3 + 6
    assert rows[at + 1] == (32, 0)
    assert len(set(rows)) == len(rows) == len(plan.grid)
    assert np.array_equal(stores.heads.heads().compute(), expected)


def test_a_stream_is_left_when_its_image_ends(predicted, small, noise):
    """Where the last rows are all halo of the tile before, none are read for them."""
    for height in (64, 65, 68, 80, 97):
        pixels = noise(height, 40)
        _, done, found = predicted(small, pixels, core=(16, 64))
        _, _, expected = predicted(small, pixels, core=(128, 64))
        assert np.array_equal(found, expected)
        assert len(done) == -(-height // 16)


def test_an_error_in_the_middle_keeps_what_is_done(small, noise):
    pixels = noise(320, 60).astype(np.float32)
    pixels[200, 30] = np.nan
    intensity = make_plan(as_image(noise(320, 60)), small, CPU).intensity
    image = as_image(pixels)
    plan = make_plan(image, small, CPU, core=(16, 64), intensity=intensity)
    stores = Stores(
        plan.shape,
        plan.grid.core,
        plan.predictor.head_names,
        small.config.class_names,
        keep_heads=True,
        folder=None,
    )
    done = []
    with pytest.raises(ImageError, match="nonfinite"):
        done.extend(predict_tiles(plan, stores, "run"))
    plan.close()
    # Rows up to 176 + 28 hold what the tile from 160 to 176 depends on.
    assert [event.tile.core[0][0] for event in done] == list(range(0, 176, 16))


def test_a_halo_that_is_too_small_is_noticed(predicted, small, noise, finish):
    plan = make_plan(as_image(noise(128, 40)), small, CPU, core=(32, 64))
    grid = replace(plan.grid, halo=(8, 28))
    stores = Stores(
        plan.shape,
        grid.core,
        plan.predictor.head_names,
        small.config.class_names,
        keep_heads=True,
        folder=None,
    )
    with pytest.raises(RuntimeError, match="have come out"):
        finish(predict_tiles(replace(plan, grid=grid), stores, "run"))


def test_views_turns_and_previews_stay_tiles(small, noise):
    image = as_image(noise(150, 131))
    view = make_plan(image, small, CPU, region=((10, 50), (10, 50)))
    turned = make_plan(image, small, CPU.model_copy(update={"tta": True}))
    assert not view.streams
    assert not turned.streams
    assert make_plan(image, small, CPU, preview=True).preview is not None


def test_of_a_wide_tile_the_part_in_view_is_previewed(small, noise, finish):
    pixels = noise(300, 1500)
    image, focus = as_image(pixels), ((100, 120), (700, 760))
    _, expected = finish(predict_image(image, small, CPU, "run"))
    expected = expected.heads.compute()
    run = predict_image(image, small, CPU, "run", first=focus, preview=True)
    started = next(run)
    assert started.core[1] >= 1500
    events, found = finish(run)
    (early,) = [event for event in events if event.preview]
    assert early.box == ((0, 256), (512, 768))
    assert early.tile.outer == ((0, 268), (500, 780))
    assert np.array_equal(found.heads.compute(), expected)


def test_what_is_not_known_of_a_tile_is_0():
    part = EncodedTile({"mean": np.ones((2, 3, 4)), "labels": np.ones((3, 4))}, b"7")
    found = placed(part, ((10, 13), (21, 25)), ((8, 14), (20, 30)))
    expected = np.zeros((6, 10))
    expected[2:5, 1:5] = 1
    assert np.array_equal(found.values["labels"], expected)
    assert np.array_equal(found.values["mean"], np.stack([expected] * 2))
    assert found.record == b"7"
    assert placed(part, ((0, 3), (0, 4)), ((0, 3), (0, 4))) is part


def test_memory_is_flat_in_the_height_and_narrows_the_strips(small, noise):
    def planned(height, settings=CPU):
        pixels = da.zeros((height, 9000), chunks=512, dtype=np.uint16)
        return make_plan(as_image(pixels), small, settings, intensity=intensity)

    intensity = make_plan(as_image(noise(9, 9)), small, CPU).intensity
    plans = [planned(height) for height in (3000, 30000, 300000)]
    assert {plan.grid.core for plan in plans} == {plans[0].grid.core}
    assert plans[0].grid.core[1] >= 9000
    assert len({plan.memory.total for plan in plans}) == 1
    most = plans[0].memory.total
    for share in (0.9, 0.8, 0.75):
        settings = CPU.model_copy(update={"memory": int(share * most)})
        plan = planned(3000, settings)
        assert plan.memory.total <= share * most
        assert plan.grid.core[1] % 128 == 0
        assert plan.grid.core <= plans[0].grid.core
