# ruff: noqa: B905 - the grid itself checks that lengths agree
from __future__ import annotations

import math
import time
from itertools import product

import numpy as np
import pytest

from napari_unetpp._types import slices
from napari_unetpp.errors import SettingsError
from napari_unetpp.tiling import TileGrid, choose_core, halo_for, wanted_core

GRIDS = [
    TileGrid((n,), (core,), (halo,), (8,))
    for n, core, halo in product([1, 7, 8, 9, 63, 64, 65, 200], [8, 24, 64], [0, 8, 40])
]
GRIDS += [
    TileGrid((33, 70), (16, 32), (16, 8), (16, 8)),
    TileGrid((1, 1), (64, 64), (16, 16), (16, 16)),
    TileGrid((100, 31), (32, 32), (32, 32), (16, 16), (2, 3)),
    TileGrid((5, 37, 41), (2, 16, 24), (4, 8, 8), (2, 8, 8)),
    TileGrid((9, 20, 20), (4, 16, 16), (0, 16, 16), (1, 4, 4), (3,)),
    TileGrid((257, 255), (512, 256), (128, 128), (16, 16)),
]


@pytest.fixture(params=GRIDS, ids=str)
def grid(request) -> TileGrid:
    return request.param


def test_cores_partition_the_image(grid):
    seen = np.zeros(grid.loop_shape + grid.shape, int)
    for tile in grid:
        assert all(0 <= a < b <= n for (a, b), n in zip(tile.core, grid.shape))
        seen[(*tile.loop, *slices(tile.core))] += 1
    assert (seen == 1).all()


def test_tiles_lie_on_the_pooling_grid(grid):
    for tile in grid:
        for (start, stop), (core, _), align in zip(
            tile.outer, tile.core, grid.alignment
        ):
            assert start % align == 0
            assert stop % align == 0
            assert core % align == 0


def test_halo_is_whole_or_ends_where_the_image_ends(grid):
    for tile in grid:
        for outer, core, halo, padded in zip(
            tile.outer, tile.core, grid.halo, grid.padded_shape
        ):
            assert outer[0] == max(core[0] - halo, 0)
            assert outer[1] >= min(core[1] + halo, padded)
            assert outer[1] <= padded


def test_padding_is_less_than_the_alignment(grid):
    for padded, size, align in zip(grid.padded_shape, grid.shape, grid.alignment):
        assert 0 <= padded - size < align
        assert padded % align == 0


def test_crop_is_the_core_within_the_outer(grid):
    for tile in grid:
        for core, outer, crop in zip(tile.core, tile.outer, tile.crop):
            assert (crop[0] + outer[0], crop[1] + outer[0]) == core


def test_grid_is_a_sequence(grid):
    tiles = list(grid)
    assert len(tiles) == len(grid)
    assert [tile.index for tile in tiles] == list(range(len(grid)))
    assert grid[-1] == tiles[-1]
    assert grid[1:3] == tiles[1:3]
    with pytest.raises(IndexError):
        grid[len(grid)]


