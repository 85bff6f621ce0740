"""How well outlines agree: precision, recall and F of the pixels on them.

An outline is made of the pixels of an object, or of a class, that have a neighbour
beside, above or below them that is none of it. The edge of the image is no outline.

Outlines are compared in every Y, X plane on its own, so that the tolerance is a number
of pixels of that plane, however far apart planes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray

    IntArray = npt.NDArray[np.int64]
    DoubleArray = npt.NDArray[np.float64]
    MaskArray = npt.NDArray[np.bool_]

BOUNDARY_TOLERANCE = 2.0
"""Distance in pixels up to which two outlines are taken for the same."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryCounts:
    """Pixels of outlines of an image; arrays of int64, one entry for each class.

    Objects are one class together. Counts of images may be added with ``+``.

    Attributes
    ----------
    n_true, n_predicted : array
        Pixels on the outlines.
    near_true : array
        Pixels of the true outlines that have a predicted one within the tolerance.
    near_predicted : array
        Pixels of the predicted outlines that have a true one within the tolerance.
    n_judged : int
        Pixels of the image that could be on an outline that counts; 0 says nothing
        about outlines can be known, as with thin strokes.
    """

    n_true: IntArray
    n_predicted: IntArray
    near_true: IntArray
    near_predicted: IntArray
    n_judged: int

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """Return the counts of both."""
        return BoundaryCounts(
            self.n_true + other.n_true,
            self.n_predicted + other.n_predicted,
            self.near_true + other.near_true,
            self.near_predicted + other.near_predicted,
            self.n_judged + other.n_judged,
        )


def object_boundaries(
    true: LabelArray, predicted: LabelArray, tolerance: float = BOUNDARY_TOLERANCE
) -> BoundaryCounts:
    """Compare the outlines of objects, also those between objects that touch.

    Parameters
    ----------
    true, predicted : array of int, (*loops, Y, X)
        Object ids, 0 between them; -1 in either ignores the pixel.
    tolerance : float
        Distance in pixels up to which two outlines are taken for the same.

    Returns
    -------
    BoundaryCounts
        Of one class. Outlines within `tolerance` of an ignored pixel do not count,
        since what they would be compared with may lie there.
    """
    return _count(true, predicted, tolerance, (None,))


def class_boundaries(
    true: LabelArray,
    predicted: LabelArray,
    n_classes: int,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> BoundaryCounts:
    """Compare the outlines of every class; see `object_boundaries`.

    Parameters
    ----------
    true, predicted : array of int, (*loops, Y, X)
        Class index of every pixel; -1 in either ignores the pixel.
    n_classes : int
        Number of classes.
    tolerance : float
        Distance in pixels up to which two outlines are taken for the same.
    """
    return _count(true, predicted, tolerance, range(n_classes))


def boundary_f(counts: BoundaryCounts) -> DoubleArray:
    """Return F = 2 P R / (P + R) of every class's outline.

    Precision P is the share of the predicted outline that lies within the tolerance of
    a true one, recall R the share of the true outline within that of a predicted one.
    It is NaN for a class without any outline, and 0 where only one map has one.
    """
    result = np.full(len(counts.n_true), np.nan)
    for i in range(len(result)):
        true, predicted = int(counts.n_true[i]), int(counts.n_predicted[i])
        if true + predicted:
            p = int(counts.near_predicted[i]) / predicted if predicted else 0.0
            r = int(counts.near_true[i]) / true if true else 0.0
            result[i] = 2 * p * r / (p + r) if p + r else 0.0
    return result


def mean_boundary_f(counts: BoundaryCounts, *, background: bool) -> float:
    """Return the mean F of the outlines of all classes, the background left out.

    Classes without any outline are left out; it is 1 where there is none at all.

    Parameters
    ----------
    counts : BoundaryCounts
        Of one image, or of several together.
    background : bool
        Whether the first of several classes is the background.
    """
    values = boundary_f(counts)
    values = values[1:] if background and len(values) > 1 else values
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else 1.0


def outlines(labels: LabelArray, of: int | None = None) -> MaskArray:
    """Return the pixels on outlines in the planes of `labels`, (*loops, Y, X).

    Parameters
    ----------
    labels : array of int, (*loops, Y, X)
        Ids or class indices; pixels below 0 are unknown: they are on no outline and
        make none.
    of : int, optional
        The class whose outline is wanted; by default that of every object, which are
        all values above 0.
    """
    inside = labels > 0 if of is None else labels == of
    result = np.zeros(labels.shape, bool)
    for axis in (-2, -1):
        before, after = _neighbours(labels.ndim, axis)
        differs = labels[before] != labels[after]
        differs &= (labels[before] >= 0) & (labels[after] >= 0)
        result[before] |= differs
        result[after] |= differs
    return np.asarray(result & inside)


def _count(
    true: LabelArray,
    predicted: LabelArray,
    tolerance: float,
    classes: Sequence[int | None],
) -> BoundaryCounts:
    """Count outlines class by class, so that few maps are in memory."""
    ignored = (true < 0) | (predicted < 0)
    judged = ~ignored
    maps = [true, predicted]
    if ignored.any():
        judged = ~near(ignored, tolerance)
        maps = [np.where(ignored, -1, each) for each in maps]
    counts = np.zeros((4, len(classes)), np.int64)
    for place, value in enumerate(classes):
        edges = [outlines(each, value) for each in maps]
        for row, (own, other) in enumerate((edges, edges[::-1])):
            counted = own & judged
            counts[row, place] = counted.sum()
            counts[row + 2, place] = (counted & near(other, tolerance)).sum()
    true_edges, found_edges, near_true, near_found = counts
    n_judged = int(judged.sum())
    return BoundaryCounts(true_edges, found_edges, near_true, near_found, n_judged)


def near(mask: MaskArray, distance: float) -> MaskArray:
    """Return the pixels at most `distance` from one of `mask`, plane by plane.

    Shifted copies are faster than distances as long as `distance` is a few pixels, and
    take a byte a pixel.
    """
    result = mask.copy()
    for dy, dx in _steps(distance):
        for (to_y, from_y), (to_x, from_x) in (
            (_shift(dy), _shift(dx)),
            (_shift(-dy), _shift(-dx)),
        ):
            result[..., to_y, to_x] |= mask[..., from_y, from_x]
    return result


def _steps(distance: float) -> Iterator[tuple[int, int]]:
    """Yield half of the steps of at most this length; the others are opposite."""
    reach = int(distance)
    for dy in range(reach + 1):
        for dx in range(-reach, reach + 1):
            if (dy, dx) > (0, 0) and dy * dy + dx * dx <= distance * distance:
                yield dy, dx


def _shift(step: int) -> tuple[slice, slice]:
    """Return where pixels go to, and where they come from, along one axis."""
    to = slice(max(step, 0), min(step, 0) or None)
    return to, slice(max(-step, 0), min(-step, 0) or None)


def _neighbours(ndim: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the two views whose pixels are neighbours along an axis."""
    before, after = [slice(None)] * ndim, [slice(None)] * ndim
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return tuple(before), tuple(after)
