"""Fitting a model to labelled images, as a stream of events."""

from napari_unetpp.training._events import (
    CheckpointSaved,
    EpochDone,
    StepDone,
    TrainingEvent,
    TrainingFinished,
    TrainingStarted,
)
from napari_unetpp.training._loop import TrainingData, fit
from napari_unetpp.training._prepare import WIDTHS, Size
from napari_unetpp.training._train import train_model

__all__ = [
    "WIDTHS",
    "CheckpointSaved",
    "EpochDone",
    "Size",
    "StepDone",
    "TrainingData",
    "TrainingEvent",
    "TrainingFinished",
    "TrainingStarted",
    "fit",
    "train_model",
]
