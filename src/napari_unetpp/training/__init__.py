"""Fitting a model to labelled images, as a stream of events."""

from napari_unetpp.training._calibrate import calibrate_model
from napari_unetpp.training._checkpoint import Checkpoint, read_checkpoint
from napari_unetpp.training._control import TrainingControl
from napari_unetpp.training._events import (
    CheckpointSaved,
    EpochDone,
    LabelsTaken,
    Notice,
    Paused,
    StepDone,
    TrainingEvent,
    TrainingFinished,
    TrainingStarted,
    Validating,
)
from napari_unetpp.training._loop import TrainingData, fit
from napari_unetpp.training._prepare import WIDTHS, Size
from napari_unetpp.training._train import PATCHES, train_model

__all__ = [
    "PATCHES",
    "WIDTHS",
    "Checkpoint",
    "CheckpointSaved",
    "EpochDone",
    "LabelsTaken",
    "Notice",
    "Paused",
    "Size",
    "StepDone",
    "TrainingControl",
    "TrainingData",
    "TrainingEvent",
    "TrainingFinished",
    "TrainingStarted",
    "Validating",
    "calibrate_model",
    "fit",
    "read_checkpoint",
    "train_model",
]
