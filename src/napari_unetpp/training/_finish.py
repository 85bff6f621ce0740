"""The model that a run ends with, calibrated on what it held out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_unetpp.nn import Model
from napari_unetpp.training._calibration import calibrating
from napari_unetpp.training._events import Notice, TrainingFinished, Validating
from napari_unetpp.training._growth import new_network

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    import torch
    from pydantic import JsonValue
    from torch import Tensor

    from napari_unetpp.config import ModelConfig
    from napari_unetpp.training._calibration import Calibrated
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._material import Material
    from napari_unetpp.training._thresholds import ObjectFinder

_TELL = 0.5
"""Seconds between two words about how far a calibration is."""


def uncalibrated(model: Model) -> Model:
    """Return a model to train: what is calibrated suits the weights it was made for."""
    update = {"temperatures": (), "head_weights": ()}
    config = model.config.model_copy(update=update)
    return Model(model.network, config)


def finished_model(
    config: ModelConfig, weights: Mapping[str, Tensor], record: Mapping[str, JsonValue]
) -> Model:
    """Return the model of some weights, which carries the record of its training."""
    network = new_network(config, seed=0)
    network.load_state_dict(dict(weights))
    training = {**config.training, **record, "calibration": None}
    return Model(network.eval(), config.model_copy(update={"training": training}))


def finishing(
    run_id: str,
    model: Model,
    record: Mapping[str, JsonValue],
    material: Material,
    device: torch.device,
    find_objects: ObjectFinder | None,
) -> Iterator[TrainingEvent]:
    """Calibrate the model of a run, if that is wanted, and tell that it is finished.

    It is told as a validation, since it runs over the same pieces, and what cannot be
    fitted as a notice.
    """
    if material.settings.calibrate:
        model = yield from _calibrated(run_id, model, material, device, find_objects)
    told = {**record, "calibration": model.config.training["calibration"]}
    yield TrainingFinished(run_id, model, told, bool(record["stopped"]))


def _calibrated(
    run_id: str,
    model: Model,
    material: Material,
    device: torch.device,
    find_objects: ObjectFinder | None,
) -> Generator[TrainingEvent, None, Model]:
    run = calibrating(
        model, material.data.validation, material.settings, device, find_objects
    )
    told = time.monotonic()
    while True:
        try:
            progress = next(run)
        except StopIteration as end:
            found: Calibrated = end.value
            break
        if time.monotonic() - told > _TELL:
            told = time.monotonic()
            yield Validating(run_id, progress.done, progress.n)
    for text in found.notices:
        yield Notice(run_id, text)
    return found.model
