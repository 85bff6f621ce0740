"""What is wrong with a segmentation, by object and by pixel, in words a person uses.

Objects
-------
A predicted object *covers* a true one if it holds at least half of its pixels, and
*lies in* it if at least half of its own pixels are there. Then, the first that holds:

=========  =====================================  ====================================
kind       a true object that ...                 a predicted object that ...
=========  =====================================  ====================================
merged     is covered by one that covers others   covers two true ones or more
           too
split      holds two predicted ones or more       lies in a true one that is split
found      has a partner (IoU >= 0.5)             is that partner
outline    is covered by, or holds, one without   covers, or lies in, a true one without
           a partner, and has none itself         a partner, and has none itself
missed     none of these
false                                             none of these
=========  =====================================  ====================================

A large object may have a partner and be merged with a small one, so that *merged* and
*split* say more than the counts of objects found, missed and false (TP, FN, FP), which
come from the partners alone.

Classes
-------
A pixel is *missed* if it was taken for background, *false* if it is background, and
*confused* if one class was taken for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import csr_array

    from napari_unetpp._types import LabelArray
    from napari_unetpp.nn._metrics_objects import InstanceMatch

    Kinds = npt.NDArray[np.uint8]
    MaskArray = npt.NDArray[np.bool_]

FOUND_IOU = 0.5
"""IoU from which two objects are partners, unless another is asked for."""


class ErrorKind(IntEnum):
    """Kinds of errors, and the values by which maps of errors show them."""

    FOUND = 0
    MISSED = 1
    FALSE = 2
    SPLIT = 3
    MERGED = 4
    OUTLINE = 5
    CONFUSED = 6

    @property
    def words(self) -> str:
        """What users read."""
        return _WORDS[self]


_WORDS = {
    ErrorKind.FOUND: "found",
    ErrorKind.MISSED: "missed",
    ErrorKind.FALSE: "false",
    ErrorKind.SPLIT: "split",
    ErrorKind.MERGED: "merged",
    ErrorKind.OUTLINE: "wrong outline",
    ErrorKind.CONFUSED: "wrong class",
}

OBJECT_ERRORS = (
    ErrorKind.MISSED,
    ErrorKind.FALSE,
    ErrorKind.SPLIT,
    ErrorKind.MERGED,
    ErrorKind.OUTLINE,
)
CLASS_ERRORS = (ErrorKind.MISSED, ErrorKind.FALSE, ErrorKind.CONFUSED)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectErrors:
    """What is wrong with each object of an image; see the top of this module.

    Attributes
    ----------
    match : InstanceMatch
        The objects.
    true, predicted : array of uint8, (n_true,) and (n_predicted,)
        `ErrorKind` of each object.
    n_found : int
        Pairs of partners.
    """

    match: InstanceMatch
    true: Kinds
    predicted: Kinds
    n_found: int

    def count(self, kind: ErrorKind) -> int:
        """Count the objects of a kind: the true ones, or the predicted of *false*."""
        kinds = self.predicted if kind is ErrorKind.FALSE else self.true
        return int((kinds == kind).sum())


def object_errors(match: InstanceMatch, threshold: float = FOUND_IOU) -> ObjectErrors:
    """Say what is wrong with each object.

    Parameters
    ----------
    match : InstanceMatch
        From `match_instances`.
    threshold : float
        IoU from which two objects are partners.
    """
    partner = match.partners(threshold)
    found = partner >= 0
    taken = np.zeros(match.n_predicted, bool)
    taken[partner[found]] = True
    covers, lies_in = (
        _half(match.shared, match.true_sizes, 0),
        _half(match.shared, match.predicted_sizes, 1),
    )
    merging = _count(covers, 0) >= 2
    split = _count(lies_in, 1) >= 2
    merged = _touched(covers, merging, 1)
    piece = _touched(lies_in, split, 0)
    related = covers.maximum(lies_in)
    off = (
        ~found & _touched(related, ~taken, 1),
        ~taken & _touched(related, ~found, 0),
    )
    return ObjectErrors(
        match=match,
        true=_first(merged, split, found, off[0], ErrorKind.MISSED),
        predicted=_first(merging, piece, taken, off[1], ErrorKind.FALSE),
        n_found=int(found.sum()),
    )


def object_error_map(
    true: LabelArray, predicted: LabelArray, errors: ObjectErrors
) -> Kinds:
    """Paint every pixel of an object that is wrong with the kind of its error.

    Parameters
    ----------
    true, predicted : array of int, (*S)
        What the errors were found in.
    errors : ObjectErrors
        The kinds of their objects.

    Returns
    -------
    array of uint8, (*S)
        `ErrorKind` of each pixel: that of its predicted object, where this is merged,
        else that of its true, else of its predicted object. 0 where nothing is wrong,
        and where either map is below 0.
    """
    own = paint_kinds(true, errors.match.true_ids, errors.true)
    other = paint_kinds(predicted, errors.match.predicted_ids, errors.predicted)
    result = np.where((own == 0) | (other == ErrorKind.MERGED), other, own)
    result[(true < 0) | (predicted < 0)] = 0
    return np.asarray(result, np.uint8)


def paint_kinds(labels: LabelArray, ids: npt.NDArray[np.int64], kinds: Kinds) -> Kinds:
    """Replace object ids by the kinds of their objects.

    Parameters
    ----------
    labels : array of int, (*S)
        Object ids.
    ids : array of int64, (n,)
        Rising ids, and
    kinds : array of uint8, (n,)
        the kind of each; what is none of them becomes 0.
    """
    if not ids.size:
        return np.zeros(labels.shape, np.uint8)
    place = np.searchsorted(ids, labels).clip(max=ids.size - 1)
    return np.where(ids[place] == labels, kinds[place], np.uint8(0))


def class_error_map(
    true: LabelArray, predicted: LabelArray, *, background: bool
) -> Kinds:
    """Return what is wrong with each pixel of class maps.

    Parameters
    ----------
    true, predicted : array of int, (*S)
        Class index of every pixel; -1 in either ignores the pixel.
    background : bool
        Whether class 0 is the background; if not, all errors are *confused*.

    Returns
    -------
    array of uint8, (*S)
        `ErrorKind` of each pixel; 0 where it is right or ignored.
    """
    wrong = (true != predicted) & (true >= 0) & (predicted >= 0)
    result = np.where(wrong, np.uint8(ErrorKind.CONFUSED), np.uint8(0))
    if background:
        result[wrong & (predicted == 0)] = ErrorKind.MISSED
        result[wrong & (true == 0)] = ErrorKind.FALSE
    return result


def _half(shared: csr_array, sizes: npt.NDArray[np.int64], axis: int) -> csr_array:
    """Return the pairs that share at least half of the object of `axis` (0: row)."""
    pairs = shared.tocoo()
    ends = (pairs.row, pairs.col)
    kept = 2 * pairs.data >= sizes[ends[axis]]
    place = (ends[0][kept], ends[1][kept])
    return type(shared)((np.ones(kept.sum(), np.int64), place), shape=shared.shape)


def _count(pairs: csr_array, axis: int) -> npt.NDArray[np.int64]:
    """Count the pairs of each column (axis 0) or row (axis 1)."""
    return np.asarray(pairs.sum(axis=axis), np.int64)


def _touched(pairs: csr_array, chosen: MaskArray, axis: int) -> MaskArray:
    """Return which rows (axis 1) or columns (axis 0) are paired with a chosen one."""
    hits = pairs @ chosen if axis else chosen @ pairs
    return np.asarray(hits) > 0


def _first(
    merged: MaskArray, split: MaskArray, found: MaskArray, off: MaskArray, last: int
) -> Kinds:
    """Return the first kind that holds for each object."""
    kinds = (ErrorKind.MERGED, ErrorKind.SPLIT, ErrorKind.FOUND, ErrorKind.OUTLINE)
    chosen = np.select((merged, split, found, off), kinds, last)
    return np.asarray(chosen, np.uint8)
