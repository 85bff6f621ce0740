"""Measures of pixels, all of them from one confusion matrix.

Rows are the truth, columns the prediction. Class 0 is the background, if there is one,
and every other class is foreground; pixels that carry -1 in either map are ignored:
they are in no sum. Matrices of images may be added, which pools their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import LabelArray

    IntArray = npt.NDArray[np.int64]
    DoubleArray = npt.NDArray[np.float64]
    MaskArray = npt.NDArray[np.bool_]


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
    return class_measures(confusion).iou


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


def pixel_accuracy(confusion: IntArray) -> float:
    """Return the share of the counted pixels that have the right class; 1 of none."""
    total = int(confusion.sum())
    return int(np.trace(confusion)) / total if total else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ClassMeasures:
    """What is measured of every class; arrays of float64, shape (n_classes,).

    Attributes
    ----------
    iou, dice : array
        TP / (TP + FP + FN) and 2 TP / (2 TP + FP + FN) of the pixels of the class; NaN
        for a class that is in neither map.
    precision : array
        TP / (TP + FP); NaN for a class that is never predicted.
    recall : array
        TP / (TP + FN); NaN for a class that is nowhere in the truth.
    """

    iou: DoubleArray
    dice: DoubleArray
    precision: DoubleArray
    recall: DoubleArray


def class_measures(confusion: IntArray) -> ClassMeasures:
    """Return IoU, Dice, precision and recall of every class."""
    hit = np.diag(confusion).astype(float)
    true, predicted = (confusion.sum(axis=axis).astype(float) for axis in (1, 0))
    return ClassMeasures(
        iou=_ratio(hit, true + predicted - hit),
        dice=_ratio(2 * hit, true + predicted),
        precision=_ratio(hit, predicted),
        recall=_ratio(hit, true),
    )


def _ratio(part: DoubleArray, whole: DoubleArray) -> DoubleArray:
    """Divide, with NaN where there is nothing to divide by."""
    result: DoubleArray = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _foreground(confusion: IntArray) -> tuple[int, int]:
    """Count the pixels that are foreground in both maps, and in one of them only."""
    both = int(confusion[1:, 1:].sum())
    return both, int(confusion[1:, 0].sum() + confusion[0, 1:].sum())
