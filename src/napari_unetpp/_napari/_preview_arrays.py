"""What a live prediction has found so far, in arrays that layers show.

Two forms are kept. What layers draw may be thinned, because drawing takes time on the
GUI thread; what is accepted as labels needs every pixel. Neither has the size of the
image: they cover the view, or a plane that is small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import label_dtype
from napari_unetpp.config import INSTANCE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.inference import PreviewTile

    Bytes = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]

MOST_SHOWN = 2 * 2**20
"""Pixels of what is drawn, above which rows and columns are left out."""
MOST_KEPT = 32 * 2**20
"""Pixels of a view above which not all of them are kept."""
STEPS = 255
"""Probabilities are kept in the steps in which objects are made from them."""

_BACKGROUND = INSTANCE_CLASSES.index("background")
_INTERIOR = INSTANCE_CLASSES.index("interior")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an image.

    Attributes
    ----------
    image : int
        Which image of the training.
    region : Box
        Pixels along the spatial axes.
    loop : tuple of int
        Index along each other axis but C.
    """

    image: int
    region: Box
    loop: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along the spatial axes."""
        return tuple(stop - start for start, stop in self.region)

    @property
    def step(self) -> int:
        """Pixels along Y and X for each that is drawn."""
        return max(1, math.ceil(math.sqrt(math.prod(self.shape) / MOST_SHOWN)))

    @property
    def every(self) -> tuple[int, ...]:
        """The step along each spatial axis: only rows and columns are left out."""
        return (*(1 for _ in self.region[:-2]), self.step, self.step)

    @property
    def shown_shape(self) -> tuple[int, ...]:
        """Size of what is drawn along the spatial axes."""
        return tuple(-(-n // s) for n, s in zip(self.shape, self.every, strict=True))

    @property
    def n_pixels(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def is_deep(self) -> bool:
        """Whether it is more than one plane of a stack."""
        return len(self.region) == 3 and self.shape[0] > 1

    def shows(self, other: Part) -> bool:
        """Return whether this part holds another in no less detail."""
        same = (self.image, self.loop) == (other.image, other.loop)
        return same and self.step <= other.step and _holds(self.region, other.region)


class PreviewArrays:
    """Arrays over a part of an image that fill tile by tile.

    Parameters
    ----------
    part : Part
        What they cover.
    class_values : sequence of int, optional
        Label value of each class, for a model of classes; without it, of objects.

    Attributes
    ----------
    main : ndarray, (*part.shown_shape)
        What is drawn: label values, 0 where nothing is predicted yet, or the
        probability of the foreground (float16).
    uncertainty : ndarray of float16, (*part.shown_shape)
        Entropy of the mean of the heads, 0...1.
    found : ndarray of uint8, (n, *part.shape), or None
        Every pixel: index of the class (n = 1), or interior and foreground in steps
        (n = 2); ``None`` if the part is too large.
    known : ndarray of bool, (*part.shape), or None
        Where something is predicted.
    """

    def __init__(self, part: Part, class_values: Sequence[int] = ()) -> None:
        self.part = part
        self._values = np.zeros(0, np.uint8)
        dtype: npt.DTypeLike = np.float16
        if class_values:
            dtype = label_dtype(class_values)
            self._values = np.asarray(class_values, dtype)
        self.main: npt.NDArray[Any] = np.zeros(part.shown_shape, dtype)
        self.uncertainty = np.zeros(part.shown_shape, np.float16)
        self.found: Bytes | None = None
        self.known: Mask | None = None
        if part.n_pixels <= MOST_KEPT:
            self.found = np.zeros((1 if class_values else 2, *part.shape), np.uint8)
            self.known = np.zeros(part.shape, bool)

    def write(self, tile: PreviewTile) -> None:
        """Take what lies of a tile in the part."""
        box = tile.box[len(tile.loop) :]
        shared = meet(box, self.part.region)
        if shared is None:
            return
        inside = slices(_within(shared, box))
        found = self._read(tile.mean[(slice(None), *inside)])
        target = _within(shared, self.part.region)
        if self.found is not None and self.known is not None:
            self.found[(slice(None), *slices(target))] = found
            self.known[slices(target)] = True
        source = tuple(
            slice(-start % step, None, step)
            for (start, _), step in zip(target, self.part.every, strict=True)
        )
        thinned = tuple(
            slice(-(-start // step), -(-stop // step))
            for (start, stop), step in zip(target, self.part.every, strict=True)
        )
        self.main[thinned] = self._drawn(found[(slice(None), *source)])
        self.uncertainty[thinned] = tile.uncertainty[inside][source]

    def take_over(self, earlier: PreviewArrays) -> None:
        """Go on with what was found before, where the parts meet."""
        mine, theirs = self.part, earlier.part
        if (mine.image, mine.loop) != (theirs.image, theirs.loop):
            return
        picks = [
            _same_places(new, old, step, old_step)
            for new, old, step, old_step in zip(
                mine.region, theirs.region, mine.every, theirs.every, strict=True
            )
        ]
        target = np.ix_(*(here for here, _ in picks))
        source = np.ix_(*(there for _, there in picks))
        self.main[target] = earlier.main[source]
        self.uncertainty[target] = earlier.uncertainty[source]
        shared = meet(mine.region, theirs.region)
        if shared is None or self.found is None or earlier.found is None:
            return
        if self.known is not None and earlier.known is not None:
            here = slices(_within(shared, mine.region))
            there = slices(_within(shared, theirs.region))
            self.found[(slice(None), *here)] = earlier.found[(slice(None), *there)]
            self.known[here] = earlier.known[there]

    @property
    def commonest(self) -> int:
        """The label value that is drawn most often, of classes."""
        counts = np.bincount(self.main.ravel())
        return int(counts[1:].argmax()) + 1 if len(counts) > 1 else 0

    def empty(self) -> None:
        """Forget what was found."""
        for array in (self.main, self.uncertainty, self.found, self.known):
            if array is not None:
                array[...] = 0

    def window(self, region: Box) -> tuple[Bytes, Mask] | None:
        """Return `found` and `known` of a region within the part; None if not kept."""
        if self.found is None or self.known is None:
            return None
        index = slices(_within(region, self.part.region))
        return self.found[(slice(None), *index)], self.known[index]

    def _read(self, mean: npt.NDArray[np.float16]) -> Bytes:
        """Return what is kept (n, *S) of probabilities (K, *S)."""
        if not len(self._values):
            steps = np.rint(mean.astype(np.float32) * STEPS).astype(np.uint8)
            return np.stack([steps[_INTERIOR], STEPS - steps[_BACKGROUND]])
        index: Bytes = mean.argmax(axis=0)[None].astype(np.uint8)
        return index

    def _drawn(self, found: Bytes) -> npt.NDArray[Any]:
        """Return what is drawn (*S) of what is kept (n, *S)."""
        drawn: npt.NDArray[Any]
        if len(self._values):
            drawn = self._values[found[0]]
        else:
            drawn = (found[1] / np.float32(STEPS)).astype(np.float16)
        return drawn


def meet(one: Box, other: Box) -> Box | None:
    """Return what two boxes share; ``None`` if it is nothing."""
    shared = tuple(
        (max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True)
    )
    return shared if all(start < stop for start, stop in shared) else None


def _holds(outer: Box, inner: Box) -> bool:
    pairs = zip(outer, inner, strict=True)
    return all(a <= c and d <= b for (a, b), (c, d) in pairs)


def _within(box: Box, region: Box) -> Box:
    """Return a box in pixels of a region that holds it."""
    return tuple(
        (start - first, stop - first)
        for (start, stop), (first, _) in zip(box, region, strict=True)
    )


def _same_places(
    new: tuple[int, int], old: tuple[int, int], step: int, old_step: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return drawn pixels along an axis, and those that showed the same place before.

    Parameters
    ----------
    new, old : (int, int)
        Pixels of the image that are covered now, and were before.
    step, old_step : int
        Pixels of the image for each that is drawn, now and before.
    """
    at = np.arange(new[0], new[1], step)
    here = np.flatnonzero((at >= old[0]) & (at < old[1]))
    return here, (at[here] - old[0]) // old_step
