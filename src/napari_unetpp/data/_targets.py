"""What the heads learn, made from labels: class indices, or depths inside objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_unetpp.arrays import IGNORE

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray, LabelArray, TargetArray

BACKGROUND, INTERIOR, BOUNDARY = range(3)
_HALF = 0.5
"""Share of the interior from which on a pixel is interior rather than boundary."""


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
    target = np.where(objects > 0, INTERIOR, BACKGROUND).astype(np.int64)
    edge = _edge(objects, width)
    target[edge & ~_without_interior(objects, edge)] = BOUNDARY
    target[objects < 0] = IGNORE
    return target


def distance_target(labels: LabelArray, reach: int) -> FloatArray:
    """Return how far inside its object every pixel lies, as its share of the interior.

    A network with the classes background, interior and boundary learns it as the
    probabilities (0, d, 1 - d) of a pixel of foreground: what is interior then falls
    off towards the outline, so that objects part where they touch, and a watershed
    finds its way. Distance maps to part nuclei: Naylor et al., IEEE TMI 38(2), 2019.

    Parameters
    ----------
    labels : ndarray of int
        Objects 1...n on background 0, of any dimension; negative pixels are ignored.
    reach : int
        Distance to the outline in pixels from which on all is interior; that of the
        innermost pixel for objects that are thinner.

    Returns
    -------
    ndarray of float32
        0 background, above 0 to 1 the share of the interior, -1 ignored.
    """
    objects: npt.NDArray[np.int64] = labels.astype(np.int64, copy=False)
    edge = _edge(objects, 1)
    target = (objects > 0).astype(np.float32)
    if edge.any():
        present, index = np.unique(objects, return_inverse=True)
        # An outline pixel has depth 1, so that it differs from the background.
        depth = np.minimum(ndimage.distance_transform_edt(~edge) + 1, reach)
        index = index.reshape(objects.shape)
        deepest = ndimage.maximum(depth, index, np.arange(present.size))
        target *= (depth / np.asarray(deepest)[index]).astype(np.float32)
    target[objects < 0] = IGNORE
    return target


def class_index(target: TargetArray) -> npt.NDArray[np.int64]:
    """Return the likeliest class of every pixel of a target, -1 where ignored."""
    if target.dtype.kind == "i":
        return target.astype(np.int64, copy=False)
    classes = np.where(target >= _HALF, INTERIOR, BOUNDARY)
    classes[target == 0] = BACKGROUND
    classes[target < 0] = IGNORE
    return classes.astype(np.int64)


def _edge(objects: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.bool_]:
    """Return the pixels of objects up to `width` steps from another label."""
    cross = ndimage.iterate_structure(
        ndimage.generate_binary_structure(objects.ndim, 1), width
    )
    # "nearest": what the patch's border cuts is not taken for an object's border.
    highest = ndimage.maximum_filter(objects, footprint=cross, mode="nearest")
    lowest = ndimage.minimum_filter(objects, footprint=cross, mode="nearest")
    edge: npt.NDArray[np.bool_] = (highest != objects) | (lowest != objects)
    return edge & (objects > 0)


def _without_interior(
    labels: npt.NDArray[np.int64], edge: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return where objects lie that have edge pixels only."""
    present, index = np.unique(labels.ravel(), return_inverse=True)
    interior = np.bincount(index[~edge.ravel()], minlength=present.size)
    hollow: npt.NDArray[np.bool_] = (interior == 0)[index].reshape(labels.shape)
    return hollow
