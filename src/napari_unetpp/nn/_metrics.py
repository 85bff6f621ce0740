"""Measures of a segmentation against the truth; each name says what it pools.

All of them come from two records of an image, which add up over images:

* a confusion matrix of pixels, rows the truth and columns the prediction. Class 0 is
  the background, if there is one, and every other class is foreground; pixels that
  carry -1 in either map are ignored: they are in no sum.
* the intersections over union (IoU) of all pairs of a true and a predicted object that
  share a pixel.

A measure "per image" is computed for each image and then averaged, so that a small
image weighs as much as a large one; a "pooled" measure is computed once from the sums
over all images. The two differ, and papers seldom say which they print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray

    IntArray = npt.NDArray[np.int64]
    DoubleArray = npt.NDArray[np.float64]
    MaskArray = npt.NDArray[np.bool_]

AP_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""IoU from which a predicted object counts as found, as in StarDist's table."""


def confusion_matrix(
    true: LabelArray | MaskArray, predicted: LabelArray | MaskArray, n_classes: int
) -> IntArray:
    """Count the pixels of each pair of true and predicted class.

    Parameters
    ----------
    true, predicted : array of int or bool
        Class index of every pixel, of equal shape; -1 in either ignores the pixel.
    n_classes : int
        Number of classes; two for foreground masks.

    Returns
    -------
    array of int64, shape (n_classes, n_classes)
        Row: true class; column: predicted class. Matrices of images may be added.
    """
    counted = (true >= 0) & (predicted >= 0)
    pairs = true[counted].astype(np.int64) * n_classes + predicted[counted]
    counts = np.bincount(pairs, minlength=n_classes**2)
    return counts.astype(np.int64).reshape(n_classes, n_classes)


def class_iou(confusion: IntArray) -> DoubleArray:
    """Return the IoU of every class; NaN for a class that is in neither map."""
    intersection = np.diag(confusion).astype(float)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - intersection
    iou: DoubleArray = np.full(len(confusion), np.nan)
    np.divide(intersection, union, out=iou, where=union > 0)
    return iou


def mean_iou(confusion: IntArray) -> float:
    """Return the mean IoU over the classes, background included.

    Classes in neither map are left out; where no pixel counts at all it is 1.
    """
    iou = class_iou(confusion)
    present = iou[~np.isnan(iou)]
    return float(present.mean()) if present.size else 1.0


def foreground_iou(confusion: IntArray) -> float:
    """Return the IoU of foreground against background.

    It is 1 where there is no foreground in either map.
    """
    both, only_one = _foreground(confusion)
    return both / (both + only_one) if both + only_one else 1.0


def dice(confusion: IntArray) -> float:
    """Return the Dice coefficient 2 |A and B| / (|A| + |B|) of the foreground.

    It is 1 where there is no foreground in either map.
    """
    both, only_one = _foreground(confusion)
    return 2 * both / (2 * both + only_one) if both + only_one else 1.0


def _foreground(confusion: IntArray) -> tuple[int, int]:
    """Count the pixels that are foreground in both maps, and in one of them only."""
    both = int(confusion[1:, 1:].sum())
    return both, int(confusion[1:, 0].sum() + confusion[0, 1:].sum())


@dataclass(frozen=True, slots=True)
class InstanceMatch:
    """The objects of an image and how well the predicted ones cover the true ones.

    Attributes
    ----------
    n_true, n_predicted : int
        Number of objects with at least one pixel that is not ignored.
    iou : sparse array of float64, shape (n_true, n_predicted)
        IoU of each pair of objects that share a pixel.
    """

    n_true: int
    n_predicted: int
    iou: csr_array

    def n_found(self, threshold: float) -> int:
        """Count the true objects that have a predicted one of IoU >= `threshold`.

        Each object is used once. Above 0.5 no object has two partners; at 0.5 and
        below, as many pairs are made as can be made.
        """
        pairs = self.iou.tocoo()
        good = pairs.data >= threshold
        if not good.any():
            return 0
        ends = (pairs.row[good], pairs.col[good])
        graph = csr_array((np.ones(good.sum(), np.int8), ends), shape=self.iou.shape)
        partner = maximum_bipartite_matching(graph, perm_type="column")
        return int((partner >= 0).sum())


