"""Steps of a stream that compute only what blocks depend on that go on to their level.

Pieces of a map are packed side by side into one map, each with its context, so that the
kernels know nothing of it::

    map      ..[aaaa].........[bbbbbbbb]...[cc]....
    packed   .aaaa..bbbbbbbb..cc.

What is not computed is zero: nothing that is wanted reads it, but kernels multiply it
by weights of zero, and memory may hold what is not a number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp.nn._activity import round_up
from napari_unetpp.nn._steps import Convolve, Transposed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from napari_unetpp._types import Box
    from napari_unetpp.nn._activity import Region
    from napari_unetpp.nn._fused import Convolution
    from napari_unetpp.nn._kernels import Kernels
    from napari_unetpp.nn._rows import Rows

    Index = tuple[slice, ...]

_LENGTH = {1: 32, 2: 16}
"""Lengths of packed maps are multiples of it, because kernels are made for a length."""

_LANES = 8
"""Kernels take so many pixels along the last axis together, at most."""


class Packing:
    """How pieces of some rows lie behind each other in one map.

    Parameters
    ----------
    boxes : sequence of Box
        The pieces, as `Region.boxes` gives them; at least one.
    inner : tuple of int
        Size of the map along all axes but the first.
    context : int
        Pixels around each piece that come with it, zero outside the map.

    Attributes
    ----------
    shape : tuple of int
        Of the packed map along all axes but the first.
    """

    def __init__(
        self, boxes: Sequence[Box], inner: tuple[int, ...], context: int
    ) -> None:
        others = [round_up(b - a + 2 * context, _LANES) for a, b in boxes[0][1:]]
        self._there: list[tuple[Index, Index]] = []  # in the packed map, in the map
        self._back: list[tuple[Index, Index]] = []
        self._blank: list[Index] = []
        at = 0
        for box in boxes:
            room = (box[0][1] - box[0][0] + 2 * context, *others)
            self._add(box, inner, context, room, at)
            at += room[0]
        length = round_up(at, _LENGTH[len(inner)])
        if length > at:
            self._blank.append((slice(None), slice(at, length)))
        self.shape = (length, *others)

    def pack(self, rows: Tensor) -> Tensor:
        """Return the pieces (n, *shape, C) of rows (n, *inner, C)."""
        packed = rows.new_empty((len(rows), *self.shape, rows.shape[-1]))
        for place in self._blank:
            packed[place] = 0
        for place, source in self._there:
            packed[place] = rows[source]
        return packed

    def unpack(self, packed: Tensor, rows: Tensor) -> None:
        """Write the pieces, without their context, to where they belong."""
        for source, place in self._back:
            rows[place] = packed[source]

    def _add(
        self,
        box: Box,
        inner: tuple[int, ...],
        context: int,
        room: tuple[int, ...],
        at: int,
    ) -> None:
        """Note where a piece lies, from the pixel `at` on."""
        everything = slice(None)
        there, source, back, place = (
            [everything],
            [everything],
            [everything],
            [everything],
        )
        whole = True
        starts = (at, *(0 for _ in room[1:]))
        for (a, b), size, n, start in zip(box, inner, room, starts, strict=True):
            low, high = max(a - context, 0), min(b + context, size)
            source.append(slice(low, high))
            there.append(slice(start + low - a + context, start + high - a + context))
            stop = min(b, size)
            place.append(slice(a, stop))
            back.append(slice(start + context, start + context + stop - a))
            whole &= high - low == n
        if not whole:
            self._blank.append((everything, slice(at, at + room[0])))
        self._there.append((tuple(there), tuple(source)))
        self._back.append((tuple(back), tuple(place)))


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """Which rows of a map are computed together, and what of them.

    Few kernels are called for many rows, but where anything is wanted of any of them,
    it is computed of all.

    Attributes
    ----------
    region : Region
        What must be computed.
    n_rows : int
        Rows of a chunk.
    phase : int
        Row at which the second one begins: a step before another is ahead by the rows
        that the other reads.
    """

    region: Region
    n_rows: int
    phase: int

    def whole(self, row: int) -> int:
        """Return up to which row there are whole chunks among the first `row` rows."""
        return max(0, row - (row - self.phase) % self.n_rows)

    def reach(self, reach: int, source: Rows) -> int:
        """Return how many rows can be computed: whole chunks, and in the end all."""
        return self.whole(reach) if source.total is None else reach

    def allowed(self, start: int, most: int) -> int:
        """Return how many rows from `start` on are known to be wanted or not."""
        known = self.region.known()
        return most if known is None else min(most, self.whole(known) - start)

    def cut(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the chunks between two rows."""
        while start < stop:
            end = start + self.n_rows - (start - self.phase) % self.n_rows
            yield start, min(end, stop)
            start = end


