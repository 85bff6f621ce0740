"""Diameters of labelled objects: of the circle, or sphere, of the same size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def equivalent_diameters(
    sizes: npt.NDArray[Any], spatial_dims: int
) -> npt.NDArray[np.float64]:
    """Return the diameters of the circles (2-D) or spheres (3-D) of some sizes.

    Parameters
    ----------
    sizes : ndarray, (n,)
        Areas or volumes in pixels.
    spatial_dims : int
        2 or 3.

    Returns
    -------
    ndarray of float64, (n,)
        In pixels.
    """
    ball = math.pi / 4 if spatial_dims == 2 else math.pi / 6  # of diameter 1
    found: npt.NDArray[np.float64] = (sizes / ball) ** (1 / spatial_dims)
    return found


def object_diameters(labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the equivalent diameter of each object.

    Parameters
    ----------
    labels : ndarray of int, (Y, X) or (Z, Y, X)
        Objects by their numbers; 0 and below are none.

    Returns
    -------
    ndarray of float64, (n,)
        In pixels, by rising number.
    """
    _, sizes = np.unique(labels[labels > 0], return_counts=True)
    return equivalent_diameters(sizes, labels.ndim)
