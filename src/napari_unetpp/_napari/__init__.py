"""Layers in, layers out: what knows napari but not Qt."""

from napari_unetpp._napari._comparing import (
    CompareRequest,
    ErrorsFound,
    can_be_compared,
    compare_request,
    find_errors,
    is_found,
    show_errors,
    task_of,
)
from napari_unetpp._napari._going import go_to
from napari_unetpp._napari._inside import Inside, read_inside
from napari_unetpp._napari._jobs import describe, own_models, prepare, segment_source
from napari_unetpp._napari._layers import is_result
from napari_unetpp._napari._line import line_lengths, lines_layer
from napari_unetpp._napari._messages import (
    ArraysReady,
    Described,
    LabelsReady,
    Note,
    Prepared,
    Progress,
)
from napari_unetpp._napari._preferences import Preferences, read_preferences
from napari_unetpp._napari._recipe_layers import (
    RecipeOpened,
    RecipeSaved,
    add_inputs,
    file_of,
    open_training,
    save_training,
)
from napari_unetpp._napari._request import SegmentRequest
from napari_unetpp._napari._segment_recipe import (
    SegmentationOpened,
    add_segmentation,
    open_segmentation,
    save_segmentation,
)
from napari_unetpp._napari._shown import ShownResults
from napari_unetpp._napari._source import Source, layer_axes, read_layer
from napari_unetpp._napari._train_request import (
    Choices,
    LabelledSource,
    TrainRequest,
    can_be_learnt,
    checkpoint_of,
    labels_shapes,
    new_labels_options,
    read_labels_layer,
    recipe_of,
    snapshot,
)
from napari_unetpp._napari._training import (
    Begun,
    LabelsCounted,
    Sizes,
    Told,
    Trained,
    count_labels,
    find_places,
    train_source,
    weigh_sizes,
)
from napari_unetpp._napari._training_layers import PreviewLayers
from napari_unetpp._napari._view import View, visible_view

__all__ = [
    "ArraysReady",
    "Begun",
    "Choices",
    "CompareRequest",
    "Described",
    "ErrorsFound",
    "Inside",
    "LabelledSource",
    "LabelsCounted",
    "LabelsReady",
    "Note",
    "Preferences",
    "Prepared",
    "PreviewLayers",
    "Progress",
    "RecipeOpened",
    "RecipeSaved",
    "SegmentRequest",
    "SegmentationOpened",
    "ShownResults",
    "Sizes",
    "Source",
    "Told",
    "TrainRequest",
    "Trained",
    "View",
    "add_inputs",
    "add_segmentation",
    "can_be_compared",
    "can_be_learnt",
    "checkpoint_of",
    "compare_request",
    "count_labels",
    "describe",
    "file_of",
    "find_errors",
    "find_places",
    "go_to",
    "is_found",
    "is_result",
    "labels_shapes",
    "layer_axes",
    "line_lengths",
    "lines_layer",
    "new_labels_options",
    "open_segmentation",
    "open_training",
    "own_models",
    "prepare",
    "read_inside",
    "read_labels_layer",
    "read_layer",
    "read_preferences",
    "recipe_of",
    "save_segmentation",
    "save_training",
    "segment_source",
    "show_errors",
    "snapshot",
    "task_of",
    "train_source",
    "visible_view",
    "weigh_sizes",
]
