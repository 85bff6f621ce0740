"""Which tile next: those in view first, then outwards from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unetpp._types import Box
    from napari_unetpp.tiling._grid import TileGrid


def order(grid: TileGrid, near: Box, loop: tuple[int, ...] = ()) -> Iterator[int]:
    """Yield the index of every tile of `grid` once, the nearest to a view first.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    near : Box
        The visible region in pixels.
    loop : tuple of int
        The visible plane: its tiles come first, then those of the planes next to it.

    Yields
    ------
    int
        Index of a tile.
    """
    blocks = np.argsort(_distances(grid, near), kind="stable")
    for plane in _planes(grid, loop):
        for block in blocks:
            yield int(plane) * grid.tiles_a_plane + int(block)


def _distances(grid: TileGrid, near: Box) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the squared distance in pixels of each core of a plane from `near`."""
    total = np.zeros((), np.int64)
    for n, core, (start, stop) in zip(grid.n_blocks, grid.core, near, strict=True):
        begin = np.arange(n, dtype=np.int64) * core
        gap = np.maximum(np.maximum(start - begin - core + 1, begin - stop + 1), 0)
        total = total[..., None] + gap**2
    return total.reshape(-1)


def _planes(
    grid: TileGrid, loop: tuple[int, ...]
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the planes, as raveled loop indices, the nearest to `loop` first."""
    away = np.zeros((), np.int64)
    for size, at in zip(grid.loop_shape, loop, strict=True):
        away = away[..., None] + np.abs(np.arange(size, dtype=np.int64) - at)
    return np.argsort(away.reshape(-1), kind="stable")
