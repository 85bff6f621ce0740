"""Prediction and segmentation of images of any size, as generators of events."""

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
    RunStarted,
    TileDone,
    result_of,
)
from napari_unetpp.inference._job import check_outputs_of, run_job
from napari_unetpp.inference._labelling import label
from napari_unetpp.inference._level_times import LevelsMeasured, measure_levels
from napari_unetpp.inference._live import LiveImages, LivePredictor
from napari_unetpp.inference._places import (
    Place,
    PlaceSearch,
    PlacesFound,
    Searched,
    search_places,
)
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._predictor import Predictor, TileTooLargeError
from napari_unetpp.inference._preview import Previewer, PreviewTile
from napari_unetpp.inference._request import (
    JobRequest,
    aligned_mask,
    check_shared,
    result_kinds,
)
from napari_unetpp.inference._results import (
    Prediction,
    SavedSegmentation,
    Segmentation,
)
from napari_unetpp.inference._view_focus import LookedAt, ViewFocus

__all__ = [
    "BadPixels",
    "BlockDone",
    "DeviceInfo",
    "Event",
    "Finished",
    "JobRequest",
    "LevelsMeasured",
    "LiveImages",
    "LivePredictor",
    "LookedAt",
    "MemoryLow",
    "Place",
    "PlaceSearch",
    "PlacesFound",
    "Prediction",
    "Predictor",
    "PreviewTile",
    "Previewer",
    "RunStarted",
    "SavedSegmentation",
    "Searched",
    "Segmentation",
    "TileDone",
    "TileTooLargeError",
    "ViewFocus",
    "aligned_mask",
    "check_outputs_of",
    "check_shared",
    "cuda_hint",
    "devices",
    "evaluate_images",
    "free_memory",
    "label",
    "measure_levels",
    "predict_image",
    "resolve_device",
    "result_kinds",
    "result_of",
    "run_job",
    "search_places",
]
