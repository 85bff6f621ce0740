"""How large the objects are that a model has learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.arrays import object_diameters

if TYPE_CHECKING:
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.training._loop import TrainingData

_STEPS = 100  # of a pixel, in which it is kept


def with_diameter(config: ModelConfig, data: TrainingData) -> ModelConfig:
    """Return the config of a model that tells the usual diameter of what it has learnt.

    It is the median over the labelled objects of all images, held-out ones too, of the
    diameter of the circle of their area (3-D: of the sphere of their volume).

    Parameters
    ----------
    config : ModelConfig
        Of the model; one of classes is returned without a diameter.
    data : TrainingData
        What it was trained on.
    """
    found = []
    if config.task == "instances":
        # Of held-out pieces of an image the whole is among what was learnt from.
        whole = (pair for pair in data.validation if pair.counts is None)
        found = [object_diameters(pair.labels) for pair in (*data.pairs, *whole)]
    sizes = np.concatenate([np.zeros(0), *found])
    diameter = round(float(np.median(sizes)) * _STEPS) / _STEPS if len(sizes) else None
    return config.model_copy(update={"diameter": diameter or None})
