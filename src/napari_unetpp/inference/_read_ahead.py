"""Which tiles come next, read a few batches ahead of the device."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from napari_unetpp.inference._memory import AHEAD
from napari_unetpp.inference._reading import TileReader, Wanted
from napari_unetpp.tiling import StripQueue, TileQueue, below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future

    from napari_unetpp._types import Box
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._reading import LoadedTile
    from napari_unetpp.tiling import Tile

_MOST_PREVIEWED = 2**22  # pixels; of a larger view a preview would not be quick
_PREVIEWED = {2: 256, 3: 32}  # what is previewed of a wide tile is a multiple of this


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tiles of one shape and crop that are being read.

    Attributes
    ----------
    loaded : Future of list of LoadedTile
        The tiles.
    preview : bool
        Whether they go through level 1 only.
    """

    loaded: Future[list[LoadedTile]]
    preview: bool


class ReadAhead:
    """An iterator over the batches of a run, in the order of what is looked at.

    Parameters
    ----------
    plan : Plan
        Says which tiles, and where somebody looks.
    readers : Executor
        Threads that read.
    """

    def __init__(self, plan: Plan, readers: Executor) -> None:
        self._plan, self._readers = plan, readers
        self._reader = TileReader(plan)
        self._queue: TileQueue
        if plan.streams:
            self._queue = StripQueue(plan.grid, plan.tiles, plan.focus)
        else:
            self._queue = TileQueue(plan.grid, plan.tiles, plan.focus)
        self._previews = _Previews(plan, self._queue)
        self._last: Wanted | None = None

    def __iter__(self) -> Iterator[Batch]:
        early: deque[Batch] = deque()  # previews overtake what is read already
        ahead: deque[Batch] = deque()
        while True:
            while len(early) < AHEAD and (tile := self._previews.pop()) is not None:
                early.append(self._read([tile], preview=True))
            # A tile that is taken now would not be previewed: first all previews.
            previewed = len(early) < AHEAD
            while previewed and len(ahead) <= AHEAD and (batch := self._ahead()):
                ahead.append(batch)
            ready = early or ahead
            if not ready:
                return
            yield ready.popleft()

    def _read(self, tiles: list[Tile], *, preview: bool) -> Batch:
        return Batch(self._readers.submit(self._reader.load, tiles), preview)

    def _ahead(self) -> Batch | None:
        """Begin to read what comes next; ``None`` if all is taken."""
        if self._plan.streams:
            return self._read_below()
        tiles = self._next()
        return self._read(tiles, preview=False) if tiles else None

    def _read_below(self) -> Batch | None:
        """Read the next tile of a strip, as far as the one above it does not have it.

        Where the mask is, is read first, by tasks of their own: those that wait for
        them come later, so the readers cannot wait for each other.
        """
        index, last = self._queue.pop(), self._last
        if index is None:
            return None
        tile, inside = self._plan.grid[index], None
        if self._plan.mask is not None:
            inside = self._readers.submit(self._reader.inside, tile)
        self._last = Wanted(tile, inside)
        above = last
        if last is not None and below(self._plan.grid, last.tile.index) != index:
            above = None
        loaded = self._readers.submit(self._reader.load_below, self._last, above)
        return Batch(loaded, preview=False)

    def _next(self) -> list[Tile]:
        """Take up to a batch of tiles of one shape; none if all are taken."""
        tiles: list[Tile] = []
        while len(tiles) < self._plan.settings.batch:
            index = self._queue.pop()
            if index is None:
                break
            tile = self._plan.grid[index]
            if tiles and _shape(tile) != _shape(tiles[0]):
                self._queue.put_back(index)
                break
            tiles.append(tile)
        return tiles


class _Previews:
    """Tiles in view that wait and have not been shown, after each move.

    Of wide tiles only the part that is looked at is taken, with some room around it.
    """

    def __init__(self, plan: Plan, queue: TileQueue) -> None:
        self._plan, self._queue = plan, queue
        self._shown: dict[int, Box] = {}
        self._version = -1
        self._waiting: Iterator[Tile] = iter(())

    def pop(self) -> Tile | None:
        """Take the next tile to be previewed; ``None`` if there is none."""
        if self._plan.preview is None:
            return None
        version, box = self._plan.focus.seen
        if version != self._version:
            self._version = version
            self._waiting = self._in_view(box)
        for tile in self._waiting:
            shown = self._shown.get(tile.index)
            new = shown is None or not _within(tile.core, shown)
            if new and tile.index in self._queue:
                self._shown[tile.index] = tile.core
                return tile
        return None

    def _in_view(self, box: Box | None) -> Iterator[Tile]:
        """Return the tiles of level 1 that meet a box, if that is not too large."""
        if self._plan.preview is None or box is None or _size(box) > _MOST_PREVIEWED:
            return iter(())
        grid = self._plan.preview.grid
        n = len(grid.loop_shape)
        loops = product(
            *(
                range(max(start, 0), min(stop, size))
                for (start, stop), size in zip(box[:n], grid.loop_shape, strict=True)
            )
        )
        seen, edge = box[n:], _PREVIEWED[len(grid.shape)]
        return (
            grid.part(tile, seen, edge)
            for loop in loops
            for tile in grid.tiles_meeting(seen, loop)
        )


def _within(box: Box, other: Box) -> bool:
    return all(a >= c and b <= d for (a, b), (c, d) in zip(box, other, strict=True))


def _size(box: Box) -> int:
    return math.prod(max(stop - start, 0) for start, stop in box)


def _shape(tile: Tile) -> tuple[tuple[int, ...], Box]:
    """Return what tiles of one batch have in common: edges and crop."""
    return tuple(stop - start for start, stop in tile.outer), tile.crop
