"""A part of an image as a mask of all of it, of which nothing is held in memory."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.errors import AxesError
from napari_unetpp.io._source import ArraySource, lazy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_unetpp.arrays import Image


def region_mask(image: Image, region: Mapping[str, tuple[int, int]]) -> Image:
    """Return a mask that is 1 within a part of an image and 0 elsewhere.

    Parameters
    ----------
    image : Image
        Of any axes; the mask has none for channels.
    region : mapping of str to (int, int)
        (start, stop) in pixels, for the axes along which not all is wanted.

    Raises
    ------
    AxesError
        If the image has no such axis, or ends before the part begins.
    """
    keep = [at for at, letter in enumerate(image.axes) if letter != "C"]
    axes = "".join(image.axes[at] for at in keep)
    shape = tuple(image.shape[at] for at in keep)
    sizes = dict(zip(axes, shape, strict=True))
    for axis, (start, stop) in region.items():
        if axis not in sizes or start >= sizes[axis]:
            raise AxesError(
                f"region {axis}: {start} to {stop} is not in {image.name}, whose axes"
                f" {axes} have the sizes {shape}; correct the region"
            )
    spans = [region.get(letter, (0, sizes[letter])) for letter in axes]
    name = ", ".join(f"{a} {s[0]} to {s[1]}" for a, s in sorted(region.items()))
    return replace(
        image,
        data=lazy(ArraySource(_Box(shape, spans), name), axes),
        axes=axes,
        scale=tuple(image.scale[at] for at in keep),
        units=tuple(image.units[at] for at in keep),
        translate=None,
        rgb=False,
        axes_guessed=False,
        name=f"{image.name}: {name}",
    )


class _Box:
    """An array that is 1 in a box and 0 around it, made where it is read."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], spans: list[tuple[int, int]]) -> None:
        self.shape = shape
        self._spans = spans

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint8]:
        given = key if isinstance(key, tuple) else (key,)
        index = given + (slice(None),) * (len(self.shape) - len(given))
        lines = []
        for size, (start, stop), wanted in zip(
            self.shape, self._spans, index, strict=True
        ):
            line = np.zeros(size, np.uint8)
            line[start:stop] = 1
            lines.append(line[wanted])
        found: npt.NDArray[np.uint8] = reduce(np.multiply.outer, lines)
        return found
