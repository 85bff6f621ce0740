"""A prediction taken over as labels, where the user has not labelled yet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari._preview_arrays import meet
from napari_unetpp._napari._source import CHANNEL
from napari_unetpp._napari._view import SPATIAL
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Labels

    from napari_unetpp._napari._preview_arrays import Bytes, Mask, PreviewArrays
    from napari_unetpp._napari._source import Source
    from napari_unetpp._types import Box
    from napari_unetpp.config import Task

    Numbers = npt.NDArray[np.int64]

MOST_ACCEPTED = 4 * 2**20
"""Pixels of a view above which nothing is accepted: nobody could have judged them."""

_BACKGROUND = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was taken over.

    Attributes
    ----------
    n_pixels : int
        Pixels written.
    text : str
        What was done and left out, in words.
    """

    n_pixels: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What can be accepted.

    Attributes
    ----------
    arrays : PreviewArrays
        What was predicted.
    source : Source
        The image.
    task : {"instances", "classes"}
        What the arrays hold.
    class_values : tuple of int
        Label value of each class.
    """

    arrays: PreviewArrays
    source: Source
    task: Task
    class_values: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _New:
    """New labels of a region.

    Attributes
    ----------
    where : ndarray of bool, (*S)
        Pixels that are written.
    values : ndarray of int, (*S)
        Their labels.
    text : str
        What they are, in words.
    """

    where: Mask
    values: Numbers
    text: str


def accept(
    prediction: Prediction, layer: Labels, view: Box, unlabelled: int | None
) -> Accepted:
    """Write a prediction to a labels layer, as one step that can be undone.

    Parameters
    ----------
    prediction : Prediction
        What.
    layer : Labels
        The user's labels of the image.
    view : Box
        Where, one interval in pixels for each loop and spatial axis.
    unlabelled : int, optional
        The label value of pixels that nobody has labelled. Without it the pixels that
        are 0 are written to: so are those of a dense class 0.

    Raises
    ------
    LabelsError
        If the layer cannot be painted on, does not fit the image, or its numbers are
        used up.
    """
    part = prediction.arrays.part
    region = view[len(part.loop) :]
    shared = meet(region, part.region)
    here = tuple((at, at + 1) for at in part.loop) == tuple(view[: len(part.loop)])
    if shared is None or not here:
        return Accepted(0, "Nothing is predicted here yet; wait for the preview.")
    n_pixels = math.prod(stop - start for start, stop in shared)
    window = prediction.arrays.window(shared)
    if window is None or n_pixels > MOST_ACCEPTED:
        return Accepted(
            0,
            f"{n_pixels / 1e6:.0f} million pixels are in view, too many to be judged by"
            f" eye; zoom in to at most {MOST_ACCEPTED / 1e6:.0f} million.",
        )
    target = _Target(layer, prediction.source, part.loop, shared)
    new = _new_labels(prediction, window, target, unlabelled)
    if isinstance(new, str):
        return Accepted(0, new)
    n_written = target.write(new)
    text = new.text if n_written else "Nothing new here: all in view is labelled."
    return Accepted(n_written, text)


def _new_labels(
    prediction: Prediction,
    window: tuple[Bytes, Mask],
    target: _Target,
    unlabelled: int | None,
) -> _New | str:
    """Return what to write to a region, or why nothing is written."""
    found, known = window
    if not known.any():
        return "Nothing is predicted here yet; wait for the preview."
    labels = target.read()
    if prediction.task == "classes":
        empty = _BACKGROUND if unlabelled is None else unlabelled
        values = np.asarray(prediction.class_values, np.int64)[found[0]]
        return _New(*_classes(values, known & (labels == empty)))
    if target.is_cut_stack:
        return (
            "Objects of a stack are accepted as a whole: switch to the 3-D view (the"
            " cube button below the layers) and wait for its preview."
        )
    return _objects(found, known, labels, target, unlabelled)


def _classes(values: Numbers, where: Mask) -> tuple[Mask, Numbers, str]:
    n = int(where.sum())
    n_classes = len(np.unique(values[where]))
    text = f"{n:,} pixels accepted in {n_classes} class{'es' * (n_classes != 1)}."
    return where, values, text


def _objects(
    found: Bytes,
    known: Mask,
    labels: npt.NDArray[np.integer[Any]],
    target: _Target,
    unlabelled: int | None,
) -> _New:
    """Return new objects, and the background between them where 0 says so."""
    # Not imported with the plugin: that would load torch.
    from napari_unetpp._napari._objects import new_objects

    free = labels == _BACKGROUND
    if unlabelled is not None:
        free |= labels == unlabelled
    new = new_objects(found, known, free, target.open_sides)
    first = target.highest(unlabelled) + 1
    values = np.where(new.ids > 0, new.ids.astype(np.int64) + (first - 1), _BACKGROUND)
    if unlabelled is not None and first <= unlabelled:
        values[values >= unlabelled] += 1  # that number means something else
    where = (new.ids > 0) & free
    if unlabelled is not None:
        where |= known & free & ~new.left_out
    text = f"{new.n:,} object{'s' * (new.n != 1)} accepted."
    if new.n_cut:
        text += (
            f" {new.n_cut:,} cut by the edge of the view: left out; move them into view"
            " and accept again."
        )
    if new.n_there:
        text += f" {new.n_there:,} labelled already."
    return _New(where, values, text)


class _Target:
    """A region of the user's labels, with the axes of a result.

    Parameters
    ----------
    layer : Labels
        The labels.
    source : Source
        Their image.
    loop : tuple of int
        Index along each axis but the spatial ones and C.
    region : Box
        Pixels along the spatial axes.
    """

    def __init__(
        self, layer: Labels, source: Source, loop: tuple[int, ...], region: Box
    ) -> None:
        self._layer, self._region = layer, region
        self._axes = _axes_of(layer, source)
        self._spatial = SPATIAL[len(region)]
        sizes = dict(zip(source.shown_axes, source.shown_shape, strict=True))
        self._sizes = [sizes[letter] for letter in self._spatial]
        loops = (a for a in source.shown_axes if a not in self._spatial + CHANNEL)
        self._at = dict(zip(loops, loop, strict=True)) | {CHANNEL: 0}

    @property
    def open_sides(self) -> list[tuple[bool, bool]]:
        """For each axis, whether the image goes on before and after the region."""
        pairs = zip(self._region, self._sizes, strict=True)
        return [(start > 0, stop < size) for (start, stop), size in pairs]

    @property
    def is_cut_stack(self) -> bool:
        """Whether it is not all of a stack in depth."""
        deep = len(self._region) == 3
        return deep and self._region[0] != (0, self._sizes[0])

    def read(self) -> npt.NDArray[np.integer[Any]]:
        """Return the labels of the region, (*spatial)."""
        spans = dict(zip(self._spatial, self._region, strict=True))
        index = tuple(
            slice(*spans[a]) if a in spans else self._at[a] for a in self._axes
        )
        kept = [a for a in self._axes if a in spans]
        found = np.asarray(self._layer.data[index])
        return found.transpose([kept.index(a) for a in self._spatial])

    def highest(self, unlabelled: int | None) -> int:
        """Return the highest number that an object of the layer has."""
        data = np.asarray(self._layer.data)
        numbers = data if unlabelled is None else data[data != unlabelled]
        return int(numbers.max(initial=0))

    def write(self, new: _New) -> int:
        """Write labels; return how many pixels changed."""
        where = new.where & (new.values != self.read())
        values = new.values[where]
        dtype = np.dtype(self._layer.data.dtype)
        if not len(values):
            return 0
        if values.max() > np.iinfo(dtype).max:
            raise LabelsError(
                f"label {values.max()} does not fit into {self._layer.name!r}, whose"
                f" dtype {dtype} ends at {np.iinfo(dtype).max}; convert the layer to"
                " uint16 or uint32 (right click on it, Convert data type)"
            )
        found = dict(zip(self._spatial, np.nonzero(where), strict=True))
        starts = dict(zip(self._spatial, self._region, strict=True))
        indices = tuple(
            found[a] + starts[a][0]
            if a in found
            else np.full(len(values), self._at[a], np.intp)
            for a in self._axes
        )
        self._layer.data_setitem(indices, values.astype(dtype))
        return len(values)


def _axes_of(layer: Labels, source: Source) -> str:
    """Return the axes of labels that were made for an image.

    Raises
    ------
    LabelsError
        If they were not, or cannot be painted on.
    """
    if layer.multiscale or not hasattr(layer.data, "__setitem__"):
        raise LabelsError(
            f"{layer.name!r} cannot be painted on: it has several sizes, or is computed"
            " when it is shown; make a new labels layer and copy what is there"
        )
    axes, sizes = source.shown_axes, source.shown_shape
    plain = axes.replace(CHANNEL, "")
    of_plain = tuple(n for a, n in zip(axes, sizes, strict=True) if a != CHANNEL)
    with_one = tuple(1 if a == CHANNEL else n for a, n in zip(axes, sizes, strict=True))
    shape = tuple(layer.data.shape)
    if shape == of_plain:
        return plain
    if shape == with_one:
        return axes
    raise LabelsError(
        f"labels {layer.name!r} have shape {shape} but their image {source.name!r} has"
        f" {of_plain}; choose the labels of this image"
    )
