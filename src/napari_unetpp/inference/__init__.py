"""Prediction and segmentation of images of any size, as generators of events."""

from napari_unetpp.inference._compare import Comparison, ErrorPlace, compare_labels
from napari_unetpp.inference._device import (
    DeviceInfo,
    cuda_hint,
    devices,
    free_memory,
    resolve_device,
)
from napari_unetpp.inference._evaluate import evaluate as evaluate_images
from napari_unetpp.inference._events import (
    BadPixels,
    BlockDone,
    Event,
    Finished,
    MemoryLow,
    Rescaled,
    RunStarted,
    TileDone,
    result_of,
)
from napari_unetpp.inference._find_objects import find_objects
from napari_unetpp.inference._job import check_outputs_of, run_job
from napari_unetpp.inference._labelling import label
from napari_unetpp.inference._level_times import LevelsMeasured, measure_levels
from napari_unetpp.inference._live import LiveImages, LivePredictor
from napari_unetpp.inference._object_size import ObjectSize
from napari_unetpp.inference._places import (
    Place,
    PlaceSearch,
    PlacesFound,
    Searched,
    search_places,
)
from napari_unetpp.inference._precision import has_bfloat16, why_precision
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._predictor import Predictor, TileTooLargeError
from napari_unetpp.inference._preflight import Preflight, preflight
from napari_unetpp.inference._preview import Previewer, PreviewTile
from napari_unetpp.inference._request import (
    JobRequest,
    aligned_mask,
    check_shared,
    check_size,
    result_kinds,
)
from napari_unetpp.inference._results import (
    Prediction,
    SavedSegmentation,
    Segmentation,
)
from napari_unetpp.inference._seams import SeamCheck, check_seams
from napari_unetpp.inference._view_focus import LookedAt, ViewFocus

__all__ = [
    "BadPixels",
    "BlockDone",
    "Comparison",
    "DeviceInfo",
    "ErrorPlace",
    "Event",
    "Finished",
    "JobRequest",
    "LevelsMeasured",
    "LiveImages",
    "LivePredictor",
    "LookedAt",
    "MemoryLow",
    "ObjectSize",
    "Place",
    "PlaceSearch",
    "PlacesFound",
    "Prediction",
    "Predictor",
    "Preflight",
    "PreviewTile",
    "Previewer",
    "Rescaled",
    "RunStarted",
    "SavedSegmentation",
    "SeamCheck",
    "Searched",
    "Segmentation",
    "TileDone",
    "TileTooLargeError",
    "ViewFocus",
    "aligned_mask",
    "check_outputs_of",
    "check_seams",
    "check_shared",
    "check_size",
    "compare_labels",
    "cuda_hint",
    "devices",
    "evaluate_images",
    "find_objects",
    "free_memory",
    "has_bfloat16",
    "label",
    "measure_levels",
    "predict_image",
    "preflight",
    "resolve_device",
    "result_kinds",
    "result_of",
    "run_job",
    "search_places",
    "why_precision",
]
