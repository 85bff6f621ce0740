"""The regions of an image around its labels: all that a training reads and keeps."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_unetpp._types import slices
from napari_unetpp.arrays import normalise
from napari_unetpp.io import image_range

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.arrays import Canonical, IntensityRange
    from napari_unetpp.config import IntensityConfig, Nonfinite


def boxes_around(
    labelled: npt.NDArray[np.bool_], edge: int, margin: int, shape: tuple[int, ...]
) -> list[Box]:
    """Return disjoint boxes that hold all labelled blocks and a margin around them.

    Parameters
    ----------
    labelled : ndarray of bool
        Blocks of a grid that hold labels, shape (*grid).
    edge : int
        Edge of a block in pixels.
    margin : int
        Pixels around every labelled block that are wanted too.
    shape : tuple of int
        Size of the image in pixels, where boxes end.
    """
    reach = 2 * -(-margin // edge) + 1
    region = ndimage.maximum_filter(labelled, size=reach, mode="constant")
    everywhere = np.ones((3,) * region.ndim, int)
    while True:  # boxes that touch are joined until none do
        found = ndimage.find_objects(ndimage.label(region, everywhere)[0])
        filled = np.zeros_like(region)
        for box in found:
            filled[box] = True
        if (filled == region).all():
            break
        region = filled
    return [
        tuple(
            (side.start * edge, min(n, side.stop * edge))
            for side, n in zip(box, shape, strict=True)
        )
        for box in found
    ]


class Crops:
    """Normalised pixels of the parts of an image that were asked for.

    Parameters
    ----------
    image : Canonical
        Where pixels are read.
    config : IntensityConfig
        How they are normalised: by the intensities of the whole image, found once.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or taken as background.
    """

    def __init__(
        self, image: Canonical, config: IntensityConfig, nonfinite: Nonfinite
    ) -> None:
        self._image, self._config, self._nonfinite = image, config, nonfinite
        self._intensity: IntensityRange | None = None
        self._known: dict[tuple[int, ...], list[tuple[Box, FloatArray]]] = {}

    def keep(self, loop: tuple[int, ...], boxes: list[Box]) -> list[FloatArray]:
        """Return the pixels (C, *S) of boxes, and forget all others of this plane.

        What is known is copied, or handed on if the box is; only the rest is read.
        """
        known = self._known.get(loop, [])
        kept = [(box, self._pixels(loop, box, known)) for box in boxes]
        self._known[loop] = kept
        return [pixels for _, pixels in kept]

    def _pixels(
        self, loop: tuple[int, ...], box: Box, known: list[tuple[Box, FloatArray]]
    ) -> FloatArray:
        for old, pixels in known:
            if old == box:
                return pixels
        size = tuple(stop - start for start, stop in box)
        result = np.empty((self._image.n_channels, *size), np.float32)
        missing = np.ones(size, bool)
        for old, pixels in known:
            common = _common(old, box)
            if common is not None:
                here, there = slices(_within(common, box)), slices(_within(common, old))
                result[:, *here] = pixels[:, *there]
                missing[here] = False
        if missing.any():
            hole = ndimage.find_objects(missing.astype(np.int8))[0]
            at = tuple(
                (start + side.start, start + side.stop)
                for (start, _), side in zip(box, hole, strict=True)
            )
            result[:, *hole] = self._read(loop, at)
        return result

    def _read(self, loop: tuple[int, ...], box: Box) -> FloatArray:
        image, name = self._image, self._image.image.name
        if self._intensity is None:
            self._intensity = image_range(image, self._config, self._nonfinite)
        at = (*((k, k + 1) for k in loop), (0, image.n_channels), *box)
        found = np.asarray(image.cut(at)[(0,) * len(loop)])
        return normalise(found, self._intensity, self._config, self._nonfinite, name)


def _common(a: Box, b: Box) -> Box | None:
    """Return the box that lies in both, or None."""
    common = tuple((max(p, q), min(r, s)) for (p, r), (q, s) in zip(a, b, strict=True))
    return common if all(start < stop for start, stop in common) else None


def _within(box: Box, outer: Box) -> Box:
    """Return a box in the pixels of an outer one."""
    return tuple(
        (start - first, stop - first)
        for (start, stop), (first, _) in zip(box, outer, strict=True)
    )


def cells_of(shape: tuple[int, ...], edge: int) -> tuple[int, ...]:
    """Return the number of blocks along each axis."""
    return tuple(-(-n // edge) for n in shape)


def spread(sides: npt.NDArray[np.bool_], edge: int, box: Box) -> npt.NDArray[np.bool_]:
    """Return the value of its block (*grid) for every pixel of a box."""
    index = np.ix_(*(np.arange(start, stop) // edge for start, stop in box))
    return sides[index]


def planes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return all indices of the loop axes."""
    return list(itertools.product(*map(range, shape)))
