from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.inference._job_labels import blocks_meeting, portions
from napari_unetpp.tiling import TileGrid


@pytest.mark.parametrize(
    ("shape", "core", "block", "loops"),
    [
        ((1000, 700), (128, 96), (256, 200), ()),
        ((1000, 700), (500, 700), (64, 64), (3,)),
        ((50, 90, 70), (16, 32, 32), (20, 33, 70), (2, 2)),
        ((10, 10), (16, 16), (16, 16), ()),
    ],
)
def test_blocks_meeting_are_those_that_share_a_pixel(shape, core, block, loops):
    n, ones = len(shape), (1,) * len(shape)
    tiles = TileGrid(shape, core, (0,) * n, ones, loops)
    blocks = TileGrid(shape, block, (0,) * n, ones, loops)
    rng = np.random.default_rng(0)
    for share in (0.0, 0.05, 0.5, 1.0):
        marked = rng.random(len(tiles)) < share
        pixels = np.zeros(loops + shape, bool)
        for tile in tiles:
            pixels[(*tile.loop, *(slice(*s) for s in tile.core))] = marked[tile.index]
        expected = [
            pixels[(*block.loop, *(slice(*s) for s in block.core))].any()
            for block in blocks
        ]
        np.testing.assert_array_equal(
            blocks_meeting(marked, tiles, blocks), np.array(expected)
        )


@pytest.mark.parametrize(("n", "n_workers"), [(0, 2), (1, 3), (17, 2), (1000, 4)])
def test_portions_hold_every_index_once(n, n_workers):
    found = list(portions(np.arange(n) * 3, n_workers))
    assert [index for part in found for index in part] == [3 * k for k in range(n)]
    sizes = [len(part) for part in found]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-n_workers:] == [1] * min(n, n_workers)
