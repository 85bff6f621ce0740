"""What the heads learn: class indices made from labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_unetpp.arrays import IGNORE

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import LabelArray

BACKGROUND, INTERIOR, BOUNDARY = range(3)


def instance_target(labels: LabelArray, width: int) -> npt.NDArray[np.int64]:
    """Return background, interior and boundary of labelled objects.

    The boundary lies inside the objects, so interior and boundary together are exactly
    the foreground, and touching objects have interiors ``2 * width`` pixels apart.
    An object too thin to have an interior is all interior: it would have no seed.

    Parameters
    ----------
    labels : ndarray of int
        Objects 1...n on background 0, of any dimension; negative pixels are ignored.
    width : int
        Half-width of the boundary in pixels.

    Returns
    -------
    ndarray of int64
        0 background, 1 interior, 2 boundary, -1 ignored.
    """
    objects: npt.NDArray[np.int64] = labels.astype(np.int64, copy=False)
    cross = ndimage.iterate_structure(
        ndimage.generate_binary_structure(objects.ndim, 1), width
    )
    # "nearest": what the patch's border cuts is not taken for an object's border.
    highest = ndimage.maximum_filter(objects, footprint=cross, mode="nearest")
    lowest = ndimage.minimum_filter(objects, footprint=cross, mode="nearest")
    target = np.where(objects > 0, INTERIOR, BACKGROUND).astype(np.int64)
    edge = (objects > 0) & ((highest != objects) | (lowest != objects))
    target[edge & ~_without_interior(objects, edge)] = BOUNDARY
    target[objects < 0] = IGNORE
    return target


def _without_interior(
    labels: npt.NDArray[np.int64], edge: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return where objects lie that have edge pixels only."""
    present, index = np.unique(labels.ravel(), return_inverse=True)
    interior = np.bincount(index[~edge.ravel()], minlength=present.size)
    hollow: npt.NDArray[np.bool_] = (interior == 0)[index].reshape(labels.shape)
    return hollow
