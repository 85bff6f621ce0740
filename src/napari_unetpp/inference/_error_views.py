"""The part of an image that shows best what is wrong with its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.inference._lazy import read
from napari_unetpp.io._error_picture import ErrorPicture
from napari_unetpp.nn._metrics import summarise
from napari_unetpp.nn._object_errors import (
    CLASS_ERRORS,
    OBJECT_ERRORS,
    ErrorKind,
    paint_kinds,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp.arrays import Canonical
    from napari_unetpp.inference._truth import Compared

LARGEST_VIEW = 1024
"""Edge in pixels of the largest part of an image that one picture shows."""


_SHOWN = {
    "ap50": "AP50",
    "pq": "PQ",
    "iou": "IoU",
    "mean_iou": "mean IoU",
    "boundary_f": "boundary F",
}
"""Measures that stand above a picture."""


def error_picture(image: Canonical, compared: Compared) -> ErrorPicture:
    """Return the plane with most wrong pixels, of large ones the worst part.

    Parameters
    ----------
    image : Canonical
        What was segmented; of it only the part shown is read.
    compared : Compared
        Its labels and the truth.
    """
    kinds = compared.kinds()
    wrong = kinds > 0
    plane = _worst_plane(wrong)
    part = tuple(_worst_part(wrong[plane]))
    index: tuple[int | slice, ...] = (*plane, *part)
    n_loops = len(image.loop_axes)
    pixels = read(image.data, (*index[:n_loops], slice(None), *index[n_loops:]))
    errors = compared.object_errors()
    if errors is None:
        blank = np.zeros(kinds[index].shape, np.uint8)
        maps = (blank, blank, kinds[index], kinds[index])
        counts = {kind: int((kinds == kind).sum()) for kind in CLASS_ERRORS}
    else:
        true, found = compared.truth.values[index], compared.found[index]
        maps = (
            true.clip(min=0),
            np.where(true < 0, 0, found),
            paint_kinds(true, errors.match.true_ids, errors.true),
            paint_kinds(found, errors.match.predicted_ids, errors.predicted),
        )
        counts = {kind: errors.count(kind) for kind in OBJECT_ERRORS}
    return ErrorPicture(
        image.image.name,
        _words(plane, part, image),
        _scores(compared),
        pixels.mean(axis=0),
        *maps,
        counts=counts,
        n_right=None if errors is None else errors.count(ErrorKind.FOUND),
    )


def _scores(compared: Compared) -> str:
    """Return some measures of an image in words."""
    background = compared.truth.meaning.background
    found = summarise([compared.score], background=background)
    return ", ".join(
        f"{words} {found[name]:.3f}" for name, words in _SHOWN.items() if name in found
    )


def _worst_plane(wrong: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the Y, X plane with most wrong pixels."""
    per_plane = wrong.sum(axis=(-2, -1))
    place = np.unravel_index(int(np.argmax(per_plane)), per_plane.shape)
    return tuple(int(i) for i in place)


def _worst_part(wrong: npt.NDArray[np.bool_]) -> list[slice]:
    """Return the part of a plane, of the largest view's size, with most errors.

    Parts are tried every quarter of their size.
    """
    sizes = [min(edge, LARGEST_VIEW) for edge in wrong.shape]
    sums = np.zeros((wrong.shape[0] + 1, wrong.shape[1] + 1), np.int64)
    sums[1:, 1:] = wrong.cumsum(axis=0).cumsum(axis=1)
    starts = [
        np.unique(np.append(np.arange(0, edge - size + 1, size // 4 or 1), edge - size))
        for edge, size in zip(wrong.shape, sizes, strict=True)
    ]
    (top, left), (height, width) = np.ix_(*starts), sizes
    inside = (
        sums[top + height, left + width]
        - sums[top, left + width]
        - sums[top + height, left]
        + sums[top, left]
    )
    at = np.unravel_index(int(np.argmax(inside)), inside.shape)
    firsts = [int(own[i]) for own, i in zip(starts, at, strict=True)]
    return [slice(a, a + size) for a, size in zip(firsts, sizes, strict=True)]


def _words(plane: tuple[int, ...], part: tuple[slice, ...], image: Canonical) -> str:
    """Return which part of an image is shown."""
    axes, shape = image.result_axes, image.result_shape
    words = [f"{axis} {at}" for axis, at in zip(axes, plane, strict=False)]
    for axis, span, size in zip("YX", part, shape[-2:], strict=True):
        if span.stop - span.start < size:
            words.append(f"{axis} {span.start} to {span.stop - 1}")
    return ", ".join(words)
