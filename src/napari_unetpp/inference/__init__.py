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
    BlockDone,
    Event,
    Finished,
    MemoryLow,
    RunStarted,
    TileDone,
    result_of,
)
from napari_unetpp.inference._labelling import label
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.inference._results import Prediction, Segmentation

__all__ = [
    "BlockDone",
    "DeviceInfo",
    "Event",
    "Finished",
    "MemoryLow",
    "Prediction",
    "Predictor",
    "RunStarted",
    "Segmentation",
    "TileDone",
    "cuda_hint",
    "devices",
    "evaluate_images",
    "free_memory",
    "label",
    "predict_image",
    "resolve_device",
    "result_of",
]
