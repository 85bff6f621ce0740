# ruff: noqa: B905 - the grid itself checks that lengths agree
"""The order of tiles: nearest to what is looked at, which may move."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from napari_unetpp.tiling import Focus, TileGrid, TileQueue

GRIDS = [
    TileGrid((33, 70), (16, 32), (16, 8), (16, 8)),
    TileGrid((100, 31), (32, 32), (32, 32), (16, 16), (2, 3)),
    TileGrid((5, 37, 41), (2, 16, 24), (4, 8, 8), (2, 8, 8)),
    TileGrid((9, 20, 20), (4, 16, 16), (0, 16, 16), (1, 4, 4), (3,)),
]


@pytest.fixture(params=GRIDS, ids=str)
def grid(request) -> TileGrid:
    return request.param


def drained(queue: TileQueue) -> list[int]:
    return list(iter(queue.pop, None))


def box_at(grid: TileGrid, part: float):
    """A box of a few pixels, at a part of the way along every axis."""
    places = [int(part * (n - 1)) for n in grid.loop_shape]
    starts = [int(part * (n - 1)) for n in grid.shape]
    sizes = [min(3, n - a) for n, a in zip(grid.shape, starts)]
    spans = tuple((a, a + n) for a, n in zip(starts, sizes))
    return (*((at, at + 1) for at in places), *spans)


def away(grid: TileGrid, index: int, box) -> tuple[int, int]:
    """How many planes, and the square of how many pixels, a tile is away."""
    tile, n = grid[index], len(grid.loop_shape)
    planes = sum(abs(at - start) for at, (start, _) in zip(tile.loop, box[:n]))
    pixels = 0
    for (start, stop), (first, _), edge in zip(box[n:], tile.core, grid.core):
        pixels += max(start - first - edge + 1, first - stop + 1, 0) ** 2
    return planes, pixels


def test_without_a_focus_tiles_come_as_given(grid):
    assert drained(TileQueue(grid)) == list(range(len(grid)))
    given = list(range(len(grid)))[::-2]
    assert drained(TileQueue(grid, given)) == given
    marks = np.zeros(len(grid), bool)
    marks[given] = True
    assert drained(TileQueue(grid, marks)) == sorted(given)
    assert drained(TileQueue(grid, [])) == []


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_the_nearest_come_first_and_every_tile_once(grid, part):
    box = box_at(grid, part)
    found = drained(TileQueue(grid, None, Focus(box)))
    assert sorted(found) == list(range(len(grid)))
    distances = [away(grid, index, box) for index in found]
    planes = [grid[index].loop for index in found]
    assert [d for d, _ in distances] == sorted(d for d, _ in distances)
    for plane in set(planes):  # the planes come one after another
        in_plane = [d for d, p in zip(distances, planes) if p == plane]
        assert in_plane == sorted(in_plane)
    n_switches = sum(a != b for a, b in pairwise(planes))
    assert n_switches == grid.n_planes - 1


def test_the_next_tile_follows_the_focus(grid):
    focus = Focus(box_at(grid, 0.0))
    queue = TileQueue(grid, None, focus)
    found = [queue.pop()]
    assert found == [0]
    for part in (1.0, 0.0, 0.5):
        box = box_at(grid, part)
        focus.look_at(box)
        left = set(range(len(grid))) - set(found)
        found.append(queue.pop())
        assert away(grid, found[-1], box) == min(away(grid, i, box) for i in left)
    found += drained(queue)
    assert sorted(found) == list(range(len(grid)))


def test_a_tile_that_is_put_back_comes_next_and_waits(grid):
    queue = TileQueue(grid)
    first, second = queue.pop(), queue.pop()
    assert second not in queue
    queue.put_back(second)
    assert second in queue
    assert first not in queue
    assert queue.pop() == second
    queue.put_back(second)
    assert sorted([first, *drained(queue)]) == list(range(len(grid)))


def test_a_focus_counts_its_moves():
    focus = Focus()
    assert (focus.box, focus.version) == (None, 0)
    focus.look_at(((0, 5), (2, 9)))
    focus.look_at(((0, 5), (2, 9)))
    assert focus.seen == (1, ((0, 5), (2, 9)))
    focus.look_at(None)
    assert (focus.box, focus.version) == (None, 2)


@pytest.mark.parametrize("planes", [1, 1000])
def test_a_million_tiles_are_sorted_only_after_a_move(planes):
    side = int((10**6 / planes) ** 0.5)
    grid = TileGrid((256 * side,) * 2, (256, 256), (64, 64), (16, 16), (planes,))
    focus = Focus()
    queue = TileQueue(grid, None, focus)
    for move in range(5):  # a sort for each tile would take minutes
        start = 256 * (side * (move + 1) // 8)
        focus.look_at(((move, move + 1), (start, start + 9), (start, start + 9)))
        assert grid[queue.pop()].core == ((start, start + 256),) * 2
        for _ in range(500):
            queue.pop()


def test_tiles_in_view_come_from_its_middle_outwards():
    grid = TileGrid((1600, 1600), (100, 100), (20, 20), (4, 4))
    queue = TileQueue(grid, None, Focus(((200, 1300), (300, 1200))))
    first = [grid[index].core for index in drained(queue)[: 11 * 9]]
    assert {core[0][0] for core in first} == set(range(200, 1300, 100))
    assert {core[1][0] for core in first} == set(range(300, 1200, 100))
    middles = [(y + 50 - 750, x + 50 - 750) for (y, _), (x, _) in first]
    away = [dy**2 + dx**2 for dy, dx in middles]
    assert away == sorted(away)
