"""Which tile next: those in view first, then outwards from it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.tiling._grid import TileGrid


class Focus:
    """What somebody looks at while a run goes on; it may move at any time.

    One thread moves it, others ask for it.

    Parameters
    ----------
    box : Box, optional
        One interval in pixels for each axis of the result, loops first; ``None`` if
        nobody looks.
    """

    def __init__(self, box: Box | None = None) -> None:
        self._lock = threading.Lock()
        self._seen = (0, box)

    @property
    def box(self) -> Box | None:
        """What is looked at now."""
        return self._seen[1]

    @property
    def version(self) -> int:
        """How often the focus has moved."""
        return self._seen[0]

    @property
    def seen(self) -> tuple[int, Box | None]:
        """Version and box, as they belong together."""
        return self._seen

    def look_at(self, box: Box | None) -> None:
        """Move to `box`; that it is the same as before is no move."""
        with self._lock:
            version, before = self._seen
            if box != before:
                self._seen = (version + 1, box)


def nearest_first(grid: TileGrid, box: Box) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the indices of the tiles of each plane, the nearest to `box` first.

    Those that meet it come from its middle outwards.

    Parameters
    ----------
    grid : TileGrid
        The tiles.
    box : Box
        One interval in pixels for each loop and spatial axis. The plane that begins it
        comes first, then those next to it.

    Yields
    ------
    ndarray of int64, (tiles a plane,)
    """
    n = len(grid.loop_shape)
    outside, off_centre = _distances(grid, box[n:])
    blocks = np.lexsort((off_centre, outside))
    for plane in _planes(grid, tuple(start for start, _ in box[:n])):
        yield plane * grid.tiles_a_plane + blocks


def _distances(
    grid: TileGrid, near: Box
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return how far each core of a plane lies from `near`, and from its middle.

    Squared, in pixels; the first is 0 for all that are in view.
    """
    outside, off_centre = np.zeros((), np.int64), np.zeros((), np.int64)
    for n, core, (start, stop) in zip(grid.n_blocks, grid.core, near, strict=True):
        begin = np.arange(n, dtype=np.int64) * core
        gap = np.maximum(np.maximum(start - begin - core + 1, begin - stop + 1), 0)
        outside = np.add.outer(outside, gap**2)
        off = begin + core // 2 - (start + stop) // 2
        off_centre = np.add.outer(off_centre, off**2)
    return outside.ravel(), off_centre.ravel()


def _planes(grid: TileGrid, loop: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return the planes, as raveled loop indices, the nearest to `loop` first."""
    away = np.zeros((), np.int64)
    for size, at in zip(grid.loop_shape, loop, strict=True):
        away = away[..., None] + np.abs(np.arange(size, dtype=np.int64) - at)
    return np.argsort(away.reshape(-1), kind="stable").astype(np.int64)
