"""The tiles that are still to be done, the nearest to what is looked at first."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.tiling._order import Focus, nearest_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.tiling._grid import TileGrid


class TileQueue:
    """Tiles waiting for their turn; the order follows a focus that moves.

    A million tiles cost a byte each, and are sorted anew only when the focus has moved,
    plane by plane as they are needed.

    Parameters
    ----------
    grid : TileGrid
        All tiles.
    pending : sequence of int or ndarray of bool, (n_tiles,), optional
        Those to be done, by index or marked; all by default. Without a focus they come
        in the order in which they are given.
    focus : Focus, optional
        What is looked at.
    """

    def __init__(
        self,
        grid: TileGrid,
        pending: Sequence[int] | npt.NDArray[Any] | None = None,
        focus: Focus | None = None,
    ) -> None:
        given = np.arange(len(grid)) if pending is None else np.asarray(pending)
        if given.dtype == bool:
            given = np.flatnonzero(given)
        self._given = given.astype(np.int64)
        self._grid, self._focus = grid, focus or Focus()
        self._pending = np.zeros(len(grid), bool)
        self._pending[self._given] = True
        self._n = len(self._given)
        self._version = -1
        self._box: Box | None = None
        self._ordered: Iterator[int] = iter(())
        self._nearest: int | None = None

    def __len__(self) -> int:
        return self._n

    def __contains__(self, index: int) -> bool:
        return bool(self._pending[index])

    def pop(self) -> int | None:
        """Take the next tile; ``None`` if none is left."""
        nearest = self._first()
        return None if nearest is None else self._take(nearest)

    def put_back(self, index: int) -> None:
        """Return a tile that was taken; it comes next, unless the focus moves."""
        self._pending[index] = True
        self._n += 1
        if self._nearest is not None:
            self._ordered = chain([self._nearest], self._ordered)
        self._nearest = index

    def _take(self, index: int) -> int:
        self._pending[index] = False
        self._n -= 1
        return index

    def _first(self) -> int | None:
        """Return the waiting tile that is nearest to what is looked at now."""
        version, box = self._focus.seen
        if version != self._version:
            self._version, self._box = version, box
            self._ordered, self._nearest = self._waiting(box), None
        while self._nearest is None or not self._pending[self._nearest]:
            self._nearest = next(self._ordered, None)
            if self._nearest is None:
                return None
        return self._nearest

    def _waiting(self, box: Box | None) -> Iterator[int]:
        """Yield the tiles that wait, in order; a plane is looked at in its turn."""
        for part in [self._given] if box is None else nearest_first(self._grid, box):
            yield from part[self._pending[part]].tolist()
