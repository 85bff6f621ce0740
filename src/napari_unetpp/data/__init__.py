"""From labelled images to training patches."""

from napari_unetpp.data._sampling import PatchSampler, TrainingPair
from napari_unetpp.data._targets import class_index, distance_target, instance_target

__all__ = [
    "PatchSampler",
    "TrainingPair",
    "class_index",
    "distance_target",
    "instance_target",
]
