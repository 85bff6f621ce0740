"""From the grid on which a network has read an image back to the image's own."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import dask.array as da
import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._stages import counted
from napari_unetpp.tiling import TileGrid

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray, LazyArray
    from napari_unetpp.arrays import Rescaling

RESIZE = "resize"
"""Stage of a run in which results come back to the image's own grid."""

_EDGES = {2: (1024, 1024), 3: (64, 192, 192)}
_SMALLEST = 16  # pixels; blocks are multiples of it


@dataclass(frozen=True, slots=True)
class OwnGrid:
    """What is wanted on the image's own grid, and from what it is made.

    Attributes
    ----------
    back : Rescaling
        From the grid of the network to the image's own, both of the whole image.
    origin : tuple of int
        First pixel, on the grid of the network, of what was predicted.
    region : Box
        What is wanted, on the image's own grid.
    """

    back: Rescaling
    origin: tuple[int, ...]
    region: Box

    @classmethod
    def of(cls, rescaling: Rescaling, region: Box | None = None) -> Self:
        """Return the way back of an image that is read by `rescaling`.

        Parameters
        ----------
        rescaling : Rescaling
            From the image's own grid to that of the network.
        region : Box, optional
            What is wanted, on the image's own grid; all by default.
        """
        back = rescaling.inverse
        region = region or tuple((0, size) for size in rescaling.shape)
        return cls(back, tuple(start for start, _ in back.needed(region)), region)

    @property
    def needed(self) -> Box:
        """What must be predicted, on the grid of the network."""
        return self.back.needed(self.region)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of what is wanted along the spatial axes."""
        return tuple(stop - start for start, stop in self.region)

    @property
    def loses(self) -> bool:
        """Whether small objects may fall between the pixels of the image's own grid."""
        return any(step > 1 for step in self.back.steps)

    @property
    def edges(self) -> tuple[int, ...]:
        """Edges of the blocks in which it is made: of bounded size on both grids."""
        wanted = _EDGES[len(self.region)]
        return tuple(
            max(int(edge / max(step, 1)) // _SMALLEST, 1) * _SMALLEST
            for edge, step in zip(wanted, self.back.steps, strict=True)
        )

    def blocks(self, loop_shape: tuple[int, ...]) -> TileGrid:
        """Return these blocks, as tiles without a halo."""
        n = len(self.region)
        return TileGrid(self.shape, self.edges, (0,) * n, (1,) * n, loop_shape)

    def linear(self, array: LazyArray, lead: tuple[Any, ...], box: Box) -> FloatArray:
        """Return a part of what is wanted, interpolated linearly.

        Parameters
        ----------
        array : LazyArray, (*leading, *S)
            What was predicted.
        lead : tuple of int or slice
            Index into the leading axes.
        box : Box
            The part, from the beginning of what is wanted.
        """
        wanted = self._placed(box)
        needed = self.back.needed(wanted)
        pixels = read(array, (*lead, *slices(self._found(needed))))
        origin = [start for start, _ in needed]
        return self.back.linear(pixels.astype(np.float32, copy=False), origin, wanted)

    def nearest(
        self, array: LazyArray, lead: tuple[Any, ...], box: Box
    ) -> npt.NDArray[Any]:
        """Return a part of what is wanted, each pixel as the one under its centre."""
        wanted = self._placed(box)
        under = self.back.under(wanted)
        values = read(array, (*lead, *slices(self._found(under))))
        return self.back.nearest(values, [start for start, _ in under], wanted)

    def touched(self, box: Box) -> Box:
        """Return the part of what is wanted that depends on a box of the prediction."""
        grown = tuple(
            (first + start - reach, first + stop + reach)
            for (start, stop), first, reach in zip(
                box,
                self.origin,
                (math.ceil(max(step, 1)) for step in self.back.steps),
                strict=True,
            )
        )
        return tuple(
            (min(max(start, low), high) - low, min(max(stop, low), high) - low)
            for (start, stop), (low, high) in zip(
                self.back.covering(grown), self.region, strict=True
            )
        )

    def _placed(self, box: Box) -> Box:
        """Return a part of what is wanted as it lies in the whole image."""
        return tuple(
            (first + start, first + stop)
            for (start, stop), (first, _) in zip(box, self.region, strict=True)
        )

    def _found(self, box: Box) -> Box:
        """Return a box of the network's grid as it lies in what was predicted."""
        return tuple(
            (start - first, stop - first)
            for (start, stop), first in zip(box, self.origin, strict=True)
        )


class _Resized:
    """An array of probabilities on the image's own grid, made when it is sliced."""

    def __init__(self, array: LazyArray, grid: OwnGrid) -> None:
        self._array, self._grid = array, grid
        self._n_leading = array.ndim - len(grid.region)
        self.shape = tuple(array.shape[: self._n_leading]) + grid.shape
        self.ndim, self.dtype = len(self.shape), np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> FloatArray:
        spans = [range(n)[part] for n, part in zip(self.shape, key, strict=True)]
        box = tuple((span.start, span.stop) for span in spans[self._n_leading :])
        return self._grid.linear(self._array, key[: self._n_leading], box)


def resized(array: da.Array, grid: OwnGrid) -> da.Array:
    """Return (*leading, *S) probabilities on the image's own grid, lazily."""
    view = _Resized(array, grid)
    n = len(grid.region)
    chunks = (1,) * (view.ndim - n) + tuple(map(min, grid.edges, grid.shape))
    return da.from_array(
        view,
        chunks,
        name=f"resized-{uuid.uuid4().hex}",  # dask would read all of it to name it
        asarray=False,
        meta=np.empty((0,) * view.ndim, view.dtype),
    )


def resize_labels(
    found: LazyArray, grid: OwnGrid, labels: Any, run_id: str, *, objects: bool
) -> Generator[BlockDone, None, int | None]:
    """Bring labels to the image's own grid.

    Parameters
    ----------
    found : LazyArray of unsigned int, (*loops, *S)
        Labels on the grid of the network.
    grid : OwnGrid
        The way back.
    labels : ndarray or zarr.Array, (*loops, *region)
        Takes them.
    run_id : str
        Stands in the events.
    objects : bool
        Whether labels number objects 1...n: they are numbered anew if some are so
        small that no pixel of the image's own grid lies on them.

    Yields
    ------
    BlockDone
        After each block.

    Returns
    -------
    int or None
        Number of objects; ``None`` without.
    """
    n_loops = found.ndim - len(grid.region)
    blocks = grid.blocks(tuple(found.shape[:n_loops]))
    ids: list[npt.NDArray[Any]] = []
    start = time.monotonic()
    for n_done, block in enumerate(blocks, start=1):
        part = grid.nearest(found, block.loop, block.core)
        labels[(*block.loop, *slices(block.core))] = part
        ids.append(counted(part)[0])
        seconds = time.monotonic() - start
        yield BlockDone(run_id, RESIZE, n_done, len(blocks), seconds)
    if not objects:
        return None
    table = new_numbers(ids)
    n_objects = int(table.max(initial=0))
    if n_objects < len(table) - 1:
        for block in blocks:
            place = (*block.loop, *slices(block.core))
            labels[place] = table[labels[place]]
    return n_objects


def new_numbers(ids: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.uint32]:
    """Return the numbers 1...n, by old number, of those that occur; 0 for others."""
    known = [np.asarray(each, np.int64) for each in ids]
    there = np.zeros(max((int(k.max(initial=0)) for k in known), default=0) + 1, bool)
    for each in known:
        there[each] = True
    there[0] = False
    return (np.cumsum(there) * there).astype(np.uint32)
