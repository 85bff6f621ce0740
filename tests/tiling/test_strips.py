# ruff: noqa: B905 - the grid itself checks that lengths agree
"""Tiles one below the other: their order, how they are shared out, their size."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from napari_unetpp.tiling import (
    Focus,
    StripQueue,
    TileGrid,
    below,
    choose_strip,
    round_up,
    stretches,
)

GRIDS = [
    TileGrid((100, 70), (16, 32), (16, 8), (16, 8)),
    TileGrid((100, 31), (32, 32), (32, 32), (16, 16), (2, 3)),
    TileGrid((9, 37, 41), (2, 16, 24), (4, 8, 8), (2, 8, 8), (2,)),
    TileGrid((20, 20), (32, 32), (16, 16), (4, 4)),
]


@pytest.fixture(params=GRIDS, ids=str)
def grid(request) -> TileGrid:
    return request.param


def drained(queue):
    return list(iter(queue.pop, None))


def begun(grid, order):
    """Those of the tiles, in order, that do not lie below the one before them."""
    starts = [b for a, b in pairwise(order) if below(grid, a) != b]
    return [order[0], *starts]


def meets(tile, box):
    n = len(tile.loop)
    return all(at == a for at, (a, _) in zip(tile.loop, box[:n])) and all(
        a < d and c < b for (a, b), (c, d) in zip(tile.core, box[n:])
    )


def test_below_is_the_next_tile_of_a_strip(grid):
    for tile in grid:
        index = below(grid, tile.index)
        last = tile.core[0][1] == grid.shape[0]
        assert (index is None) == last
        if index is not None:
            assert grid[index].loop == tile.loop
            assert grid[index].core[1:] == tile.core[1:]
            assert grid[index].core[0][0] == tile.core[0][1]


def test_strips_come_one_after_another(grid):
    order = drained(StripQueue(grid))
    assert sorted(order) == list(range(len(grid)))
    n_strips = math.prod(grid.n_blocks[1:]) * grid.n_planes
    starts = begun(grid, order)
    assert len(starts) == n_strips
    assert all(grid[index].core[0][0] == 0 for index in starts)
    planes = [grid[index].loop for index in order]
    assert planes == sorted(planes)


def test_a_strip_with_gaps_begins_anew_after_each(grid):
    pending = np.random.default_rng(4).random(len(grid)) < 0.6
    pending[0] = True
    order = drained(StripQueue(grid, pending))
    assert sorted(order) == np.flatnonzero(pending).tolist()
    tops = {
        index
        for index in order
        if not any(below(grid, other) == index for other in order)
    }
    assert set(begun(grid, order)) == tops


@pytest.mark.parametrize("seed", range(4))
def test_what_is_in_view_comes_first(grid, seed):
    rng = np.random.default_rng(seed)
    starts = [int(rng.integers(n)) for n in grid.shape]
    loops = tuple((int(rng.integers(n)), n) for n in grid.loop_shape)
    spatial = tuple((a, a + int(rng.integers(1, 50))) for a in starts)
    box = loops + spatial
    order = drained(StripQueue(grid, None, Focus(box)))
    assert sorted(order) == list(range(len(grid)))
    seen = [meets(grid[index], box) for index in order]
    assert seen == sorted(seen, reverse=True)
    in_view = order[: sum(seen)]
    strips = {(grid[i].loop, grid[i].core[1:]) for i in in_view}
    assert len(begun(grid, in_view)) == len(strips)
    # Beyond the view nothing is begun but at the top of what waits.
    done = set(in_view)
    for before, index in pairwise(order[len(in_view) - 1 :]):
        above = [other for other in range(len(grid)) if below(grid, other) == index]
        assert below(grid, before) == index or not set(above) - done
        done.add(index)


def test_a_view_that_moves_is_followed_at_once():
    grid = TileGrid((1600, 400), (100, 100), (20, 20), (4, 4))
    focus = Focus()
    queue = StripQueue(grid, None, focus)
    assert [queue.pop() for _ in range(3)] == [0, 4, 8]
    focus.look_at(((850, 1050), (210, 290)))
    assert [queue.pop() for _ in range(4)] == [34, 38, 42, 46]  # then on, down there
    focus.look_at(((1150, 1450), (210, 290)))
    assert queue.pop() == 50  # it is on its way
    focus.look_at(((0, 10), (0, 10)))  # that is done
    assert queue.pop() == 54
    focus.look_at(((350, 360), (0, 10)))
    assert queue.pop() == 12
    focus.look_at(None)
    order = drained(queue)
    assert order[:12] == [16 + 4 * n for n in range(12)]


@pytest.mark.parametrize("n_workers", [1, 2, 7])
def test_stretches_share_out_neighbours(grid, n_workers):
    for share in (1.0, 0.5):
        tiles = np.flatnonzero(np.random.default_rng(1).random(len(grid)) < share)
        found = list(stretches(grid, tiles, n_workers))
        assert sorted(index for part in found for index in part) == tiles.tolist()
        for part in found:
            assert all(below(grid, a) == b for a, b in pairwise(part))
            assert 0 < len(part) <= max(-(-len(tiles) // n_workers), 1)
    assert list(stretches(grid, np.empty(0, np.int64), n_workers)) == []


def test_stretches_are_as_few_as_workers_need():
    grid = TileGrid((256 * 16, 4096), (256, 4096), (112, 112), (16, 16))
    sizes = [len(part) for part in stretches(grid, np.arange(16), 2)]
    assert sizes == [8, 8]
    tall = TileGrid((256 * 100, 4096), (256, 4096), (112, 112), (16, 16))
    sizes = [len(part) for part in stretches(tall, np.arange(100), 2)]
    assert max(sizes) <= 16
    assert max(sizes) - min(sizes) <= 1


CASES = [
    ((4096, 4096), (16, 16), (112, 112), 128),
    ((900, 20000), (8, 8), (56, 56), 128),
    ((13, 61), (16, 16), (112, 112), 128),
    ((64, 512, 512), (16, 16, 16), (112, 112, 112), 32),
    ((9, 300, 200), (1, 8, 8), (10, 40, 40), 32),
]


def needed(core, halo, shape):
    edges = [min(c + 2 * h, s) for c, h, s in zip(core, halo, shape)]
    return (edges[0] + 50) * math.prod(edges[1:])


@pytest.mark.parametrize(("shape", "alignment", "halo", "step"), CASES)
def test_strips_are_as_wide_as_memory_allows(shape, alignment, halo, step):
    padded = tuple(map(round_up, shape, alignment))
    before = ()
    for budget in (10**3, 10**5, 10**6, 10**7, 10**8, 10**9):

        def fits(core, budget=budget):
            return needed(core, halo, padded) <= budget

        core = choose_strip(shape, alignment, halo, fits, step)
        assert all(n % a == 0 for n, a in zip(core, alignment))
        assert all(n <= round_up(p, step) for n, p in zip(core, padded))
        assert fits(core) or core == tuple(min(a, p) for a, p in zip(alignment, padded))
        whole = [n >= s for n, s in zip(core[1:], shape[1:])]
        assert before <= tuple(whole)  # what fitted with less fits with more
        before = tuple(whole)
    assert all(before)


def test_rows_are_as_many_as_are_handy():
    def core(shape):
        return choose_strip(shape, (16, 16), (112, 112), lambda _: True, 128)

    assert core((4096, 4096)) == (256, 4096)
    assert core((4096, 2048)) == (512, 2048)
    assert core((50000, 50000)) == (128, 50048)
    assert core((100, 100)) == (112, 112)
    stack = choose_strip((64, 512, 512), (16,) * 3, (112,) * 3, lambda _: True, 32)
    assert stack == (16, 512, 512)
