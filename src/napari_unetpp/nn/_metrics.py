"""Measures of a segmentation against the truth; each name says what it pools.

All of them come from records of an image that add up over images: a confusion matrix
of pixels (`_metrics_pixels`), the objects that share pixels (`_metrics_objects`), and
the pixels on outlines (`_metrics_boundary`).

A measure "per image" is computed for each image and then averaged, so that a small
image weighs as much as a large one; a "pooled" measure is computed once from the sums
over all images. The two differ, and papers seldom say which they print.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from napari_unetpp.nn._metrics_boundary import (
    BOUNDARY_TOLERANCE,
    BoundaryCounts,
    boundary_f,
    class_boundaries,
    mean_boundary_f,
    object_boundaries,
)
from napari_unetpp.nn._metrics_objects import (
    AP_THRESHOLDS,
    InstanceMatch,
    PanopticQuality,
    average_precision,
    match_instances,
    panoptic_quality,
)
from napari_unetpp.nn._metrics_pixels import (
    ClassMeasures,
    class_iou,
    class_measures,
    confusion_matrix,
    dice,
    foreground_iou,
    mean_iou,
    pixel_accuracy,
)
from napari_unetpp.nn._object_errors import ErrorKind, ObjectErrors, object_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

__all__ = [
    "AP_THRESHOLDS",
    "BOUNDARY_TOLERANCE",
    "BoundaryCounts",
    "ClassMeasures",
    "ImageScore",
    "InstanceMatch",
    "PanopticQuality",
    "average_precision",
    "boundary_f",
    "class_boundaries",
    "class_iou",
    "class_measures",
    "confusion_matrix",
    "dice",
    "foreground_iou",
    "match_instances",
    "mean_boundary_f",
    "mean_iou",
    "object_boundaries",
    "panoptic_quality",
    "pixel_accuracy",
    "pooled",
    "summarise",
]


@dataclass(frozen=True, slots=True)
class ImageScore:
    """What is kept of one image for the measures.

    Attributes
    ----------
    confusion : array of int64, shape (n_classes, n_classes)
        From `confusion_matrix`.
    instances : InstanceMatch, optional
        From `match_instances`; ``None`` for a class model.
    boundary : BoundaryCounts, optional
        From `object_boundaries` or `class_boundaries`.
    """

    confusion: IntArray
    instances: InstanceMatch | None = None
    boundary: BoundaryCounts | None = None


def pooled(scores: Sequence[ImageScore]) -> ImageScore:
    """Return the pixels and outlines of at least one image as those of one image.

    Objects are left out: they are pooled by handing over all matches.
    """
    total = reduce(add, (score.confusion for score in scores))
    counts = _judged(scores)
    boundary = reduce(add, counts) if counts else None
    return replace(scores[0], confusion=total, instances=None, boundary=boundary)


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
            of the foreground, each averaged over the images. 1 where neither map has
            any foreground.
        ``pooled_iou``, ``pooled_mean_iou``, ``pooled_dice``, ``pixel_accuracy``
            From the pixels of all images together; the last is the share of them that
            have the right class.
        ``boundary_f``, ``pooled_boundary_f``
            F of the outlines, averaged over the images, and from the outlines of all
            images; of class models the mean over the classes without the background.
            1 where neither map has an outline. Images whose outlines nobody can know
            (strokes) are left out, and both measures are if no image remains.
        ``ap50`` ... ``ap90``, ``mean_ap``
            Average precision of the objects at IoU 0.5, 0.55 ... 0.9, averaged over
            the images, and the mean over these thresholds (instances only). 1 in an
            image without objects, true or predicted.
        ``ap50_pooled`` ... ``ap90_pooled``, ``mean_ap_pooled``
            The same from the objects of all images together.
        ``pq``, ``sq``, ``rq``, ``pq_pooled``, ``sq_pooled``, ``rq_pooled``
            Panoptic quality at IoU > 0.5 and its factors, averaged over the images and
            pooled; averaged, they are no product any more. All are 1 in an image
            without objects, and 0 where no object is found.
        ``n_true``, ``n_pred``
            Number of true and of predicted objects.
        ``n_found``, ``n_missed``, ``n_false``
            Pairs of IoU >= 0.5, and the true and predicted objects left over.
        ``n_split``, ``n_merged``, ``n_outline``
            True objects that are split, merged, or found with a wrong outline (see
            `_object_errors`).
        ``count_error``, ``count_bias``
            Mean over the images of |predicted - true| and of predicted - true objects.
    """
    total = pooled(scores)
    summary = {
        "mean_iou": _mean([mean_iou(score.confusion) for score in scores]),
        "pooled_mean_iou": mean_iou(total.confusion),
        "pixel_accuracy": pixel_accuracy(total.confusion),
    }
    if background:
        foreground = {
            "iou": _mean([foreground_iou(score.confusion) for score in scores]),
            "pooled_iou": foreground_iou(total.confusion),
            "dice": _mean([dice(score.confusion) for score in scores]),
            "pooled_dice": dice(total.confusion),
        }
        summary = foreground | summary
    if total.boundary is not None:
        own = [mean_boundary_f(one, background=background) for one in _judged(scores)]
        summary["boundary_f"] = _mean(own)
        summary["pooled_boundary_f"] = mean_boundary_f(
            total.boundary, background=background
        )
    matches = [score.instances for score in scores if score.instances is not None]
    return summary | (_summarise_instances(matches) if matches else {})


