"""From labelled images to training patches."""

from napari_unetpp.data._sampling import PatchSampler, TrainingPair
from napari_unetpp.data._targets import IGNORED, instance_target

__all__ = ["IGNORED", "PatchSampler", "TrainingPair", "instance_target"]
