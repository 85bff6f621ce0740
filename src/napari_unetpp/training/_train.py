"""From images and labels to a model file: all of a training run, as events."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from napari_unetpp.arrays import infer_rule
from napari_unetpp.errors import LabelsError, TrainingError
from napari_unetpp.io import as_image, check_model_path, read_labels, save_model
from napari_unetpp.training._events import TrainingFinished
from napari_unetpp.training._loop import fit
from napari_unetpp.training._prepare import (
    LabelledImage,
    make_pairs,
    new_model,
    split,
    warm_start,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    import torch
    from pydantic import JsonValue

    from napari_unetpp.config import Nonfinite, Task, TrainingConfig
    from napari_unetpp.nn import Model
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._prepare import Size

_DEFAULTS = {2: {"patch": 256, "batch": 8}, 3: {"patch": 64, "batch": 2}}
"""Patches that a graphics card of 8 GB, or a patient CPU, trains the base size with."""


def train_model(
    images: Sequence[object],
    labels: Sequence[object],
    device: torch.device,
    *,
    base: Model | None = None,
    task: Task = "instances",
    unlabelled: int | None = None,
    size: Size = "base",
    spatial_dims: Literal[2, 3] | None = None,
    settings: TrainingConfig,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Generator[TrainingEvent, None, Model]:
    """Train on labelled images and write the model; see `napari_unetpp.train`.

    Yields
    ------
    TrainingEvent
        As `fit` does; with `output`, the model is written before the last one.

    Returns
    -------
    Model
        The best one.
    """
    path, checkpoint = _outputs(output, resume=resume, overwrite=overwrite)
    items = _items(images, labels, axes, channel)
    rule = infer_rule([item.labels.data for item in items], task, unlabelled)
    model = new_model(
        items,
        task,
        rule,
        size=size,
        spatial_dims=spatial_dims,
        name=path.stem if path else "model",
        seed=settings.seed,
    )
    kept = 0
    if base is not None:
        model, kept = warm_start(model, base)
    pairs = make_pairs(items, model.config, rule, nonfinite)
    data = split(pairs, settings.validation_fraction, settings.seed)
    settings = _fitted(settings, model, [p.labels.shape for p in data.pairs])
    for event in fit(
        model, data, settings, device, checkpoint=checkpoint, resume=resume
    ):
        if isinstance(event, TrainingFinished):
            event = _recorded(event, items, base, kept)
            model = event.model
            if path is not None:
                save_model(model, path, overwrite=overwrite)
        yield event
    if checkpoint is not None:
        with suppress(FileNotFoundError):
            checkpoint.unlink()
    return model


def _outputs(
    output: str | Path | None, *, resume: bool, overwrite: bool
) -> tuple[Path | None, Path | None]:
    """Return the model file and its checkpoint, refused before any work."""
    if output is None:
        if resume:
            raise TrainingError(
                "resume needs output: the checkpoint lies beside the model file"
            )
        return None, None
    path = check_model_path(output, overwrite=overwrite)
    checkpoint = path.with_name(f"{path.name}.checkpoint")
    if checkpoint.exists() and not (resume or overwrite):
        raise TrainingError(
            f"{checkpoint} holds an unfinished run; go on with it (resume=True,"
            " --resume), or start anew (overwrite=True, --overwrite)"
        )
    return path, checkpoint


def _items(
    images: Sequence[object],
    labels: Sequence[object],
    axes: str | None,
    channel: int | None,
) -> list[LabelledImage]:
    """Open every image with its labels, in the order they are given."""
    if len(images) != len(labels) or not images:
        raise LabelsError(
            f"{len(images)} images and {len(labels)} labels: give one labels file or"
            " layer for each image, in the same order"
        )
    of_labels = axes and axes.upper().replace("C", "")
    return [
        LabelledImage(as_image(image, axes, channel), read_labels(label, of_labels))
        for image, label in zip(images, labels, strict=True)
    ]


def _fitted(
    settings: TrainingConfig, model: Model, shapes: Sequence[tuple[int, ...]]
) -> TrainingConfig:
    """Return settings with patches that suit the dimension and the images."""
    changes: dict[str, int] = {}
    for name, value in _DEFAULTS[model.config.network.spatial_dims].items():
        if name not in settings.model_fields_set:
            changes[name] = value
    largest = max(max(shape) for shape in shapes)
    step = max(model.config.network.alignment())
    if "patch" in changes:
        changes["patch"] = min(changes["patch"], max(16, -(-largest // step) * step))
    return settings.model_copy(update=changes)


def _recorded(
    event: TrainingFinished,
    items: Sequence[LabelledImage],
    base: Model | None,
    kept: int,
) -> TrainingFinished:
    """Return the event with where the model came from written into its record."""
    record: dict[str, JsonValue] = {
        **event.record,
        "images": [item.image.name for item in items],
        "base": base.config.name if base else None,
        "weights_kept": kept,
    }
    config = event.model.config.model_copy(update={"training": record})
    model = dataclasses.replace(event.model, config=config)
    return dataclasses.replace(event, model=model, record=record)
