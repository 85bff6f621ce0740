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

__all__ = [
    "CheckpointSaved",
    "EpochDone",
    "StepDone",
    "TrainingData",
    "TrainingEvent",
    "TrainingFinished",
    "TrainingStarted",
    "fit",
]