def test_tiled_local_mean_equals_the_whole():
    """An operator of radius 5 on the pooled grid, tiled, is the same to the bit."""
    image = np.random.default_rng(0).random((70, 93))

    def network(pixels: np.ndarray) -> np.ndarray:
        n, m = pixels.shape
        pooled = pixels.reshape(n // 8, 8, m // 8, 8).max(axis=(1, 3))
        wide = np.pad(pooled, 1)
        mixed = wide[:-2, 1:-1] + wide[1:-1, :-2] - wide[2:, 1:-1] * wide[1:-1, 2:]
        return mixed.repeat(8, 0).repeat(8, 1) + pixels

    def padded(box):
        size = [(0, max(stop - n, 0)) for (_, stop), n in zip(box, image.shape)]
        return np.pad(image[slices(box)], size, mode="edge")

    whole = network(padded(((0, 72), (0, 96))))[:70, :93]
    for core in (8, 16, 40, 128):
        made = np.empty_like(image)
        for tile in TileGrid(
            image.shape, (core, core), halo_for((15,) * 2, (8, 8)), (8, 8)
        ):
            made[slices(tile.core)] = network(padded(tile.outer))[slices(tile.crop)]
        np.testing.assert_array_equal(made, whole)


def test_tiles_meeting_a_box_are_those_whose_cores_do(grid):
    boxes = [
        tuple((n // 3, n // 2 + 1) for n in grid.shape),
        tuple((-5, 3) for _ in grid.shape),
        tuple((n - 1, n + 50) for n in grid.shape),
        tuple((n, n + 50) for n in grid.shape),
        tuple((2, 2) for _ in grid.shape),
    ]
    for box in boxes:
        expected = [
            tile
            for tile in grid
            if all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(tile.core, box))
        ]
        assert list(grid.tiles_meeting(box)) == expected
        for loop in {tile.loop for tile in grid}:
            one = [tile for tile in expected if tile.loop == loop]
            assert list(grid.tiles_meeting(box, loop)) == one


def test_a_million_tiles_cost_nothing():
    start = time.perf_counter()
    grid = TileGrid((100_000, 100_000), (64, 64), (16, 16), (16, 16), (50,))
    assert len(grid) == 50 * 1563**2
    assert grid[10**8].index == 10**8
    near = ((5000, 5100), (5000, 5100))
    assert len(list(grid.tiles_meeting(near, (7,)))) == 4
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize(
    ("core", "halo"),
    [((30, 32), (16, 16)), ((32, 32), (16, 10)), ((32, 32), (-16, 16))],
)
def test_misaligned_tiles_are_refused(core, halo):
    with pytest.raises(SettingsError, match=r"multiples of the alignment \(16, 16\)"):
        TileGrid((100, 100), core, halo, (16, 16))


def test_grid_refuses_sizes_that_make_no_sense():
    with pytest.raises(SettingsError, match="one entry for each"):
        TileGrid((100, 100), (16,), (16, 16), (16, 16))
    with pytest.raises(SettingsError, match="at least 1"):
        TileGrid((100, 0), (16, 16), (16, 16), (16, 16))


def test_halo_covers_the_receptive_field():
    assert halo_for((122, 10), (16, 4)) == (128, 12)
    assert halo_for((16, 0), (16, 4)) == (16, 0)


@pytest.mark.parametrize("step", [1, 32])
@pytest.mark.parametrize("memory", [1, 1e4, 1e6, 3e7, 1e12])
@pytest.mark.parametrize(
    ("shape", "halo", "align"),
    [((500, 700), (64, 64), (16, 16)), ((9, 300, 200), (4, 36, 36), (2, 12, 12))],
)
def test_core_is_the_largest_that_fits(shape, halo, align, memory, step):
    def fits(core) -> bool:
        grid = TileGrid(shape, core, halo, align)
        return 10 * np.prod(grid.largest_outer) <= memory

    core = choose_core(shape, align, fits, step)
    grid = TileGrid(shape, core, halo, align)
    steps = [math.lcm(a, step) for a in align]
    outers = [tuple(b - a for a, b in tile.outer) for tile in grid]
    assert all(
        size <= edge
        for outer in outers
        for size, edge in zip(outer, grid.largest_outer)
    )
    for edge, padded, multiple in zip(core, grid.padded_shape, steps):
        assert edge % multiple == 0 or edge <= multiple
        assert edge < padded + multiple
    assert core == align or fits(core)
    if grid.n_blocks != (1,) * len(shape):
        wider = [c + (s if c >= s else a) for c, a, s in zip(core, align, steps)]
        ends = [
            p if p <= s else -(-p // s) * s for p, s in zip(grid.padded_shape, steps)
        ]
        assert not fits(tuple(map(min, wider, ends)))


def test_wanted_edge_is_rounded_up_and_not_larger_than_the_image():
    assert wanted_core((500, 100), (16, 16), 250) == (256, 112)
    assert wanted_core((500, 100), (16, 16), 1) == (16, 16)


def test_a_part_of_a_tile_has_its_own_context():
    grid = TileGrid((300, 1500), (304, 1536), (24, 24), (8, 8))
    tile = grid.part(grid[0], ((100, 120), (700, 760)), 256)
    assert tile.index == 0
    assert tile.core == ((0, 256), (512, 768))
    assert tile.outer == ((0, 280), (488, 792))
    assert tile.crop == ((0, 256), (24, 280))
    end = grid.part(grid[0], ((280, 900), (-5, 9)), 256)
    assert end.core == ((256, 300), (0, 256))
    assert end.outer == ((232, 304), (0, 280))
    whole = grid.part(grid[0], ((-5, 900), (-5, 9000)), 256)
    assert whole == grid[0]
