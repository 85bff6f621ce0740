"""The network over the tiles of strips, whose rows are computed once each."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.tiling import round_up

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.inference._predictor import Predictor
    from napari_unetpp.inference._reading import LoadedTile
    from napari_unetpp.tiling import Tile, TileGrid

_AT_ONCE = 2**17
"""Pixels that go through the network before they are encoded."""


def rows_at_once(grid: TileGrid) -> int:
    """Return how many rows of a tile go through the network before they are encoded."""
    n_rows = max(_AT_ONCE // math.prod(grid.largest_outer[1:]), 1)
    return round_up(n_rows, grid.alignment[0])


class RowStream(Protocol):
    """One pass of a network over a region, from its first row to its last.

    Attributes
    ----------
    depths : ndarray of uint8, (m, *inner), optional
        The deepest level computed for what `push` has returned, if it stops early.
    """

    depths: npt.NDArray[np.uint8] | None

    @property
    def work(self) -> tuple[int, int]:
        """Products that were computed so far, and those of all levels everywhere."""

    def push(self, rows: FloatArray, *, last: bool = False) -> FloatArray:
        """Take rows (C, k, *inner); return the probabilities (H, K, m, *inner) of more.

        Those of every row are returned as soon as all is there that it depends on.
        """


@dataclass(frozen=True, slots=True, eq=False)
class StreamedRows:
    """Rows that have come out of a stream.

    Attributes
    ----------
    first : int
        Number of the first one.
    heads : ndarray of float32, (H, K, n, *inner)
        Probabilities by the heads.
    depths : ndarray of uint8, (n, *inner), optional
        The deepest level computed, if that is not the same everywhere.
    """

    first: int
    heads: FloatArray
    depths: npt.NDArray[np.uint8] | None = None

    @property
    def stop(self) -> int:
        """Number of the row after the last."""
        return self.first + int(self.heads.shape[2])

    def cut(self, start: int, stop: int, inner: tuple[slice, ...] = ()) -> StreamedRows:
        """Return some of the rows, or a part of them."""
        index: Any = (..., slice(start - self.first, stop - self.first), *inner)
        if not inner:
            index = (*index, *(slice(None),) * (self.heads.ndim - 3))
        depths = None if self.depths is None else self.depths[index]
        return StreamedRows(start, self.heads[index], depths)


class StreamDevice:
    """A predictor through which the rows of strips flow.

    Rows come in the order of the tiles. A tile goes on where the one before it ended,
    or begins a stream with its halo. The rows of a tile are complete with its own halo,
    so a stream that is left owes nothing.

    Parameters
    ----------
    predictor : Predictor
        The network on its device.
    grid : TileGrid
        With the halo and alignment of that network.

    Attributes
    ----------
    too_large : tuple of int
        Empty: streams are planned to fit.
    seconds : float
        Time that the network has taken.
    n_pixels : int
        Pixels that have gone through it.
    """

    def __init__(self, predictor: Predictor, grid: TileGrid) -> None:
        self.too_large: tuple[int, ...] = ()
        self.seconds = 0.0
        self.n_pixels = 0
        self._predictor, self._grid = predictor, grid
        self._step = rows_at_once(grid)
        self._stream: RowStream | None = None
        self._work = (0, 0)  # of streams that have ended: products done, and in all
        self._given = 0  # first row that has not gone in
        self._out: deque[StreamedRows] = deque()
        self._next = 0  # first row that has not come out
        self._even = _EvenRows()
        self._passed: FloatArray | None = None  # (C, 1, ...) of rows left out

    @property
    def share(self) -> float:
        """Share of the network's products that were computed."""
        done, most = (a + b for a, b in zip(self._work, self._work_now, strict=True))
        return done / most if most else 1.0

    @property
    def _work_now(self) -> tuple[int, int]:
        return (0, 0) if self._stream is None else self._stream.work

    def key(self, one: LoadedTile) -> Hashable:
        """Return what decides the answer if a tile is constant; ``None`` if it is not.

        Tiles must come one after another: rows that were read before are looked at too.
        """
        if one.pixels is None:
            return None
        self._even.add(one)
        outer, core = one.tile.outer, one.tile.core
        if one.inside is not None or self._even.n_rows < outer[0][1] - outer[0][0]:
            return None
        edges = tuple(stop - start for start, stop in outer)
        kept = tuple(stop - start for start, stop in core)
        return self._even.value, edges, one.tile.crop, kept

    def pass_over(self, one: LoadedTile) -> None:
        """Leave out a constant tile, of which the answer is known."""
        if not one.continues:
            self._leave()
        if one.pixels is not None and one.pixels.shape[1]:
            corner = (slice(None), *(slice(1),) * len(self._grid.shape))
            self._passed = one.pixels[corner].copy()

    def predict(self, one: LoadedTile) -> Iterator[StreamedRows]:
        """Yield the rows of a tile's core, counted from its first, some at a time."""
        tile = one.tile
        # Constant tiles leave a gap; where it is longer than what a tile sees above its
        # own rows, beginning anew costs less than going through it.
        if self._stream is None or not one.continues or self._given < tile.outer[0][0]:
            self._begin(tile)
        yield from self._ready(tile)
        for rows in self._rows_of(one):
            self._push(rows, tile)
            yield from self._ready(tile)
        if self._next < tile.core[0][1]:
            raise RuntimeError(
                f"rows up to {tile.core[0][1]} of a stream are wanted and those up to"
                f" {self._given} have gone in, but only {self._next} have come out"
            )

    def _rows_of(self, one: LoadedTile) -> Iterator[FloatArray]:
        """Yield what goes in: rows that were left out, if any, and those of a tile."""
        pixels = one.pixels
        if pixels is None:
            raise RuntimeError("a tile that nobody wants has no rows")
        gap = one.tile.outer[0][1] - pixels.shape[1] - self._given
        if gap and self._passed is not None:
            shape = (len(pixels), gap, *pixels.shape[2:])
            yield from self._cut(np.broadcast_to(self._passed, shape))
        yield from self._cut(pixels)

    def _cut(self, rows: FloatArray) -> Iterator[FloatArray]:
        for start in range(0, rows.shape[1], self._step):
            yield np.ascontiguousarray(rows[:, start : start + self._step])

    def _begin(self, tile: Tile) -> None:
        self._leave()
        inner = tuple(stop - start for start, stop in tile.outer[1:])
        self._given = self._next = tile.outer[0][0]
        most = self._grid.padded_shape[0] - self._given
        self._stream = self._predictor.stream(inner, most)
        self._out.clear()

    def _leave(self) -> None:
        """Let the stream go, but remember what it has computed."""
        done, most = self._work_now
        self._work = self._work[0] + done, self._work[1] + most
        self._stream = None

    def _push(self, rows: FloatArray, tile: Tile) -> None:
        if self._stream is None:
            raise RuntimeError("no stream has begun")
        start = time.perf_counter()
        self._given += rows.shape[1]
        last = self._given == self._grid.padded_shape[0]
        found = self._stream.push(rows, last=last)
        self.seconds += time.perf_counter() - start
        self.n_pixels += math.prod(rows.shape[1:])
        if found.shape[2]:
            depths = self._stream.depths
            self._out.append(StreamedRows(self._next, found, depths))
            self._next += found.shape[2]

    def _ready(self, tile: Tile) -> Iterator[StreamedRows]:
        """Yield what has come out of a tile's core; keep what lies below it."""
        (first, stop), inner = tile.core[0], slices(tile.crop[1:])
        while self._out and self._out[0].first < stop:
            rows = self._out.popleft()
            if rows.stop > stop:
                self._out.appendleft(rows.cut(stop, rows.stop))
            low, high = max(rows.first, first), min(rows.stop, stop)
            if low < high:
                part = rows.cut(low, high, inner)
                yield replace(part, first=low - first)


class _EvenRows:
    """How many of the rows that were read last have one value in every channel."""

    def __init__(self) -> None:
        self.value = b""
        self.n_rows = 0

    def add(self, one: LoadedTile) -> None:
        """Count the rows of a tile, which go on where the last ones ended or begin."""
        n = 0 if one.pixels is None else one.pixels.shape[1]
        if one.continues and one.even == n and (one.value == self.value or not n):
            self.n_rows += n
        else:
            self.value, self.n_rows = one.value, one.even
