"""Layers in, layers out: what knows napari but not Qt."""

from napari_unetpp._napari._inside import Inside, read_inside
from napari_unetpp._napari._jobs import describe, prepare, segment_source
from napari_unetpp._napari._layers import is_result
from napari_unetpp._napari._messages import (
    ArraysReady,
    Described,
    LabelsReady,
    Note,
    Prepared,
    Progress,
)
from napari_unetpp._napari._preferences import Preferences, read_preferences
from napari_unetpp._napari._request import SegmentRequest
from napari_unetpp._napari._shown import ShownResults
from napari_unetpp._napari._source import Source, layer_axes, read_layer
from napari_unetpp._napari._view import visible_view

__all__ = [
    "ArraysReady",
    "Described",
    "Inside",
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
    "read_inside",
    "read_layer",
    "read_preferences",
    "segment_source",
    "visible_view",
]
