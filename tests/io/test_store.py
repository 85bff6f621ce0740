from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_unetpp._types import slices
from napari_unetpp.arrays import entropy_of_mean
from napari_unetpp.errors import OutputError
from napari_unetpp.io import PredictionStore
from napari_unetpp.tiling import TileGrid

HEADS = ("head 1", "head 2", "head 3")
CLASSES = ("background", "interior", "boundary")
STEP = 0.5 / 255 + 1e-6  # half a step of what is kept on disk

GRIDS = {
    "2-D": TileGrid((70, 93), (32, 48), (16, 16), (16, 16)),
    "3-D with time": TileGrid((9, 33, 20), (4, 16, 16), (4, 8, 8), (4, 8, 8), (2,)),
    "core larger than the image": TileGrid((20, 30), (64, 64), (16, 16), (16, 16)),
}


def probabilities(grid: TileGrid, heads: int = 3, classes: int = 3) -> np.ndarray:
    """Random (H, K, *loops, *spatial) that sum to 1 over the classes."""
    shape = (heads, classes, *grid.loop_shape, *grid.shape)
    raw = np.random.default_rng(0).random(shape).astype(np.float32)
    return raw / raw.sum(axis=1, keepdims=True) if classes > 1 else raw


def create(grid, where, heads=HEADS, classes=CLASSES) -> PredictionStore:
    shape = grid.loop_shape + grid.shape
    return PredictionStore.create(shape, grid.core, heads, classes, where)


def fill(store, grid, values) -> None:
    for tile in grid:
        store.write(tile, store.encode(values[(..., *tile.loop, *slices(tile.core))]))


@pytest.fixture(params=["memory", "disk"])
def where(request, tmp_path) -> Path | None:
    return None if request.param == "memory" else tmp_path / "store"


@pytest.fixture(params=GRIDS.values(), ids=GRIDS)
def grid(request) -> TileGrid:
    return request.param


def test_views_show_what_was_written(grid, where):
    store, values = create(grid, where), probabilities(grid)
    fill(store, grid, values)
    step = STEP if where else 1e-6
    heads, mean = store.heads(), store.mean()
    assert heads.dtype == mean.dtype == np.float32
    assert heads.shape == values.shape
    assert mean.shape == values.shape[1:]
    np.testing.assert_allclose(heads, values, atol=step)
    np.testing.assert_allclose(mean, values.mean(axis=0), atol=step)
    for objects in (True, False):
        expected = entropy_of_mean(np.asarray(mean), objects=objects)
        found = store.uncertainty(objects=objects)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_memory_keeps_every_bit(grid):
    store, values = create(grid, None), probabilities(grid)
    fill(store, grid, values)
    np.testing.assert_array_equal(store.heads(), values)


def test_views_made_before_fill_while_tiles_are_written(where):
    grid = GRIDS["2-D"]
    store, values = create(grid, where), probabilities(grid)
    heads, mean = store.heads(), store.mean()
    assert heads.max().compute() == 0
    first = grid[0]
    store.write(first, store.encode(values[(..., *slices(first.core))]))
    inside = (..., *slices(first.core))
    np.testing.assert_allclose(heads[inside], values[inside], atol=STEP)
    mean = np.asarray(mean)
    assert np.count_nonzero(mean) <= 3 * np.prod([b - a for a, b in first.core])


def test_tiles_of_many_threads_all_arrive(where):
    grid = TileGrid((130, 170), (16, 16), (16, 16), (16, 16))
    store, values = create(grid, where), probabilities(grid)

    def write(tile) -> None:
        store.write(tile, store.encode(values[(..., *slices(tile.core))]))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, grid))
    np.testing.assert_allclose(store.heads(), values, atol=STEP)


def test_each_tile_has_chunks_of_its_own(grid, where):
    store = create(grid, where)
    core = tuple(map(min, grid.core, grid.shape))
    assert store.array.chunks == (1,) * (2 + len(grid.loop_shape)) + core
    assert store.array.dtype == ("uint8" if where else "float32")


@pytest.mark.parametrize("heads", [("mean",), ("head 2",)])
def test_one_head_is_its_own_mean(where, heads):
    grid = GRIDS["2-D"]
    store, values = create(grid, where, heads=heads), probabilities(grid, heads=1)
    fill(store, grid, values)
    np.testing.assert_allclose(store.mean(), values[0], atol=STEP)


def test_probabilities_out_of_range_by_rounding_are_kept_in_it(tmp_path):
    grid = TileGrid((8, 8), (8, 8), (0, 0), (8, 8))
    store = create(grid, tmp_path / "s", heads=("mean",), classes=("cell",))
    store.write(grid[0], store.encode(np.full((1, 1, 8, 8), 1 + 1e-6, np.float32)))
    assert (np.asarray(store.heads()) == 1).all()


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose a folder"):
        create(GRIDS["2-D"], tmp_path / "file" / "store")
    with pytest.raises(OutputError, match="choose a folder"):
        create(GRIDS["2-D"], Path("/proc/store"))


def test_store_is_never_overwritten(tmp_path):
    create(GRIDS["2-D"], tmp_path / "s")
    with pytest.raises(OutputError, match="already contains"):
        create(GRIDS["2-D"], tmp_path / "s")
