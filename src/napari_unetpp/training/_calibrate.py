"""A model that was trained before, calibrated on labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.arrays import LabelRule
from napari_unetpp.arrays._labels import slabs
from napari_unetpp.config import TrainingConfig
from napari_unetpp.errors import LabelsError
from napari_unetpp.training._calibration import calibrating
from napari_unetpp.training._labelled import LabelledSet
from napari_unetpp.training._train import _items

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import torch

    from napari_unetpp.config import ModelConfig, Nonfinite
    from napari_unetpp.nn import Model
    from napari_unetpp.training._calibration import Progress
    from napari_unetpp.training._prepare import LabelledImage
    from napari_unetpp.training._thresholds import ObjectFinder

_OF_TARGETS = ("instance_target", "boundary_width", "distance_reach", "seed")
"""Settings of a training that decide how targets are made and pixels drawn."""


def calibrate_model(
    model: Model,
    images: Sequence[object],
    labels: Sequence[object],
    device: torch.device,
    find_objects: ObjectFinder,
    *,
    unlabelled: int | None = None,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
) -> Generator[Progress, None, Model]:
    """Calibrate a model on images new to it; see `napari_unetpp.calibrate`.

    Parameters
    ----------
    model : Model
        Its network is moved to `device` and back.
    find_objects : callable
        As in `calibrating`.
    images, labels, device, unlabelled, axes, channel, nonfinite
        As in `napari_unetpp.calibrate`, with the device at hand.

    Yields
    ------
    Progress
        Between its steps.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        As `napari_unetpp.calibrate` does.
    """
    config = model.config
    rule = LabelRule(config.class_values, unlabelled)
    items = _items(images, labels, axes, channel)
    if config.task == "classes":
        _refuse_other_classes(items, rule, config.name)
    settings = _settings(config)
    data = LabelledSet(items, config, rule, settings, nonfinite).data()
    done = yield from calibrating(model, data.pairs, settings, device, find_objects)
    if done.model is model:
        raise LabelsError(f"{config.name!r} is not calibrated: {done.notices[0]}")
    return done.model


def _settings(config: ModelConfig) -> TrainingConfig:
    """Return settings that make the targets that the model has learnt."""
    recorded = config.training.get("settings")
    known = recorded if isinstance(recorded, dict) else {}
    return TrainingConfig.model_validate(
        {name: known[name] for name in _OF_TARGETS if name in known}
        | {"epochs": 1, "validation_fraction": 0}
    )


def _refuse_other_classes(
    items: Sequence[LabelledImage], rule: LabelRule, name: str
) -> None:
    """Refuse label values that the model knows nothing of."""
    known = {*rule.class_values, rule.unlabelled}
    for item in items:
        for slab in slabs(item.labels.data):
            stray = sorted({*np.unique(slab).tolist()} - known)
            if stray:
                raise LabelsError(
                    f"{item.labels.name}: label value {stray[0]} is none of the classes"
                    f" {rule.class_values} of {name!r}; repaint these pixels, or say"
                    " that the value is not labelled"
                )