class GatedConvolve(Convolve):
    """A convolution that is computed where a region says.

    Parameters
    ----------
    kernels, sources, target, weights
        As of `Convolve`.
    chunks : Chunks
        What must be computed.
    """

    def __init__(
        self,
        kernels: Kernels,
        sources: Sequence[Rows],
        target: Rows,
        weights: Convolution,
        chunks: Chunks,
    ) -> None:
        super().__init__(kernels, sources, target, weights)
        self._chunks = chunks
        self.n_computed = 0

    def advance(self, most: int) -> bool:
        """Compute up to `most` rows of those of which it is known what is wanted."""
        most = self._chunks.allowed(self.target.stop, most)
        return most > 0 and super().advance(most)

    def reach(self, source: Rows) -> int:
        """Return how many rows can be computed."""
        return self._chunks.reach(super().reach(source), source)

    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""
        for first, end in self._chunks.cut(start, stop):
            boxes = self._chunks.region.boxes(first, end)
            if boxes is None:
                super().compute(first, end)
                self.n_computed += (end - first) * math.prod(self._chunks.region.inner)
                continue
            target = self.target.extend(end - first)
            target.zero_()
            if boxes:
                self._pieces(first, end, boxes, target)

    def _pieces(
        self, start: int, stop: int, boxes: Sequence[Box], target: Tensor
    ) -> None:
        packing = Packing(boxes, self._chunks.region.inner, 1)
        packed = [
            packing.pack(source.view(start - 1, stop + 1)) for source in self.sources
        ]
        found = target.new_empty((stop - start, *packing.shape, target.shape[-1]))
        self._kernels.convolve(packed, self._weights, found)
        packing.unpack(found, target)
        self.n_computed += (stop - start) * math.prod(packing.shape)


class GatedTransposed(Transposed):
    """A transposed convolution that is computed where a region says.

    Parameters
    ----------
    kernels, source, target, weights, stride
        As of `Transposed`.
    chunks : Chunks
        What must be computed; rows and phase are multiples of the stride.
    """

    def __init__(
        self,
        kernels: Kernels,
        source: Rows,
        target: Rows,
        weights: tuple[Tensor, Tensor],
        stride: tuple[int, ...],
        chunks: Chunks,
    ) -> None:
        super().__init__(kernels, source, target, weights, stride)
        self._chunks = chunks

    def advance(self, most: int) -> bool:
        """Compute up to `most` rows of those of which it is known what is wanted."""
        most = self._chunks.allowed(self.target.stop, most)
        return most > 0 and super().advance(most)

    def reach(self, source: Rows) -> int:
        """Return how many rows come of what is there."""
        return self._chunks.reach(super().reach(source), source)

    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""
        for first, end in self._chunks.cut(start, stop):
            boxes = self._chunks.region.boxes(first, end)
            if boxes is None:
                super().compute(first, end)
                continue
            target = self.target.extend(end - first)
            target.zero_()
            if boxes:
                self._pieces(first, end, boxes, target)

    def _pieces(
        self, start: int, stop: int, boxes: Sequence[Box], target: Tensor
    ) -> None:
        step, *inner = self._stride
        view = self.sources[0].view(start // step, stop // step)
        coarse = [
            tuple((a // n, b // n) for (a, b), n in zip(box, inner, strict=True))
            for box in boxes
        ]
        below = tuple(
            n // s for n, s in zip(self._chunks.region.inner, inner, strict=True)
        )
        packed = Packing(coarse, below, 0).pack(view)
        shape = [n * s for n, s in zip(packed.shape[:-1], self._stride, strict=True)]
        found = target.new_empty((*shape, target.shape[-1]))
        self._kernels.transposed(packed, self._weights, self._stride, found)
        fine = [
            tuple((a * n, b * n) for (a, b), n in zip(box, inner, strict=True))
            for box in coarse
        ]
        Packing(fine, self._chunks.region.inner, 0).unpack(found, target)