def match_instances(true: LabelArray, predicted: LabelArray) -> InstanceMatch:
    """Compare true and predicted objects by the pixels they share.

    Parameters
    ----------
    true, predicted : array of int
        Object ids of equal shape, in any order and with gaps; 0 is background, -1 in
        either ignores the pixel, so an object that lies in ignored pixels alone does
        not count.

    Returns
    -------
    InstanceMatch
        Counts, and the IoU of all pairs that share a pixel.
    """
    counted = (true >= 0) & (predicted >= 0)
    rows, n_true = _compact(true[counted])
    columns, n_predicted = _compact(predicted[counted])
    # Duplicate entries of a COO matrix are added: the matrix is the label histogram.
    ones = np.ones(rows.size, np.int64)
    shape = (n_true + 1, n_predicted + 1)
    shared = csr_array((ones, (rows, columns)), shape=shape)
    size: tuple[IntArray, IntArray] = (shared.sum(axis=1)[1:], shared.sum(axis=0)[1:])
    pairs = shared[1:, 1:].tocoo()
    union = size[0][pairs.row] + size[1][pairs.col] - pairs.data
    iou = csr_array((pairs.data / union, (pairs.row, pairs.col)), shape=pairs.shape)
    return InstanceMatch(n_true, n_predicted, iou)


def _compact(ids: LabelArray) -> tuple[npt.NDArray[np.intp], int]:
    """Number the ids 1...n in rising order, 0 staying 0; return them and n."""
    values = np.unique(ids[ids > 0])
    numbered = np.searchsorted(values, ids, side="right")
    return numbered, int(values.size)


def average_precision(matches: Sequence[InstanceMatch], threshold: float) -> float:
    """Return TP / (TP + FP + FN) of the objects, pooled over the images given.

    The measure that the StarDist papers and the Data Science Bowl 2018 call average
    precision. A true object is found (TP) if a predicted one has an IoU of at least
    `threshold` with it; FP are the predicted, FN the true objects left over. It is 1
    where there are no objects at all, neither true nor predicted.
    """
    found = sum(match.n_found(threshold) for match in matches)
    objects = sum(match.n_true + match.n_predicted for match in matches)
    return found / (objects - found) if objects else 1.0


@dataclass(frozen=True, slots=True)
class ImageScore:
    """What is kept of one image for the measures: pixels, and objects if there are any.

    Attributes
    ----------
    confusion : array of int64, shape (n_classes, n_classes)
        From `confusion_matrix`.
    instances : InstanceMatch, optional
        From `match_instances`; ``None`` for a class model.
    """

    confusion: IntArray
    instances: InstanceMatch | None = None


def summarise(
    scores: Sequence[ImageScore], *, background: bool = True
) -> dict[str, float]:
    """Compute all measures over the images of `scores`, of which there is at least one.

    Parameters
    ----------
    scores : sequence of ImageScore
        One for each image.
    background : bool
        Whether class 0 is the background. If it is a class like any other, there is no
        foreground, and ``iou``, ``pooled_iou`` and ``dice`` are left out.

    Returns
    -------
    dict
        ``iou``, ``mean_iou``, ``dice``
            Foreground IoU, mean IoU over the classes (background included) and Dice
            of the foreground, each averaged over the images.
        ``pooled_iou``, ``pooled_mean_iou``
            The first two from the pixels of all images together.
        ``ap50`` ... ``ap90``, ``mean_ap``
            Average precision of the objects at IoU 0.5, 0.55 ... 0.9, averaged over
            the images, and the mean over these thresholds (instances only).
        ``ap50_pooled`` ... ``ap90_pooled``, ``mean_ap_pooled``
            The same from the objects of all images together.
        ``n_true``, ``n_pred``
            Number of true and of predicted objects.
    """
    total: IntArray = np.sum([score.confusion for score in scores], axis=0)
    summary = {
        "mean_iou": _mean([mean_iou(score.confusion) for score in scores]),
        "pooled_mean_iou": mean_iou(total),
    }
    if background:
        foreground = {
            "iou": _mean([foreground_iou(score.confusion) for score in scores]),
            "pooled_iou": foreground_iou(total),
            "dice": _mean([dice(score.confusion) for score in scores]),
        }
        summary = foreground | summary
    matches = [score.instances for score in scores if score.instances is not None]
    return summary | (_summarise_instances(matches) if matches else {})


def _summarise_instances(matches: Sequence[InstanceMatch]) -> dict[str, float]:
    """Return the measures of objects, averaged over the images and pooled."""
    averaged, pooled = {}, {}
    for threshold in AP_THRESHOLDS:
        name = f"ap{round(100 * threshold)}"
        averaged[name] = _mean([average_precision([m], threshold) for m in matches])
        pooled[f"{name}_pooled"] = average_precision(matches, threshold)
    return {
        **averaged,
        "mean_ap": _mean(list(averaged.values())),
        **pooled,
        "mean_ap_pooled": _mean(list(pooled.values())),
        "n_true": sum(match.n_true for match in matches),
        "n_pred": sum(match.n_predicted for match in matches),
    }


def _mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)
