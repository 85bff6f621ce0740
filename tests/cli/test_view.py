from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.cli._view import recomputed, size
from napari_unetpp.tiling import TileGrid


@pytest.mark.parametrize(
    ("sizes", "core", "halo"),
    [
        ((96, 80), (32, 16), (16, 8)),
        ((40, 40), (64, 64), (16, 16)),
        ((70,), (32,), (4,)),
    ],
)
def test_what_is_recomputed_is_what_the_tiles_cover(sizes, core, halo):
    grid = TileGrid(sizes, core, halo, (1,) * len(sizes))
    covered = np.zeros(sizes, np.int64)
    for index in range(len(grid)):
        inside = tuple(
            slice(max(start, 0), min(stop, n))
            for (start, stop), n in zip(grid[index].outer, sizes, strict=True)
        )
        covered[inside] += 1
    assert recomputed(sizes, core, halo) == pytest.approx(covered.mean() - 1)


def test_along_a_strip_nothing_is_computed_twice():
    sizes, core, halo = (96, 80), (32, 16), (16, 8)
    along_y = recomputed(sizes[1:], core[1:], halo[1:])
    assert recomputed(sizes, core, halo, streams=True) == pytest.approx(along_y)
    assert recomputed(sizes, (32, 80), halo, streams=True) == 0


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [(1_500_000_000, "1.5 GB"), (2_000_000, "2.0 MB"), (10, "0.0 kB")],
)
def test_sizes_are_said_as_they_are_asked_for(n_bytes, words):
    assert size(n_bytes) == words
