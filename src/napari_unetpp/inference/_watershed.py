"""Seeded watershed on a window, such that blocks give what the whole image gives.

The usual watershed breaks ties by the order in which pixels were met, which depends on
where the window lies. Here every pixel has a height of its own, ordered by

    1  seeds below all else
    2  elevation, in 255 steps
    3  distance to the nearest seed, in steps along the axes: splits plateaus in halves
    4  position in the image, row by row

so the flood is a minimum spanning forest, unique, and a function of the image alone.
What an object covers then follows from any window that holds the whole object. Where
the image goes on beyond the window, the flood that could come in from there is let in
ahead of all others, under the label `UNSURE`; the pixels it does not reach are proved::

    +--- window ------------+
    | U U U U U U U U U U U |   U  unknown: may be reached from beyond the window
    | U   +--- core ---+  U |
    | U   | 1 1 1 2 2 2|  U |   the core is proved if no U gets here, otherwise
    | U   +------------+  U |   a larger window is taken
    +-----------------------+
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]
    Ids = npt.NDArray[np.int32]

UNSURE = -1
"""Label of pixels whose object may lie beyond the window."""


_MOST_AT_ONCE = 2**18
"""Pixels of small windows that are flooded in one go."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of an image that is to be flooded.

    Attributes
    ----------
    elevation : ndarray of uint8
        Height of the pixels.
    mask : ndarray of bool
        Pixels to be labelled.
    seeds : ndarray of int32
        Ids of the seeds, 0 elsewhere.
    cut : sequence of (bool, bool)
        For each axis, whether the image goes on before and after the window; empty if
        all of it is to be answered from the window.
    """

    elevation: Bytes
    mask: Mask
    seeds: Ids
    cut: Sequence[tuple[bool, bool]] = ()


def grow(windows: Sequence[Window]) -> list[Ids]:
    """Flood the mask of each window from its seeds, low elevation first.

    Parameters
    ----------
    windows : sequence of Window
        Each is flooded on its own; many small ones cost little more than a large one.

    Returns
    -------
    list of ndarray of int32
        Ids; 0 outside the mask and where no seed reaches, `UNSURE` where the answer may
        lie beyond the window.
    """
    prepared = [_prepared(window) for window in windows]
    found = [labels for labels, _ in prepared]
    for batch in _batches([window.mask.shape for window in windows]):
        edges = [windows[k].mask.shape for k in batch]
        sheet = _Sheet.of(edges)
        for k, place in zip(batch, sheet.places, strict=True):
            sheet.elevation[place] = windows[k].elevation
            sheet.labels[place], sheet.distance[place] = prepared[k]
            sheet.open[place] = windows[k].mask & (prepared[k][0] == 0)
        flooded = sheet.flooded()
        for k, place in zip(batch, sheet.places, strict=True):
            found[k] = flooded[place]
    return found


def _prepared(window: Window) -> tuple[Ids, Ids]:
    """Return labels before the flood, with what is unsure, and distances to seeds."""
    labels = np.where(window.mask, window.seeds, 0).astype(np.int32, copy=False)
    distance = _distance(labels)
    if any(map(any, window.cut)):
        labels[_unknown(distance, window.cut) & window.mask & (labels == 0)] = UNSURE
    return labels, distance


def _batches(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Yield which windows go on one sheet: those of like widths."""
    batch: list[int] = []
    n_pixels = 0
    for k in sorted(range(len(shapes)), key=lambda k: shapes[k][1:]):
        n = math.prod(shapes[k])
        if batch and n_pixels + n > _MOST_AT_ONCE:
            yield batch
            batch, n_pixels = [], 0
        batch.append(k)
        n_pixels += n
    if batch:
        yield batch


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """Windows one below the other, a row apart, so that no flood gets across.

    ::

        | 1 1 2 2 |
        | 1 1 2 2 |
        | . . . . |
        | 3 3 4 . |     a narrower window
    """

    places: list[tuple[slice, ...]]
    elevation: Bytes
    labels: Ids
    distance: Ids
    open: Mask

    @classmethod
    def of(cls, edges: Sequence[tuple[int, ...]]) -> _Sheet:
        """Return an empty sheet for windows of these shapes."""
        places, top = [], 0
        for shape in edges:
            places.append((slice(top, top + shape[0]), *map(slice, shape[1:])))
            top += shape[0] + 1
        size = (top - 1, *map(max, zip(*(shape[1:] for shape in edges), strict=True)))
        return cls(
            places,
            np.zeros(size, np.uint8),
            np.zeros(size, np.int32),
            np.zeros(size, np.int32),
            np.zeros(size, bool),
        )

    def flooded(self) -> Ids:
        """Return the labels after the flood."""
        if not self.open.any():
            return self.labels
        # Only seed pixels beside an empty one can flood: the queue stays short.
        front = (self.labels != 0) & _beside(self.open)
        height = _height(self.elevation, self.distance, self.labels)
        found = watershed(height, self.labels * front, mask=front | self.open)
        return np.where(self.open, found, self.labels)


def _beside(mask: Mask) -> Mask:
    """Return the pixels that have a neighbour along an axis in `mask`."""
    found = np.zeros_like(mask)
    for axis in range(mask.ndim):
        here, there = np.moveaxis(found, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] |= there[:-1]
        here[:-1] |= there[1:]
    return found


def _distance(seeds: Ids) -> Ids:
    """Return the distance to the nearest seed in steps along the axes."""
    if not seeds.any():
        return np.full(seeds.shape, sum(seeds.shape), np.int32)
    distance: Ids = ndimage.distance_transform_cdt(seeds == 0, metric="taxicab")
    return distance.astype(np.int32, copy=False)


def _unknown(distance: Ids, cut: Sequence[tuple[bool, bool]]) -> Mask:
    """Return the pixels on a cut face, and those a seed beyond it may be nearer to."""
    room: Any = np.inf  # steps to the nearest cut face
    for axis, sides in enumerate(cut):
        n = distance.shape[axis]
        steps = np.arange(n).reshape(
            [-1 if a == axis else 1 for a in range(distance.ndim)]
        )
        for to_face, is_cut in zip((steps, n - 1 - steps), sides, strict=True):
            if is_cut:
                room = np.minimum(room, to_face)
    return np.asarray((distance > room + 1) | (room == 0))


def _height(
    elevation: Bytes, distance: Ids, labels: Ids
) -> npt.NDArray[np.floating[Any]]:
    """Return a height for each pixel, no two alike, exact in float64.

    8 bits of elevation, at most 13 of distance and 26 of position stay below 53.
    """
    n = elevation.size
    height = elevation.astype(np.float64)
    height *= int(distance.max()) + 1
    height += distance
    height += 1
    height *= n
    height[labels > 0] = 0
    height[labels == UNSURE] = -n
    height += np.arange(n, dtype=np.float64).reshape(height.shape)
    return height
