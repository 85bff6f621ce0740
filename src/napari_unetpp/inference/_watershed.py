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

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]
    Ids = npt.NDArray[np.int32]

UNSURE = -1
"""Label of pixels whose object may lie beyond the window."""


def grow(
    elevation: Bytes, mask: Mask, seeds: Ids, cut: Sequence[tuple[bool, bool]]
) -> Ids:
    """Flood `mask` from `seeds`, low elevation first.

    Parameters
    ----------
    elevation : ndarray of uint8
        Height of the pixels of the window.
    mask : ndarray of bool
        Pixels to be labelled.
    seeds : ndarray of int32
        Ids of the seeds, 0 elsewhere.
    cut : sequence of (bool, bool)
        For each axis, whether the image goes on before and after the window; empty if
        all of it is to be answered from the window.

    Returns
    -------
    ndarray of int32
        Ids; 0 outside `mask` and where no seed reaches, `UNSURE` where the answer may
        lie beyond the window.
    """
    empty = mask & (seeds == 0)
    labels = np.where(mask, seeds, 0).astype(np.int32)
    if not empty.any():
        return labels
    distance = _distance(labels)
    unknown = empty & _unknown(distance, cut)
    labels[unknown] = UNSURE
    open_to_all = empty & ~unknown
    # Only seed pixels beside an empty one can flood: the queue stays short.
    front = (labels != 0) & ndimage.binary_dilation(open_to_all)
    height = _height(elevation, distance, labels)
    flooded = watershed(height, labels * front, mask=front | open_to_all)
    return np.where(open_to_all, flooded, labels)


def _distance(seeds: Ids) -> Ids:
    """Return the distance to the nearest seed in steps along the axes."""
    if not seeds.any():
        return np.full(seeds.shape, sum(seeds.shape), np.int32)
    distance: Ids = ndimage.distance_transform_cdt(seeds == 0, metric="taxicab")
    return distance.astype(np.int32, copy=False)


def _unknown(distance: Ids, cut: Sequence[tuple[bool, bool]]) -> Mask:
    """Return the pixels on a cut face, and those a seed beyond it may be nearer to."""
    unknown = np.zeros(distance.shape, bool)
    for axis, sides in enumerate(cut):
        n = distance.shape[axis]
        steps = np.arange(n).reshape(
            [-1 if a == axis else 1 for a in range(distance.ndim)]
        )
        for to_face, is_cut in zip((steps, n - 1 - steps), sides, strict=True):
            if is_cut:
                unknown |= (to_face == 0) | (distance > to_face + 1)
    return unknown


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