def _judged(scores: Sequence[ImageScore]) -> list[BoundaryCounts]:
    """Return the counts of the images whose outlines can be known."""
    counts = (score.boundary for score in scores)
    return [each for each in counts if each is not None and each.n_judged]


def _summarise_instances(matches: Sequence[InstanceMatch]) -> dict[str, float]:
    """Return the measures of objects, averaged over the images and pooled."""
    averaged, together = {}, {}
    for threshold in AP_THRESHOLDS:
        name = f"ap{round(100 * threshold)}"
        averaged[name] = _mean([average_precision([m], threshold) for m in matches])
        together[f"{name}_pooled"] = average_precision(matches, threshold)
    return {
        **averaged,
        "mean_ap": _mean(list(averaged.values())),
        **together,
        "mean_ap_pooled": _mean(list(together.values())),
        **_panoptic(matches),
        **_counts(matches),
    }


def _panoptic(matches: Sequence[InstanceMatch]) -> dict[str, float]:
    """Return panoptic quality and its factors, averaged over the images and pooled."""
    each, all_ = [panoptic_quality([m]) for m in matches], panoptic_quality(matches)
    return {
        "pq": _mean([one.pq for one in each]),
        "sq": _mean([one.sq for one in each]),
        "rq": _mean([one.rq for one in each]),
        "pq_pooled": all_.pq,
        "sq_pooled": all_.sq,
        "rq_pooled": all_.rq,
    }


def _counts(matches: Sequence[InstanceMatch]) -> dict[str, float]:
    """Count objects, and what is wrong with them."""
    errors = [object_errors(match) for match in matches]
    n_true = sum(match.n_true for match in matches)
    n_predicted = sum(match.n_predicted for match in matches)
    n_found = sum(each.n_found for each in errors)
    excess = [match.n_predicted - match.n_true for match in matches]
    return {
        "n_true": n_true,
        "n_pred": n_predicted,
        "n_found": n_found,
        "n_missed": n_true - n_found,
        "n_false": n_predicted - n_found,
        "n_split": _number(errors, ErrorKind.SPLIT),
        "n_merged": _number(errors, ErrorKind.MERGED),
        "n_outline": _number(errors, ErrorKind.OUTLINE),
        "count_error": _mean([abs(each) for each in excess]),
        "count_bias": _mean(excess),
    }


def _number(errors: Sequence[ObjectErrors], kind: ErrorKind) -> int:
    return sum(each.count(kind) for each in errors)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)
