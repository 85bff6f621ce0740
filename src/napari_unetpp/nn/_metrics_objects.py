"""Measures of objects: which are found, how well, and what is wrong with the others.

All of them come from one record of an image: which true and predicted objects share
pixels, and how many. Records of images are put into one list to pool their objects.
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

AP_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""IoU from which a predicted object counts as found, as in StarDist's table."""

PANOPTIC_IOU = 0.5
"""IoU above which panoptic quality pairs two objects: no object has two partners."""


@dataclass(frozen=True, slots=True, eq=False)
class InstanceMatch:
    """The objects of an image and how well the predicted ones cover the true ones.

    Attributes
    ----------
    true_ids, predicted_ids : array of int64
        Ids of the objects with at least one pixel that is not ignored, rising.
    true_sizes, predicted_sizes : array of int64
        Their pixels that are not ignored.
    shared : sparse array of int64, shape (n_true, n_predicted)
        Number of pixels that each pair of objects shares.
    iou : sparse array of float64, shape (n_true, n_predicted)
        IoU of each pair of objects that share a pixel.
    """

    true_ids: IntArray
    predicted_ids: IntArray
    true_sizes: IntArray
    predicted_sizes: IntArray
    shared: csr_array
    iou: csr_array

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return len(self.true_ids)

    @property
    def n_predicted(self) -> int:
        """Number of predicted objects."""
        return len(self.predicted_ids)

    def n_found(self, threshold: float) -> int:
        """Count the true objects that have a predicted one of IoU >= `threshold`.

        Each object is used once. Above 0.5 no object has two partners; at 0.5 and
        below, as many pairs are made as can be made.
        """
        return int((self.partners(threshold) >= 0).sum())

    def partners(self, threshold: float) -> npt.NDArray[np.intp]:
        """Return the place of each true object's partner, (n_true,), -1 if none.

        The pairs are those that `n_found` counts.
        """
        pairs = self.iou.tocoo()
        good = pairs.data >= threshold
        if not good.any():
            return np.full(self.n_true, -1, np.intp)
        ends = (pairs.row[good], pairs.col[good])
        graph = csr_array((np.ones(good.sum(), np.int8), ends), shape=self.iou.shape)
        partner = maximum_bipartite_matching(graph, perm_type="column")
        return np.asarray(partner, np.intp)


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
        Ids, sizes, and the IoU of all pairs that share a pixel.
    """
    counted = (true >= 0) & (predicted >= 0)
    rows, true_ids = _compact(true[counted])
    columns, predicted_ids = _compact(predicted[counted])
    # Duplicate entries of a COO matrix are added: the matrix is the label histogram.
    ones = np.ones(rows.size, np.int64)
    shape = (true_ids.size + 1, predicted_ids.size + 1)
    histogram = csr_array((ones, (rows, columns)), shape=shape)
    true_sizes, predicted_sizes = (histogram.sum(axis=axis)[1:] for axis in (1, 0))
    pairs = histogram[1:, 1:].tocoo()
    union = true_sizes[pairs.row] + predicted_sizes[pairs.col] - pairs.data
    iou = csr_array((pairs.data / union, (pairs.row, pairs.col)), shape=pairs.shape)
    return InstanceMatch(
        true_ids, predicted_ids, true_sizes, predicted_sizes, csr_array(pairs), iou
    )


def _compact(ids: LabelArray) -> tuple[npt.NDArray[np.intp], IntArray]:
    """Number the ids 1...n in rising order, 0 staying 0; return them and their ids."""
    values = np.unique(ids[ids > 0])
    numbered = np.searchsorted(values, ids, side="right")
    return numbered, values.astype(np.int64)


def average_precision(matches: Sequence[InstanceMatch], threshold: float) -> float:
    """Return TP / (TP + FP + FN) of the objects, pooled over the images given.

    The measure that the StarDist papers and the Data Science Bowl 2018 call average
    precision. A true object is found (TP) if a predicted one has an IoU of at least
    `threshold` with it; FP are the predicted, FN the true objects left over. It is 1
    where there are no objects at all, neither true nor predicted.
    """
    found = sum(match.n_found(threshold) for match in matches)
    objects = _n_objects(matches)
    return found / (objects - found) if objects else 1.0


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """Panoptic quality and its two factors, pooled over the images it was made of.

    Attributes
    ----------
    pq : float
        Sum of the IoU of all pairs / (TP + FP / 2 + FN / 2), which is ``sq * rq``.
    sq : float
        Segmentation quality: mean IoU of the pairs; 0 where there is none.
    rq : float
        Recognition quality: TP / (TP + FP / 2 + FN / 2), the F1 of the objects.
    """

    pq: float
    sq: float
    rq: float


def panoptic_quality(matches: Sequence[InstanceMatch]) -> PanopticQuality:
    """Return the panoptic quality of the objects, pooled over the images given.

    As Kirillov et al. define it (Panoptic Segmentation, CVPR 2019): a true and a
    predicted object are a pair if their IoU is above, not at, 0.5. All three are 1
    where there are no objects at all, neither true nor predicted.
    """
    paired = [match.iou.data[match.iou.data > PANOPTIC_IOU] for match in matches]
    objects, n_pairs = _n_objects(matches), sum(iou.size for iou in paired)
    if not objects:
        return PanopticQuality(1.0, 1.0, 1.0)
    total = sum(float(iou.sum()) for iou in paired)
    sq = total / n_pairs if n_pairs else 0.0
    return PanopticQuality(2 * total / objects, sq, 2 * n_pairs / objects)


def _n_objects(matches: Sequence[InstanceMatch]) -> int:
    return sum(match.n_true + match.n_predicted for match in matches)
