"""Labels compared with the truth, as a layer of errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_unetpp._napari._colours import class_colormap
from napari_unetpp._napari._layers import (
    KEY,
    LABELS,
    add_quietly,
    is_result,
    set_geometry,
)
from napari_unetpp._napari._source import layer_geometry
from napari_unetpp._napari._train_request import snapshot
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._source import Geometry
    from napari_unetpp._types import LazyArray
    from napari_unetpp.config import Task
    from napari_unetpp.inference import Comparison, ErrorPlace

ERRORS = "errors"
"""What a layer of errors is among our results."""

_MOST_PIXELS = 2**28
"""Labels are compared in memory, which takes some 30 bytes a pixel."""
_MOST_PLACES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class CompareRequest:
    """What the panel asks for, frozen when the button is pressed.

    Attributes
    ----------
    name, truth_name : str
        Names of the two layers.
    labels, truth : LazyArray
        Their labels, which painting does not change.
    geometry : Geometry
        Where the labels lie.
    task : {"instances", "classes"}
        What their values number.
    unlabelled : int or None
        Value of the truth where nobody labelled.
    tolerance : float
        Distance in pixels up to which two outlines are taken for the same.
    iou : float
        IoU from which an object counts as found on the map of errors.
    """

    name: str
    truth_name: str
    labels: LazyArray
    truth: LazyArray
    geometry: Geometry
    task: Task
    unlabelled: int | None
    tolerance: float
    iou: float


@dataclass(frozen=True, slots=True, eq=False)
class ErrorsFound:
    """What is wrong with labels.

    Attributes
    ----------
    request : CompareRequest
        What was asked.
    comparison : Comparison
        Measures and the map of errors.
    places : tuple of ErrorPlace
        Where the errors are, the largest first.
    colours : mapping of int to str
        "#rrggbb" of each value of the map.
    """

    request: CompareRequest
    comparison: Comparison
    places: tuple[ErrorPlace, ...]
    colours: Mapping[int, str]


def can_be_compared(layer: Layer) -> bool:
    """Return whether a layer holds labels; a layer of errors does not."""
    return isinstance(layer, Labels) and (
        not is_result(layer) or layer.metadata[KEY].get("result") == LABELS
    )


def is_found(layer: Layer) -> bool:
    """Return whether a layer holds labels that a model has found."""
    return can_be_compared(layer) and is_result(layer)


def task_of(layer: Layer) -> Task | None:
    """Return what labels number, if they are a result and say so."""
    task = layer.metadata.get(KEY, {}).get("task")
    return task if task in ("instances", "classes") else None


def compare_request(
    labels: Labels,
    truth: Labels,
    task: Task,
    unlabelled: int | None,
    tolerance: float,
    iou: float,
) -> CompareRequest:
    """Freeze two layers and how they are compared; call it in the GUI thread.

    Raises
    ------
    LabelsError
        If the layers do not lie on each other, or are too large.
    """
    found, right = (la.data[0] if la.multiscale else la.data for la in (labels, truth))
    names = f"labels {str(labels.name)!r} and {str(truth.name)!r}"
    if labels == truth:
        raise LabelsError(
            f"{names} are one layer; choose the labels that are right as the truth"
        )
    if tuple(found.shape) != tuple(right.shape):
        raise LabelsError(
            f"{names} have shapes {tuple(found.shape)} and {tuple(right.shape)}; choose"
            " two layers of one image, with the same axes"
        )
    if np.prod(found.shape, dtype=float) > _MOST_PIXELS:
        raise LabelsError(
            f"{names} have {np.prod(found.shape, dtype=float):,.0f} pixels, more than"
            f" the {_MOST_PIXELS:,} that can be compared here; cut the same part out of"
            " both layers"
        )
    geometry = layer_geometry(labels)
    _check_place(geometry, layer_geometry(truth), names)
    return CompareRequest(
        name=str(labels.name),
        truth_name=str(truth.name),
        labels=snapshot(found),
        truth=snapshot(right),
        geometry=geometry,
        task=task,
        unlabelled=unlabelled,
        tolerance=tolerance,
        iou=iou,
    )


def _check_place(labels: Geometry, truth: Geometry, names: str) -> None:
    """Refuse layers whose pixels lie elsewhere."""
    same_scale = np.allclose(labels.scale, truth.scale, rtol=1e-3)
    away = np.subtract(labels.translate, truth.translate) / np.array(labels.scale)
    if not same_scale or (np.abs(away) > 0.5).any():
        raise LabelsError(
            f"{names} do not lie on each other: scales {labels.scale} and"
            f" {truth.scale}, translations {labels.translate} and {truth.translate};"
            " give both layers the same"
        )


def find_errors(request: CompareRequest) -> Generator[ErrorsFound, None, None]:
    """Compare two layers; for another thread.

    Raises
    ------
    LabelsError
        If one of them holds no labels.
    """
    from napari_unetpp.api import compare
    from napari_unetpp.io._error_picture import ERROR_COLOURS

    found = compare(
        request.labels,
        request.truth,
        task=request.task,
        unlabelled=request.unlabelled,
        boundary_tolerance=request.tolerance,
        iou=request.iou,
    )
    colours = {value: ERROR_COLOURS[kind] for value, kind in found.kinds.items()}
    yield ErrorsFound(request, found, tuple(found.places(_MOST_PLACES)), colours)


def show_errors(viewer: Viewer, found: ErrorsFound) -> Labels:
    """Show the map of errors over the labels; call it in the GUI thread.

    A layer that shows earlier errors of the same labels shows the new ones.
    """
    request, errors = found.request, found.comparison
    options = {
        "colormap": class_colormap(found.colours),
        "features": _features(errors.names),
        "metadata": {KEY: {"result": ERRORS, "of": request.name}},
    }
    layer = next((la for la in viewer.layers if _is_of(la, request.name)), None)
    if layer is None:
        layer = Labels(
            errors.errors,
            name=f"{request.name.removesuffix(f' | {LABELS}')} | {ERRORS}",
            opacity=0.6,
            **options,
            **request.geometry.as_layer_options(),
        )
        add_quietly(viewer, layer)
    else:
        layer.data = errors.errors
        for name, value in options.items():
            setattr(layer, name, value)
        set_geometry(layer, request.geometry)
        layer.visible = True
    layer.editable = False
    return layer


def _features(names: Mapping[int, str]) -> dict[str, Any]:
    """Return what the status bar says about each value."""
    return {"index": [0, *names], "error": ["", *names.values()]}


def _is_of(layer: Layer, name: str) -> bool:
    """Return whether a layer shows the errors of the labels of that name."""
    made = layer.metadata.get(KEY, {})
    return (made.get("result"), made.get("of")) == (ERRORS, name)
