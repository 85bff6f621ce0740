"""From labelled images to training patches."""

from napari_unetpp.data._sampling import PatchSampler, TrainingPair
from napari_unetpp.data._targets import instance_target

__all__ = ["PatchSampler", "TrainingPair", "instance_target"]
