"""Labels against the truth: measures, and what is wrong where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unetpp.arrays import check_labels
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._report import measures
from napari_unetpp.inference._truth import Meaning, Truth
from napari_unetpp.nn._metrics import BOUNDARY_TOLERANCE
from napari_unetpp.nn._object_errors import FOUND_IOU, ErrorKind

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import Box, LabelArray
    from napari_unetpp.arrays import Image
    from napari_unetpp.config import Task


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What is right and wrong with labels.

    Attributes
    ----------
    scores : dict
        Measures, as `_report.measures` returns them.
    errors : array of unsigned int, (*S)
        0 where nothing is wrong, else a value of `names`.
    names : dict of int to str
        What each value of `errors` stands for, if it occurs.
    kinds : dict of int to ErrorKind
        And of which kind it is: "3 taken for 7" is a wrong class.
    """

    scores: dict[str, Any]
    errors: LabelArray
    names: dict[int, str]
    kinds: dict[int, ErrorKind]

    def __repr__(self) -> str:
        wrong = ", ".join(self.names.values()) or "nothing wrong"
        return f"Comparison(IoU {self.scores['mean_iou']:.3f} (mean); {wrong})"

    def places(self, most: int = 1000) -> list[ErrorPlace]:
        """Return where the errors are, the largest first; see `error_places`."""
        return error_places(self.errors, most)


def compare_labels(
    labels: Image,
    truth: Image,
    task: Task,
    *,
    unlabelled: int | None = None,
    background: bool = True,
    tolerance: float = BOUNDARY_TOLERANCE,
    iou: float = FOUND_IOU,
) -> Comparison:
    """Compare labels with the truth; see `api.compare`.

    Raises
    ------
    LabelsError
        If their shapes differ, or a value is negative.
    """
    check_labels(labels.data, truth.shape, f"labels {labels.name!r}")
    check_labels(truth.data, truth.shape, f"the truth {truth.name!r}")
    found, right = (read(each.data, (...,)) for each in (labels, truth))
    if task == "instances":
        meaning = Meaning.of_objects(tolerance)
    else:
        values = _class_values(found, right, unlabelled)
        named = background and 0 in values
        meaning = Meaning.of_classes(values, tolerance, background=named)
    compared = Truth.of(right, truth.name, meaning, unlabelled).compare(found)
    errors, said = compared.said(iou)
    return Comparison(
        scores=measures([compared.score], meaning),
        errors=errors,
        names={value: words for value, (_, words) in said.items()},
        kinds={value: kind for value, (kind, _) in said.items()},
    )


def _class_values(
    found: LabelArray, right: LabelArray, unlabelled: int | None
) -> list[int]:
    """Return the values of all classes, rising."""
    values = {int(v) for each in (found, right) for v in np.unique(each)}
    return sorted(values - {unlabelled}) or [0]


@dataclass(frozen=True, slots=True)
class ErrorPlace:
    """Neighbouring pixels with the same error.

    Attributes
    ----------
    value : int
        Their value in the map of errors.
    n_pixels : int
        How many.
    box : Box
        (start, stop) along each axis.
    centre : tuple of int
        A pixel of the plane with most of them, in the middle of the box in Y and X.
    """

    value: int
    n_pixels: int
    box: Box
    centre: tuple[int, ...]


def error_places(errors: npt.NDArray[Any], most: int = 1000) -> list[ErrorPlace]:
    """Return where pixels with the same error lie together, largest first.

    Parameters
    ----------
    errors : array of int, (*S)
        Map of errors, 0 where there is none.
    most : int
        How many places are wanted at most.
    """
    found = []
    for value in np.unique(errors[errors > 0]):
        pieces, n = ndimage.label(errors == value)
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
        boxes = ndimage.find_objects(pieces)
        for i in np.argsort(-sizes, kind="stable")[:most]:
            own = pieces[boxes[i]] == i + 1
            found.append(_place(int(value), int(sizes[i]), boxes[i], own))
    return sorted(found, key=lambda place: -place.n_pixels)[:most]


def _place(
    value: int,
    n_pixels: int,
    where: tuple[slice, ...],
    own: npt.NDArray[np.bool_],
) -> ErrorPlace:
    """Return a place whose pixels in its box are `own`."""
    per_plane = own.sum(axis=(-2, -1))
    plane = np.unravel_index(int(np.argmax(per_plane)), per_plane.shape)
    first = [part.start for part in where]
    middle = [(part.start + part.stop) // 2 for part in where[-2:]]
    loops = [a + int(b) for a, b in zip(first[:-2], plane, strict=True)]
    box = tuple((part.start, part.stop) for part in where)
    return ErrorPlace(value, n_pixels, box, (*loops, *middle))
