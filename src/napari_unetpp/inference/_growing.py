"""Growing the seeds of contested pieces of a block, in windows as small as proved.

Most pieces of foreground hold one seed, and are one object without any flood. What is
left is flooded in a window around each contested piece, larger and larger until the
flood is proved (see `_watershed`)::

    +--- block ------------------------+
    |      +-------+                   |
    |      | 1 1 2 |  a window         |
    |      +-------+         +---------|---+
    |                        |   3 3 4 | 4 |  goes on beyond the block
    +------------------------+---------+---+

Where pieces are many, one window around all of them is cheaper.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unetpp._types import slices
from napari_unetpp.inference._joins import CONTESTED, SEED
from napari_unetpp.inference._watershed import UNSURE, Window, grow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.inference._stages import Bytes, LabelArrays, State
    from napari_unetpp.tiling import Tile, TileGrid

    Ids = npt.NDArray[np.integer[Any]]
    Mask = npt.NDArray[np.bool_]

STEPS = 255
"""Probabilities are compared in the steps in which they are stored."""

_CROWDED = 0.5
"""Share of a block from which one window is taken for all that are around pieces."""
_WORTH = 8
"""A window around a crowded block has at least this part of the largest halo."""


class Growing:
    """Floods of blocks.

    Parameters
    ----------
    arrays : LabelArrays
        What is read.
    grid : TileGrid
        The blocks, without halo.
    halos : sequence of int
        Context around what is flooded, rising.
    threshold : float
        Foreground in steps of 1/255 lies above it.
    """

    def __init__(
        self,
        arrays: LabelArrays,
        grid: TileGrid,
        halos: Sequence[int],
        threshold: float,
    ) -> None:
        self._arrays, self._grid, self._halos = arrays, grid, tuple(halos)
        self._threshold = threshold

    def ids(self, block: Tile, place: tuple[Any, ...], state: State) -> Ids:
        """Return the ids that a part of a block has so far; a single 0 for none."""
        at = block.index
        version = int(state["versions"][at]) if "versions" in state else -1
        if version >= 0:
            return np.asarray(self._arrays.grown[version % 2][place])
        if "starts" not in state or state["starts"][at] < 0:
            return np.zeros((), np.uint32)
        numbers, nodes = self._nodes(block, place, state)
        return np.asarray(state["ids"][nodes].take(numbers))

    def first(self, tile: Tile, state: State) -> tuple[Ids, Mask]:
        """Grow the seeds of a block.

        Returns
        -------
        ids : ndarray of int, (*core)
            Objects, 0 for what nothing has reached.
        contested : ndarray of bool, (*core)
            What had to be flooded.
        """
        place = (*tile.loop, *slices(tile.core))
        numbers, nodes = self._nodes(tile, place, state)
        table = state["ids"][nodes].astype(np.int32)
        table[state["kinds"][nodes] == CONTESTED] = UNSURE
        ids = table.take(numbers)
        contested = ids == UNSURE
        boxes = _boxes(numbers * contested, tile.core)
        ids[contested] = 0
        for halo in self._halos:
            crowded = self._crowded(tile, boxes, halo)
            if boxes and not (crowded and halo < self._halos[-1] // _WORTH):
                boxes = self._flood(tile, boxes, halo, ids, state, crowded=crowded)
        if boxes:
            self._flood(
                tile, boxes, self._halos[-1], ids, state, crowded=True, sure=True
            )
        return ids, contested

    def further(self, tile: Tile, state: State) -> tuple[Ids, Mask]:
        """Grow into a block what has come near it from farther away.

        Returns
        -------
        ids : ndarray of int, (*core)
            Objects, 0 for what nothing has reached.
        left : ndarray of bool, (*core)
            Foreground that had no object before.
        """
        box = self._around(tile.core, self._halos[-1])
        interior, foreground = self._planes(tile, box)
        mask = foreground > self._threshold
        ids = np.zeros(mask.shape, np.int32)
        for block, inside, place in self._parts(tile, box):
            ids[inside] = self.ids(block, place, state)
        crop = slices(_within(tile.core, box))
        (grown,) = grow([Window(STEPS - interior, mask, ids)])
        return grown[crop], (mask & (ids == 0))[crop]

    def _flood(
        self,
        tile: Tile,
        boxes: Sequence[Box],
        halo: int,
        out: npt.NDArray[np.int32],
        state: State,
        *,
        crowded: bool,
        sure: bool = False,
    ) -> list[Box]:
        """Flood what is contested in boxes; return those in which not all is proved.

        What is proved, or all if `sure` is asked for, is written to `out`, (*core).
        Boxes that are `crowded` are flooded at once, with all of the block.
        """
        groups = [(tile.core, boxes)] if crowded else [(box, [box]) for box in boxes]
        region = _hull([self._around(box, halo) for box, _ in groups])
        elevation, contested, seeds = self._read(tile, region, state)
        windows, left = [], []
        for box, _ in groups:
            window = self._around(box, halo)
            at, cut = slices(_within(window, region)), self._cut(window)
            mask = contested[at] | (seeds[at] > 0)
            windows.append(Window(elevation[at], mask, seeds[at], () if sure else cut))
        for (box, members), grown in zip(groups, grow(windows), strict=True):
            found = grown[slices(_within(box, self._around(box, halo)))]
            known = found != UNSURE
            kept = out[slices(_within(box, tile.core))]
            open_ = contested[slices(_within(box, region))]
            np.copyto(kept, found, where=open_ & known)
            left += [m for m in members if not known[slices(_within(m, box))].all()]
        return left

    def _crowded(self, tile: Tile, boxes: Sequence[Box], halo: int) -> bool:
        """Return whether boxes with their halos are more to flood than the block."""
        most = _CROWDED * _size(self._around(tile.core, halo))
        return sum(_size(self._around(box, halo)) for box in boxes) > most

    def _read(
        self, tile: Tile, box: Box, state: State
    ) -> tuple[Bytes, Mask, npt.NDArray[np.int32]]:
        """Return elevation, what is contested, and the ids of seeds in a box."""
        interior, _ = self._planes(tile, box)
        found = np.zeros(interior.shape, np.int32)
        for block, inside, place in self._parts(tile, box):
            if state["starts"][block.index] >= 0:
                numbers, nodes = self._nodes(block, place, state)
                kinds = state["kinds"][nodes]
                table = np.where(kinds == SEED, state["ids"][nodes].view(np.int32), 0)
                table[kinds == CONTESTED] = UNSURE
                found[inside] = table.take(numbers)
        contested = found == UNSURE
        found[contested] = 0
        return STEPS - interior, contested, found

    def _nodes(
        self, block: Tile, place: tuple[Any, ...], state: State
    ) -> tuple[Ids, slice]:
        """Return numbers at a place of a block, and where their nodes are in tables."""
        numbers = self._arrays.nodes[place]
        start = int(state["starts"][block.index])
        return numbers.astype(np.intp), slice(start, start + int(numbers.max()) + 1)

    def _planes(self, tile: Tile, box: Box) -> tuple[Bytes, Bytes]:
        return self._arrays.planes((*tile.loop, *slices(box)))

    def _parts(
        self, tile: Tile, box: Box
    ) -> Iterator[tuple[Tile, tuple[slice, ...], tuple[Any, ...]]]:
        """Yield the blocks that meet a box, and where: in the box, in the arrays."""
        for block in self._grid.tiles_meeting(box, tile.loop):
            shared = tuple(
                (max(a, low), min(b, high))
                for (a, b), (low, high) in zip(block.core, box, strict=True)
            )
            yield block, slices(_within(shared, box)), (*tile.loop, *slices(shared))

    def _around(self, box: Box, halo: int) -> Box:
        """Return a box with a halo, cut at the image's borders."""
        return tuple(
            (max(start - halo, 0), min(stop + halo, size))
            for (start, stop), size in zip(box, self._grid.shape, strict=True)
        )

    def _cut(self, box: Box) -> list[tuple[bool, bool]]:
        """Return for each axis whether the image goes on before and after a box."""
        return [
            (start > 0, stop < size)
            for (start, stop), size in zip(box, self._grid.shape, strict=True)
        ]


def _boxes(numbers: Ids, core: Box) -> list[Box]:
    """Return the box of each number from 1 up, in the image."""
    return [
        tuple(
            (low + at.start, low + at.stop)
            for (low, _), at in zip(core, found, strict=True)
        )
        for found in ndimage.find_objects(numbers)
        if found is not None
    ]


def _hull(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all others."""
    return tuple(
        (min(start for start, _ in spans), max(stop for _, stop in spans))
        for spans in zip(*boxes, strict=True)
    )


def _within(box: Box, origin: Box) -> Box:
    """Return `box` as it lies within `origin`."""
    return tuple(
        (start - first, stop - first)
        for (start, stop), (first, _) in zip(box, origin, strict=True)
    )


def _size(box: Box) -> int:
    return math.prod(stop - start for start, stop in box)
