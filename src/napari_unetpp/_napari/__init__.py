"""Layers in, layers out: what knows napari but not Qt."""

from napari_unetpp._napari._jobs import (
    ArraysReady,
    Described,
    LabelsReady,
    Note,
    Prepared,
    Progress,
    SegmentRequest,
    describe,
    prepare,
    segment_source,
)
from napari_unetpp._napari._layers import is_result
from napari_unetpp._napari._preferences import Preferences, read_preferences
from napari_unetpp._napari._shown import ShownResults
from napari_unetpp._napari._source import Source, layer_axes, read_layer
from napari_unetpp._napari._view import visible_view

__all__ = [
    "ArraysReady",
    "Described",
    "LabelsReady",
    "Note",
    "Preferences",
    "Prepared",
    "Progress",
    "SegmentRequest",
    "ShownResults",
    "Source",
    "describe",
    "is_result",
    "layer_axes",
    "prepare",
    "read_layer",
    "read_preferences",
    "segment_source",
    "visible_view",
]
