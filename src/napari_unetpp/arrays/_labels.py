"""What the integers of labels mean, and above all what 0 means: here and nowhere else.

============  ===========  =======================================================
task          unlabelled   0 is
============  ===========  =======================================================
instances     any          the background between the objects 1, 2, ...
classes       ``None``     a class like any other (dense labels)
classes       0            not labelled yet (scribbles in a viewer)
============  ===========  =======================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.config import INSTANCE_CLASSES
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray, LazyArray
    from napari_unetpp.arrays._axes import Canonical
    from napari_unetpp.arrays._image import Image
    from napari_unetpp.config import Task

IGNORE = -1
"""Class index of pixels that are not labelled: no loss and no metric counts them."""

_BACKGROUND = 0
_MAX_CLASSES = 256
_SLAB = 1 << 24
"""Pixels of labels that are looked at together."""


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What the values of labels mean.

    Attributes
    ----------
    class_values : tuple of int
        Label value of each class, in the order of the network's channels. Of an
        instance model they are just 0, 1, 2 for its background, interior and boundary.
    unlabelled : int, optional
        The value of pixels that nobody has labelled; ``None`` if all are labelled.
    """

    class_values: tuple[int, ...]
    unlabelled: int | None


def slabs(labels: LazyArray) -> Iterator[LabelArray]:
    """Yield labels in pieces along the first axis, so that few are in memory."""
    row = max(1, math.prod(labels.shape[1:]))
    step = max(1, _SLAB // row)
    for start in range(0, labels.shape[0], step):
        yield np.asarray(labels[start : start + step])


def infer_rule(
    labels: Iterable[LazyArray], task: Task, unlabelled: int | None
) -> LabelRule:
    """Return what the values of all these labels mean.

    Parameters
    ----------
    labels : iterable of arrays of int
        Every labelled image that a model is trained on.
    task : {"instances", "classes"}
        What the model shall learn.
    unlabelled : int, optional
        The value of pixels that nobody has labelled.

    Raises
    ------
    LabelsError
        If fewer than two classes, or no object, are labelled.
    """
    found: set[int] = set()
    for one in labels:
        for slab in slabs(one):
            found.update(int(value) for value in np.unique(slab))
    found.discard(unlabelled)
    if task == "instances":
        if unlabelled == _BACKGROUND:
            raise LabelsError(
                "unlabelled=0 cannot be used for instances, whose 0 is background;"
                " give the pixels that are not labelled a value of their own"
            )
        if not found - {_BACKGROUND}:
            raise LabelsError(
                "the labels hold no object (no value above 0); paint at least one"
                " object, each with its own number, and leave the background 0"
            )
        return LabelRule(tuple(range(len(INSTANCE_CLASSES))), unlabelled)
    if not 2 <= len(found) <= _MAX_CLASSES:
        shown = ", ".join(map(str, sorted(found)[:8])) or "none"
        raise LabelsError(
            f"the labels hold {len(found)} classes ({shown}); a class model needs 2 to"
            f" {_MAX_CLASSES}: paint every class, background too, say that 0 is"
            " background if it is, or train on instances if each object has a number of"
            " its own"
        )
    return LabelRule(tuple(sorted(found)), unlabelled)


def labelled_mask(labels: LabelArray, rule: LabelRule) -> npt.NDArray[np.bool_]:
    """Return where somebody has said what a pixel is."""
    if rule.unlabelled is None:
        return np.ones(labels.shape, bool)
    return np.asarray(labels != rule.unlabelled)


def to_class_index(
    labels: LabelArray, rule: LabelRule, name: str = "labels"
) -> npt.NDArray[np.int64]:
    """Return the class index of every pixel of class labels.

    Parameters
    ----------
    labels : ndarray of int
        As the user painted them.
    rule : LabelRule
        What the values mean.
    name : str
        What the labels, or their image, are called in the message.

    Returns
    -------
    ndarray of int64
        Of the same shape: 0 to K - 1, and `IGNORE` where not labelled.

    Raises
    ------
    LabelsError
        If a value is none of the classes.
    """
    index = known_class_index(labels, rule)
    stray = labelled_mask(labels, rule) & (index == IGNORE)
    if stray.any():
        raise LabelsError(
            f"{name}: label value {np.asarray(labels)[stray][0]} is none of the classes"
            f" {rule.class_values}; repaint these pixels, or say that the value is not"
            " labelled"
        )
    return index.astype(np.int64)


def known_class_index(labels: LabelArray, rule: LabelRule) -> npt.NDArray[np.int16]:
    """Return the class index of every pixel, `IGNORE` where it has no class.

    Unlike `to_class_index` it takes values that are no class for not labelled.
    """
    values = np.asarray(rule.class_values, np.int64)
    rank = np.argsort(values)
    wide = np.asarray(labels).astype(np.int64)
    place = np.searchsorted(values, wide, sorter=rank).clip(max=len(values) - 1)
    index = rank[place]
    known = labelled_mask(wide, rule) & (values[index] == wide)
    return np.where(known, index, IGNORE).astype(np.int16)


def from_class_index(
    class_map: npt.NDArray[np.integer[Any]], class_values: Sequence[int]
) -> LabelArray:
    """Return the label values that the user painted, in the smallest unsigned dtype.

    Parameters
    ----------
    class_map : ndarray of int
        Index of the class of every pixel, 0 to K - 1.
    class_values : sequence of int
        Label value of each class.
    """
    values: LabelArray = np.asarray(class_values, label_dtype(class_values))
    return np.asarray(values[class_map])


def label_dtype(values: Sequence[int]) -> np.dtype[Any]:
    """Return the smallest unsigned dtype that holds all these label values."""
    return np.min_scalar_type(max(values))


def align_labels(labels: Image, canonical: Canonical) -> LazyArray:
    """Return labels in the order of an image's result axes, checked against it.

    Parameters
    ----------
    labels : Image
        The labels. Where nothing names their axes, as in a plain TIFF file, they are
        those of the image in its own order, without channels.
    canonical : Canonical
        The image, as the network reads it.

    Returns
    -------
    array of int
        Of the shape of the image's results, nothing re-ordered in memory.

    Raises
    ------
    LabelsError
        As `check_labels` does; the message names the labels and the image.
    """
    data: Any = labels.data
    wanted, axes = canonical.result_axes, labels.axes
    if labels.axes_guessed and data.ndim == len(wanted):
        axes = canonical.image.axes.replace("C", "")
    if sorted(axes) == sorted(wanted):
        data = data.transpose(tuple(axes.index(letter) for letter in wanted))
    names = f"labels {labels.name!r} of image {canonical.image.name!r}"
    check_labels(data, canonical.result_shape, names)
    aligned: LazyArray = data
    return aligned


def check_labels(labels: LazyArray, shape: Sequence[int], name: str = "labels") -> None:
    """Refuse labels that are not whole numbers from 0, or do not fit an image.

    Parameters
    ----------
    labels : array
        The labels.
    shape : sequence of int
        What the image's pixels, channels left out, have.
    name : str
        What the labels are called in the message.

    Raises
    ------
    LabelsError
        If the dtype is not integer, a value is negative, or the shapes differ.
    """
    if labels.dtype.kind not in "biu":
        raise LabelsError(
            f"{name} have dtype {labels.dtype}; labels are whole numbers, save them as"
            " uint8, uint16 or uint32"
        )
    if tuple(labels.shape) != tuple(shape):
        raise LabelsError(
            f"{name} have shape {tuple(labels.shape)} but their image has"
            f" {tuple(shape)}; give one label for each pixel, in the same order of axes"
        )
    if labels.dtype.kind == "i":
        lowest = min(int(slab.min()) for slab in slabs(labels))
        if lowest < 0:
            raise LabelsError(
                f"{name} hold the value {lowest}; labels are 0 or more, shift them"
            )
