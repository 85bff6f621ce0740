"""Guessing what labels mean, so that the user need only be asked now and then.

Strokes are few pixels of few values, in several pieces each; dense classes are many
pixels of few values; objects are many values of one piece each.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_unetpp._types import LabelArray, LazyArray
    from napari_unetpp.config import Task

_SEVERAL = 4
"""Values from which labels of one piece each are taken for objects, if with doubt."""
_MANY = 10
"""Values from which labels of about one piece each are surely objects."""
_ONE_PIECE = 1.5
"""Pieces a value up to which values number objects."""
_FEW_PAINTED, _SPARSE, _DENSE = 0.05, 0.1, 0.3
"""Shares of painted pixels: surely strokes up to the first, likely up to the second,
surely dense from the third."""

_MAX_PLANES = 8
_MAX_EDGE = 1024
_MAX_VALUES = 200
_MAX_SORTED = 1 << 20
_MAX_PIXELS = 1 << 28
"""Bounds on what is looked at, so that a panel need not wait."""


class LabelMeaning(NamedTuple):
    """What labels seem to mean, to be shown and changed.

    Attributes
    ----------
    task : {"instances", "classes"}
        Whether values number objects or classes.
    unlabelled : int, optional
        The value of pixels that nobody has labelled; ``None`` if all are labelled.
    ambiguous : bool
        Whether another meaning is nearly as likely, so that the user is to be asked.
    """

    task: Task
    unlabelled: int | None
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class _Look:
    """What is seen of the planes that hold labels."""

    n_values: int
    painted: float
    pieces: float
    """Pieces of a value in a plane, on average."""


def guess_meaning(labels: Iterable[LazyArray]) -> LabelMeaning:
    """Return what the values of labels most likely mean, 0 above all.

    Parameters
    ----------
    labels : iterable of arrays of int
        Every labelled image, of any number of axes; the last two are Y and X.
    """
    look = _look(labels)
    if look.n_values == 0:
        return LabelMeaning("classes", 0, True)
    if look.n_values >= _SEVERAL and look.pieces <= _ONE_PIECE:
        return LabelMeaning("instances", None, look.n_values < _MANY)
    if look.painted == 1:
        return LabelMeaning("classes", None, False)
    if look.n_values == 1:  # with 0 not labelled there would be one class only
        return LabelMeaning("classes", None, True)
    if look.painted < _SPARSE:
        return LabelMeaning("classes", 0, look.painted > _FEW_PAINTED)
    return LabelMeaning("classes", None, look.painted < _DENSE)


def _look(labels: Iterable[LazyArray]) -> _Look:
    values: set[int] = set()
    n_painted = n_pixels = n_pieces = n_seen = n_planes = 0
    for one in labels:
        for plane in _planes(one):
            painted = plane[plane != 0]
            if not painted.size:
                continue
            some = painted[:: 1 + painted.size // _MAX_SORTED]
            values.update(np.unique(some).tolist())
            n_painted, n_pixels = n_painted + painted.size, n_pixels + plane.size
            if n_planes < _MAX_PLANES:
                pieces, seen = _pieces(plane)
                n_pieces, n_seen = n_pieces + pieces, n_seen + seen
                n_planes += 1
    return _Look(len(values), n_painted / max(1, n_pixels), n_pieces / max(1, n_seen))


def _planes(labels: LazyArray) -> Iterator[LabelArray]:
    """Yield the planes Y, X of labels, as many as can be looked at in a while."""
    size = math.prod(labels.shape[-2:])
    planes = np.ndindex(tuple(labels.shape[:-2]))
    for index in itertools.islice(planes, max(1, _MAX_PIXELS // max(1, size))):
        yield np.asarray(labels[index])


def _pieces(plane: LabelArray) -> tuple[int, int]:
    """Return the number of connected pieces of a plane and that of its values."""
    from scipy import ndimage  # a third of a second that a panel need not wait for

    rows = np.flatnonzero(plane.any(axis=1))
    row = rows[len(rows) // 2]  # windows lie around a painted pixel, never beside all
    columns = np.flatnonzero(plane[row])
    window = [
        slice(max(0, int(at) - _MAX_EDGE // 2), int(at) + _MAX_EDGE // 2)
        for at in (row, columns[len(columns) // 2])
    ]
    part = plane[tuple(window)]
    values, index = np.unique(part, return_inverse=True)
    rank = index.reshape(part.shape) + (values[0] != 0)  # 0 stays the background
    everywhere = np.ones((3, 3), int)
    n_pieces = n_values = 0
    for k, box in enumerate(ndimage.find_objects(rank)[:_MAX_VALUES]):
        if box is not None:
            n_pieces += ndimage.label(rank[box] == k + 1, everywhere)[1]
            n_values += 1
    return n_pieces, n_values
