"""The verbs: what the console, the command line and the panels all call."""

from napari_unetpp.api._evaluate import evaluate
from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.api._segment import predict, segment, segmenting
from napari_unetpp.api._segment_to import job_request, segment_to, segmenting_to
from napari_unetpp.api._train import DEFAULT_MINUTES, train, training

__all__ = [
    "DEFAULT_MINUTES",
    "DEFAULT_MODEL",
    "evaluate",
    "job_request",
    "load_model",
    "predict",
    "segment",
    "segment_to",
    "segmenting",
    "segmenting_to",
    "train",
    "training",
]
