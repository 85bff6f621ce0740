"""Arrays that fill while tiles finish, laid out as the viewer shows them.

For runs of which nothing is kept in files. Each shown result has plain arrays, full
size and (for large planes) smaller and smaller, written once per tile. They are plain
memory, so the thread of the run may write what the GUI thread draws. What is too large
for that is shown from disk, see `StoredArrays`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_unetpp._types import Box

LARGE_PLANE = 2048 * 2048
"""Pixels of a plane above which it is kept in several sizes."""
SMALL_EDGE = 1024
"""The smallest of the sizes has no longer edge."""
MOST_IN_MEMORY = 2**30
"""Bytes of all shown arrays above which results grow in files."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a result lies in a layer that has the axes of its image.

    Attributes
    ----------
    shown_axes : str
        Axes of the layer, in its order; C is one pixel thick.
    result_axes : str
        Axes of the result: ``shown_axes`` without C, in the order of the prediction.
    result_shape : tuple of int
        Size of each result axis.
    spatial_dims : int
        How many of the result axes, the last ones, the model works in.
    """

    shown_axes: str
    result_axes: str
    result_shape: tuple[int, ...]
    spatial_dims: int

    @property
    def loop_axes(self) -> str:
        """Axes of the planes."""
        return self.result_axes[: -self.spatial_dims]

    @property
    def shown_shape(self) -> tuple[int, ...]:
        """Size of each axis of the layer."""
        sizes = dict(zip(self.result_axes, self.result_shape, strict=True))
        return tuple(sizes.get(letter, 1) for letter in self.shown_axes)

    def as_result(self, shown: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of a shown array with the axes of the result."""
        kept = [a for a in self.shown_axes if a in self.result_axes]
        index = tuple(slice(None) if a in kept else 0 for a in self.shown_axes)
        return shown[index].transpose([kept.index(a) for a in self.result_axes])

    def as_shown(self, result: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of a result with the axes of the layer."""
        kept = [a for a in self.shown_axes if a in self.result_axes]
        ordered = result.transpose([self.result_axes.index(a) for a in kept])
        missing = [i for i, a in enumerate(self.shown_axes) if a not in kept]
        return np.expand_dims(ordered, missing)

    @property
    def rows_and_columns(self) -> tuple[int, int]:
        """Pixels of a plane along Y and X."""
        sizes = dict(zip(self.result_axes, self.result_shape, strict=True))
        return sizes["Y"], sizes["X"]

    @property
    def steps(self) -> tuple[int, ...]:
        """Pixels of the image along Y and X for a pixel of each size kept, from 1."""
        rows, columns = self.rows_and_columns
        if rows * columns <= LARGE_PLANE:
            return (1,)
        n = math.ceil(math.log2(max(rows, columns) / SMALL_EDGE))
        return tuple(2**k for k in range(n + 1))

    def every(self, step: int) -> tuple[int, ...]:
        """Return the step along each result axis: only Y and X are thinned."""
        return tuple(step if a in "YX" else 1 for a in self.result_axes)


class ResultArrays:
    """The shown arrays of one run.

    Parameters
    ----------
    names : tuple of str
        One for each result: "mean", "head 1", ...
    layout : Layout
        Their axes and shape.
    """

    def __init__(self, names: tuple[str, ...], layout: Layout) -> None:
        self.names = names
        self.layout = layout
        shapes = [_thinned(layout, step) for step in layout.steps]
        self._sizes = {
            name: [np.zeros(shape, np.float16) for shape in shapes] for name in names
        }

    def data(self, name: str) -> npt.NDArray[Any] | list[npt.NDArray[Any]]:
        """Return what a layer shows: one array, or a list of sizes, (*shown axes)."""
        sizes = self._sizes[name]
        return sizes[0] if len(sizes) == 1 else sizes

    @property
    def multiscale(self) -> bool:
        """Whether `data` returns a list of sizes."""
        return len(self.layout.steps) > 1

    def write(self, box: Box, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write the pixels of one tile.

        Parameters
        ----------
        box : Box
            Where the pixels lie along the result axes.
        values : mapping of str to array
            For each name the pixels, of the shape of `box`.
        """
        for name, pixels in values.items():
            for step, shown in zip(self.layout.steps, self._sizes[name], strict=True):
                every = self.layout.every(step)
                source = tuple(
                    slice(-start % s, None, s)
                    for (start, _), s in zip(box, every, strict=True)
                )
                target = tuple(
                    slice(-(-start // s), -(-stop // s))
                    for (start, stop), s in zip(box, every, strict=True)
                )
                self.layout.as_result(shown)[target] = pixels[source]


def _thinned(layout: Layout, step: int) -> tuple[int, ...]:
    """Return the shape of a layer of which every `step`-th row and column is kept."""
    every = dict(zip(layout.result_axes, layout.every(step), strict=True))
    return tuple(
        -(-size // every.get(a, 1))
        for a, size in zip(layout.shown_axes, layout.shown_shape, strict=True)
    )
