"""Two pixel grids over one image: its own, and the one on which a network reads it.

Both cover the same extent, so pixel i of a grid with n pixels has its centre at the
share (i + 1/2) / n of it. A pixel's value depends on its place alone, never on which
others are asked for with it: what is resampled tile by tile is that of the whole, bit
for bit. NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray

_NOTHING = 1e-9  # weight that is but a rounding error


@dataclass(frozen=True, slots=True)
class Rescaling:
    """From one grid to another, along the spatial axes.

    Attributes
    ----------
    shape : tuple of int
        Pixels of the grid that there is.
    target : tuple of int
        Pixels of the grid that is wanted, over the same extent.
    """

    shape: tuple[int, ...]
    target: tuple[int, ...]

    @classmethod
    def by(cls, shape: Sequence[int], factor: float) -> Self:
        """Return the rescaling that makes everything `factor` times as large."""
        target = tuple(max(round(size * factor), 1) for size in shape)
        return cls(tuple(shape), target)

    @property
    def inverse(self) -> Rescaling:
        """The way back."""
        return Rescaling(self.target, self.shape)

    @property
    def steps(self) -> tuple[float, ...]:
        """Pixels of the grid that there is for one of that wanted, along each axis."""
        return tuple(n / m for n, m in zip(self.shape, self.target, strict=True))

    def placed(
        self, scale: Sequence[float], translate: Sequence[float]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return scale and first pixel's place of the wanted grid.

        Parameters
        ----------
        scale, translate : sequence of float
            Those of the grid that there is, in world units.
        """
        old = list(zip(scale, translate, self.steps, strict=True))
        return (
            tuple(size * step for size, _, step in old),
            tuple(first + size * (step - 1) / 2 for size, first, step in old),
        )

    def needed(self, box: Box) -> Box:
        """Return the pixels from which those of `box`, in the wanted grid, are made."""
        found = []
        for (start, stop), size, step in zip(box, self.shape, self.steps, strict=True):
            reach = max(step, 1.0)
            first = math.floor((start + 0.5) * step - reach - 0.5) + 1
            last = math.ceil((stop - 0.5) * step + reach - 0.5)
            found.append((min(max(first, 0), size - 1), min(max(last, 1), size)))
        return tuple(found)

    def covering(self, box: Box) -> Box:
        """Return the pixels of the wanted grid that lie over those of `box`."""
        return tuple(
            (min(max(math.floor(a / step), 0), n - 1), min(math.ceil(b / step), n))
            for (a, b), n, step in zip(box, self.target, self.steps, strict=True)
        )

    def linear(self, pixels: FloatArray, origin: Sequence[int], box: Box) -> FloatArray:
        """Return pixels of the wanted grid, interpolated linearly.

        Where the wanted grid is coarser, all pixels below one of its pixels count, by
        a triangle as wide as two of them: nothing is lost between them (antialiasing).

        Parameters
        ----------
        pixels : ndarray of float32, (..., *S)
            At least the pixels that `needed` names.
        origin : sequence of int
            First of them.
        box : Box
            Wanted, in the wanted grid.

        Returns
        -------
        ndarray of float32, (..., *box)
            Where all that counts has one value, exactly that value.
        """
        first_axis = pixels.ndim - len(self.shape)
        spans = zip(self.shape, self.target, origin, box, strict=True)
        for axis, (size, wanted, first, span) in enumerate(spans, start=first_axis):
            if size != wanted:
                pixels = _interpolated(pixels, axis, size / wanted, size, first, span)
            else:
                cut = slice(span[0] - first, span[1] - first)
                pixels = pixels[(slice(None),) * axis + (cut,)]
        return np.ascontiguousarray(pixels)

    def nearest(
        self, values: npt.NDArray[Any], origin: Sequence[int], box: Box
    ) -> npt.NDArray[Any]:
        """Return values of the wanted grid, each that of the pixel below its centre.

        Parameters
        ----------
        values : ndarray, (..., *S)
            At least the pixels that `under` names.
        origin : sequence of int
            First of them.
        box : Box
            Wanted, in the wanted grid.
        """
        first_axis = values.ndim - len(self.shape)
        spans = zip(self.shape, self.target, origin, box, strict=True)
        for axis, (size, wanted, first, span) in enumerate(spans, start=first_axis):
            at = _below(np.arange(*span), size, wanted) - first
            values = values.take(at, axis)
        return values

    def under(self, box: Box) -> Box:
        """Return the pixels that `nearest` looks at for those of `box`."""
        return tuple(
            (
                int(_below(np.asarray(start), size, wanted)),
                int(_below(np.asarray(stop - 1), size, wanted)) + 1,
            )
            for (start, stop), size, wanted in zip(
                box, self.shape, self.target, strict=True
            )
        )


def _below(
    index: npt.NDArray[np.integer[Any]], size: int, wanted: int
) -> npt.NDArray[np.int64]:
    """Return the pixels, of `size`, under the centres of pixels of `wanted`."""
    # In integers: floor((i + 1/2) * size / wanted), the same on every machine.
    return (2 * index.astype(np.int64) + 1) * size // (2 * wanted)


def _interpolated(
    pixels: FloatArray,
    axis: int,
    step: float,
    size: int,
    origin: int,
    span: tuple[int, int],
) -> FloatArray:
    """Return `pixels` with one axis made anew."""
    taps, weights = _taps(step, size, span)
    around = (-1,) + (1,) * (pixels.ndim - 1 - axis)
    heaviest = np.take_along_axis(taps, weights.argmax(axis=0)[None], axis=0)[0]
    # Differences to one of them are summed up: of equal values nothing is left.
    base = pixels.take(heaviest - origin, axis)
    found: FloatArray = base.copy()
    for tap, weight in zip(taps, weights, strict=True):
        if weight.any():
            part = pixels.take(tap - origin, axis)
            part -= base
            part *= weight.reshape(around)
            found += part
    return found


def _taps(
    step: float, size: int, span: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return which pixels count for each wanted one, and how much.

    Both are (taps, wanted); what lies outside the image counts nothing, and the others
    the more.
    """
    reach = max(step, 1.0)
    centre = (np.arange(*span, dtype=np.float64) + 0.5) * step
    first = np.floor(centre - reach - 0.5).astype(np.int64) + 1
    taps = first + np.arange(math.ceil(2 * reach) + 1)[:, None]
    weights = np.maximum(1 - np.abs(taps + 0.5 - centre) / reach, 0)
    weights[(taps < 0) | (taps >= size) | (weights < _NOTHING)] = 0
    weights /= weights.sum(axis=0)
    # What counts nothing is not looked up beyond what counts: it need not be there.
    low = np.where(weights > 0, taps, size).min(axis=0)
    high = np.where(weights > 0, taps, -1).max(axis=0)
    return np.clip(taps, low, high), weights.astype(np.float32)
