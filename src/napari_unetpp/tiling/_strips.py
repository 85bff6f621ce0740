"""Tiles one below the other, so that what is computed of one serves the next.

A strip is a column of tiles: the same interval of every spatial axis but the first. A
run goes down it from tile to tile, and rows that two tiles share are read and computed
once. Where it cannot go on (a tile that is done already, one that nobody wants, the
strip's end) it begins again elsewhere, with the halo of its first tile.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.tiling._grid import choose_core, core_edge, round_up
from napari_unetpp.tiling._queue import TileQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp.tiling._grid import TileGrid

_ROWS = {2: 128, 3: 16}
"""Rows of a tile below which no store has a level that tiles own."""
_MOST_ROWS = {2: 512, 3: 64}
_PIXELS = {2: 2**20, 3: 2**22}
"""Of a tile that is higher than that: what comes out at once, and may be lost."""
_WIDE = 8
"""Halos in the width of a strip that is wide enough: a quarter is computed twice."""
_MOST_TOGETHER = 16
"""Tiles that a worker gets at once, at most."""


class StripQueue(TileQueue):
    """Tiles waiting for their turn, each below the one before it where that may be.

    Without a focus strips come one after another, from the top to the bottom. With one
    the tiles in view come first, strip by strip, then the rest of the last of these
    strips, then what is nearest. When the focus moves, the run jumps there.
    """

    _last: int | None = None

    def pop(self) -> int | None:
        """Take the next tile; ``None`` if none is left."""
        nearest = self._first()
        if nearest is None:
            return None
        self._last = self._take(self._following(nearest))
        return self._last

    def _following(self, nearest: int) -> int:
        """Return the tile below the last one, unless another is more urgent."""
        index = below(self._grid, self._last)
        if index is None or not self._pending[index]:
            return self._top(nearest)
        urgent = self._in_view(nearest) and not self._in_view(index)
        return self._top(nearest) if urgent else index

    def _top(self, index: int) -> int:
        """Return the first tile of those that wait one above the other.

        Of those in view, if this one is.
        """
        seen = self._in_view(index)
        while (above := _above(self._grid, index)) is not None:
            if not self._pending[above] or (seen and not self._in_view(above)):
                break
            index = above
        return index

    def _in_view(self, index: int) -> bool:
        if self._box is None:
            return False
        tile = self._grid[index]
        n = len(tile.loop)
        return all(
            at == start for at, (start, _) in zip(tile.loop, self._box[:n], strict=True)
        ) and all(
            a < d and c < b
            for (a, b), (c, d) in zip(tile.core, self._box[n:], strict=True)
        )


def below(grid: TileGrid, index: int | None) -> int | None:
    """Return the tile that follows another in its strip; ``None`` if there is none."""
    if index is None:
        return None
    following = index + math.prod(grid.n_blocks[1:])
    same_plane = following // grid.tiles_a_plane == index // grid.tiles_a_plane
    return following if same_plane else None


def _above(grid: TileGrid, index: int) -> int | None:
    before = index - math.prod(grid.n_blocks[1:])
    same_plane = before // grid.tiles_a_plane == index // grid.tiles_a_plane
    return before if same_plane else None


def stretches(
    grid: TileGrid, tiles: npt.NDArray[np.int64], n_workers: int
) -> Iterator[tuple[int, ...]]:
    """Yield tiles that lie one below the other, shared out evenly.

    Parameters
    ----------
    grid : TileGrid
        All tiles.
    tiles : ndarray of int64, (n,)
        Those to be shared out.
    n_workers : int
        Among how many; every stretch costs the halo of its first tile, so there are
        no more stretches than are needed.

    Yields
    ------
    tuple of int
        Neighbours in a strip.
    """
    if not len(tiles):
        return
    most = min(-(-len(tiles) // n_workers), _MOST_TOGETHER)
    for run in _runs(grid, tiles):
        n_parts = -(-len(run) // most)
        for part in np.array_split(run, n_parts):
            yield tuple(map(int, part))


def _runs(
    grid: TileGrid, tiles: npt.NDArray[np.int64]
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the tiles of every strip, from gap to gap."""
    n_strips = math.prod(grid.n_blocks[1:])
    plane, place = np.divmod(tiles, grid.tiles_a_plane)
    row, strip = np.divmod(place, n_strips)
    order = np.lexsort((row, strip, plane))
    plane, row, strip = plane[order], row[order], strip[order]
    follows = (np.diff(plane) == 0) & (np.diff(strip) == 0) & (np.diff(row) == 1)
    yield from np.split(tiles[order], np.flatnonzero(~follows) + 1)


def choose_strip(
    shape: Sequence[int],
    alignment: Sequence[int],
    halo: Sequence[int],
    fits: Callable[[tuple[int, ...]], bool],
    step: int = 1,
) -> tuple[int, ...]:
    """Return the core of tiles that lie below each other, as far as memory allows.

    What counts is the width: beyond the sides of a strip its halo is computed twice,
    between tiles of a strip nothing is. Rows are as many as are handy.

    Parameters
    ----------
    shape, alignment, halo : sequence of int
        Of the image and the network, one entry for each spatial axis, in pixels.
    fits : callable
        Says of a core whether there is room for its tile; what is smaller than one that
        fits must fit too.
    step : int
        Edges above this are multiples of it, so that the chunks of a store divide them.

    Returns
    -------
    tuple of int
        Multiples of the alignment, not smaller than it even where that does not fit.
    """
    end = round_up(shape[0], alignment[0])
    enough = _WIDE * max(halo[1:])

    def rows_of(n: int) -> int:
        return core_edge(min(n, end), end, alignment[0], step)

    handy = _ROWS[len(shape)]
    for rows in dict.fromkeys(rows_of(handy // n) for n in (1, 2, 4, handy)):
        inner = _widest(shape, alignment, fits, step, rows)
        if all(map(lambda n, size: n >= min(size, enough), inner, shape[1:])):
            break
    wanted = _PIXELS[len(shape)] // math.prod(map(min, inner, shape[1:]))
    wanted = min(max(wanted, _ROWS[len(shape)]), _MOST_ROWS[len(shape)])
    while (more := rows_of(wanted)) > rows and not fits((more, *inner)):
        wanted //= 2
    return (max(more, rows), *inner)


def _widest(
    shape: Sequence[int],
    alignment: Sequence[int],
    fits: Callable[[tuple[int, ...]], bool],
    step: int,
    rows: int,
) -> tuple[int, ...]:
    """Return the largest edges, without the first, of tiles of some rows that fit."""
    return choose_core(
        shape[1:], alignment[1:], lambda inner: fits((rows, *inner)), step
    )
