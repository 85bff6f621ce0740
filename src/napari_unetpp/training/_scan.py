"""Finding what is labelled, slab by slab, so that big labels are never read whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.arrays import IGNORE, known_class_index
from napari_unetpp.training._crops import cells_of, planes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray, LazyArray
    from napari_unetpp.arrays import Canonical, LabelRule
    from napari_unetpp.config import Task

    Loop = tuple[int, ...]

_SLAB = 1 << 22
"""Pixels of labels that are looked at together."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What is labelled of one image.

    Attributes
    ----------
    counts : ndarray of int
        Shape (K, *grid): labelled pixels of each class in each block, of all planes.
    by_plane : dict
        For each plane that has labels, by its index on the loop axes, the blocks
        (*grid) that hold some.
    stray : tuple of int
        Values that are no class.
    """

    counts: npt.NDArray[np.int64]
    by_plane: dict[Loop, npt.NDArray[np.bool_]]
    stray: tuple[int, ...]


def scan_labels(
    labels: LazyArray, image: Canonical, task: Task, rule: LabelRule, edge: int
) -> Scan:
    """Return what is labelled of an image, counted by blocks of `edge` pixels.

    Parameters
    ----------
    labels : array of int
        In the order of the image's result axes.
    image : Canonical
        The image.
    task, rule
        What values mean; objects count as one class, the background as another.
    edge : int
        Edge of a block in pixels.
    """
    n_kinds = 2 if task == "instances" else len(rule.class_values)
    grid = cells_of(image.spatial_shape, edge)
    total = np.zeros((n_kinds, *grid), np.int64)
    by_plane: dict[Loop, npt.NDArray[np.bool_]] = {}
    stray: set[int] = set()
    for loop in planes(image.loop_shape):
        counts = np.zeros_like(total)
        for row, slab in _slabs(labels, loop, edge):
            if rule.unlabelled is not None and (slab == rule.unlabelled).all():
                continue
            kinds = truth_of(slab, task, rule)
            if task == "instances":
                kinds = np.sign(kinds)
            else:
                stray |= _stray(slab, kinds, rule)
            part = _count(kinds, n_kinds, edge)
            counts[:, row : row + part.shape[1]] = part
        if counts.any():
            total += counts
            by_plane[loop] = np.asarray(counts.any(axis=0))
    return Scan(total, by_plane, tuple(sorted(stray)))


def truth_of(labels: LabelArray, task: Task, rule: LabelRule) -> LabelArray:
    """Return object numbers or class indices, `IGNORE` where nothing is labelled.

    A value that is none of the classes is not labelled.
    """
    if task == "classes":
        return known_class_index(labels, rule)
    wide = labels.dtype.itemsize > 4
    truth: LabelArray = labels.astype(np.int64 if wide else np.int32)
    if rule.unlabelled is not None:
        truth[labels == rule.unlabelled] = IGNORE
    return truth


def _slabs(
    labels: LazyArray, loop: tuple[int, ...], edge: int
) -> Iterator[tuple[int, LabelArray]]:
    """Yield the first row of blocks and the pixels of each slab of a plane."""
    shape = labels.shape[len(loop) :]
    row = int(np.prod(shape[1:])) * edge
    step = max(1, _SLAB // row) * edge
    for start in range(0, shape[0], step):
        yield start // edge, np.asarray(labels[(*loop, slice(start, start + step))])


def _count(kinds: LabelArray, n_kinds: int, edge: int) -> npt.NDArray[np.int64]:
    """Return the pixels of each kind in each block, shape (K, *grid)."""
    counts = []
    for kind in range(n_kinds):
        part = (kinds == kind).astype(np.int32)
        for axis, n in reversed(list(enumerate(kinds.shape))):
            part = np.add.reduceat(part, np.arange(0, n, edge), axis=axis)
        counts.append(part)
    return np.stack(counts).astype(np.int64)


def _stray(slab: LabelArray, kinds: LabelArray, rule: LabelRule) -> set[int]:
    """Return values that are neither a class nor the one for not labelled."""
    odd = np.unique(slab[kinds == IGNORE])
    return {int(value) for value in odd} - {rule.unlabelled}
