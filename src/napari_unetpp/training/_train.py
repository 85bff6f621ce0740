"""From images and labels to a model file: all of a training run, as events."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from napari_unetpp.arrays import LabelRule, infer_rule
from napari_unetpp.errors import (
    LabelsError,
    ModelFileError,
    OutputError,
    OutputExistsError,
    SettingsError,
    TrainingError,
)
from napari_unetpp.io import (
    as_image,
    check_model_path,
    load_model_file,
    read_labels,
    save_model,
)
from napari_unetpp.training._checkpoint import read_checkpoint
from napari_unetpp.training._events import TrainingFinished
from napari_unetpp.training._loop import fit
from napari_unetpp.training._prepare import LabelledImage, new_model
from napari_unetpp.training._relabelling import Relabelling
from napari_unetpp.training._warm_start import warm_start

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from pydantic import JsonValue

    from napari_unetpp.config import Nonfinite, Task, TrainingConfig
    from napari_unetpp.nn import Model
    from napari_unetpp.training._checkpoint import Checkpoint
    from napari_unetpp.training._control import TrainingControl
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._prepare import Size
    from napari_unetpp.training._thresholds import ObjectFinder

PATCHES = {2: {"patch": 128, "batch": 4}, 3: {"patch": 48, "batch": 2}}
"""Small steps, of which a CPU makes many: a first answer comes within a minute."""


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
    control: TrainingControl | None = None,
    class_names: Mapping[int, str] | None = None,
    class_colours: Mapping[int, str] | None = None,
    recipe: Mapping[str, JsonValue] | None = None,
    find_objects: ObjectFinder | None = None,
) -> Generator[TrainingEvent, None, Model]:
    """Train on labelled images and write the model; see `napari_unetpp.train`.

    Parameters
    ----------
    control : TrainingControl, optional
        How another thread pauses or stops the run, or hands over new labels.
    class_names, class_colours : mapping of int to str, optional
        Name and "#rrggbb" of the classes by label value.
    recipe : mapping, optional
        Kept in the checkpoint and in the header of the model; by default a run that
        goes on keeps that of its checkpoint.
    find_objects : callable, optional
        As in `fit`.
    images, labels, device, base, task, unlabelled, size, spatial_dims, settings, \
    axes, channel, nonfinite, output, resume, overwrite
        As in `napari_unetpp.training`, with the device and the base at hand.

    Yields
    ------
    TrainingEvent
        As `fit` does; with `output`, the model is written before the last one.

    Returns
    -------
    Model
        The best one.

    Raises
    ------
    InputError, TrainingError, OutputError
        As `napari_unetpp.train` does. Where the model cannot be written at last, the
        checkpoint stays, and the run can be resumed.
    """
    files = _Files.at(output, resume=resume, overwrite=overwrite)
    saved = files.saved() if resume else None
    if recipe is None and saved is not None:
        recipe = saved.recipe
    items = _items(images, labels, axes, channel)
    start = _start(
        items,
        saved,
        base,
        settings,
        task=task,
        unlabelled=unlabelled,
        size=size,
        spatial_dims=spatial_dims,
        nonfinite=nonfinite,
        name=files.model.stem if files.model else "model",
        class_names=_known_names(saved) | dict(class_names or {}),
        class_colours=class_colours or {},
    )
    return (
        yield from _trained(start, device, files, saved, control, recipe, find_objects)
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """The model file and its checkpoint, if anything is written."""

    model: Path | None = None
    checkpoint: Path | None = None
    overwrite: bool = False

    @classmethod
    def at(cls, output: str | Path | None, *, resume: bool, overwrite: bool) -> _Files:
        """Return the files of a run; places that cannot be used are refused here."""
        if output is None:
            if resume:
                raise SettingsError(
                    "resume=True without output: the checkpoint lies beside the model"
                    " file; name it (output=)"
                )
            return cls()
        if resume and not overwrite:
            _refuse_complete(Path(output), _checkpoint_of(Path(output)))
        path = check_model_path(output, overwrite=overwrite)
        checkpoint = _checkpoint_of(path)
        if checkpoint.exists() and not (resume or overwrite):
            raise TrainingError(
                f"{checkpoint} holds an unfinished run; go on with it (resume=True,"
                " --resume), or start anew (overwrite=True, --overwrite)"
            )
        return cls(path, checkpoint, overwrite)

    def saved(self) -> Checkpoint | None:
        """Return the unfinished run, if there is one, without its tensors."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        return replace(read_checkpoint(self.checkpoint), state={})

    def write(self, model: Model) -> None:
        """Write the model; where that fails, say that the run can go on."""
        if self.model is None:
            return
        try:
            save_model(model, self.model, overwrite=self.overwrite)
        except OutputError as error:
            if self.checkpoint is None or not self.checkpoint.exists():
                raise
            raise type(error)(
                f"{error}; the training is kept in {self.checkpoint.name} beside it:"
                " once that is mended, go on with it (resume=True, --resume), and only"
                " the model is written"
            ) from error

    def clear(self) -> None:
        """Remove the checkpoint, which has done its work."""
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)


def _checkpoint_of(model: Path) -> Path:
    return model.with_name(f"{model.name}.checkpoint")


def _refuse_complete(model: Path, checkpoint: Path) -> None:
    """Refuse to go on with a run that has written its model and was killed after that.

    Raises
    ------
    OutputExistsError
        If the model was made by the run that the checkpoint holds.
    """
    if not (model.exists() and checkpoint.exists()):
        return
    with suppress(ModelFileError, TrainingError):  # others say that it is damaged
        made = load_model_file(model).config.training.get("history")
        if made == read_checkpoint(checkpoint).state["numbers"]["history"]:
            raise OutputExistsError(
                f"{model} is complete: the run in {checkpoint.name} has written it; use"
                " it and delete that file, or write it again (overwrite=True,"
                " --overwrite)"
            )


@dataclass(frozen=True, slots=True)
class _Start:
    """What a run begins with."""

    model: Model
    settings: TrainingConfig
    material: Relabelling
    identity: str
    about: dict[str, JsonValue]
    """What the record tells beside the run itself."""
    words: str
    """What was kept of the base."""


def _start(
    items: Sequence[LabelledImage],
    saved: Checkpoint | None,
    base: Model | None,
    settings: TrainingConfig,
    *,
    task: Task,
    unlabelled: int | None,
    size: Size,
    spatial_dims: Literal[2, 3] | None,
    nonfinite: Nonfinite,
    name: str,
    class_names: Mapping[int, str],
    class_colours: Mapping[int, str],
) -> _Start:
    rule, first = _rules(items, task, unlabelled, saved)
    model = new_model(
        items,
        task,
        first,
        size=size,
        spatial_dims=spatial_dims,
        name=name,
        seed=settings.seed,
        class_names=class_names,
        class_colours=class_colours,
    )
    kept, words = 0, ""
    if base is not None:
        model, kept, words = _warm_start(model, base, items, settings.seed)
    settings = _fitted(settings, model, items)
    material = Relabelling(
        items,
        model.config,
        rule,
        settings,
        nonfinite,
        sides=saved.sides if saved else {},
        class_names=class_names,
        class_colours=class_colours,
    )
    about: dict[str, JsonValue] = {
        "images": [item.image.name for item in items],
        "base": base.config.name if base else None,
        "weights_kept": kept,
    }
    identity = _identity(items, unlabelled)
    return _Start(model, settings, material, identity, about, words)


def _trained(
    start: _Start,
    device: torch.device,
    files: _Files,
    saved: Checkpoint | None,
    control: TrainingControl | None,
    recipe: Mapping[str, JsonValue] | None,
    find_objects: ObjectFinder | None,
) -> Generator[TrainingEvent, None, Model]:
    """Train, write the model and return it."""
    data, model = start.material.data(), start.model
    if start.words and saved is None:
        data = replace(data, notices=(start.words, *data.notices))
    for event in fit(
        model,
        data,
        start.settings,
        device,
        checkpoint=files.checkpoint,
        resume=saved is not None,
        control=control,
        relabel=start.material.relabel,
        identity=start.identity,
        recipe=recipe,
        find_objects=find_objects,
    ):
        if isinstance(event, TrainingFinished):
            event = _recorded(event, start.about)
            model = event.model
            files.write(model)
            files.clear()
        yield event
    return model


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


def _rules(
    items: Sequence[LabelledImage],
    task: Task,
    unlabelled: int | None,
    saved: Checkpoint | None,
) -> tuple[LabelRule, LabelRule]:
    """Return what values mean, and the same with the classes the network begins with.

    Of a run that goes on these are the classes it knows, in its order.
    """
    rule = infer_rule([item.labels.data for item in items], task, unlabelled)
    if saved is None or task == "instances" or saved.config.task != task:
        return rule, rule
    known = saved.config.class_values
    new = tuple(value for value in rule.class_values if value not in known)
    return LabelRule((*known, *new), unlabelled), LabelRule(known, unlabelled)


def _known_names(saved: Checkpoint | None) -> dict[int, str]:
    if saved is None:
        return {}
    return dict(zip(saved.config.class_values, saved.config.class_names, strict=True))


def _warm_start(
    model: Model, base: Model, items: Sequence[LabelledImage], seed: int
) -> tuple[Model, int, str]:
    """Start from `base`; what has to begin at random does so from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return warm_start(model, base, items)


def _identity(items: Sequence[LabelledImage], unlabelled: int | None) -> str:
    """Return what must be the same for a run to go on, beside model and settings."""
    images = [f"{i.image.name} {i.image.axes} {i.image.data.shape}" for i in items]
    return "\n".join([*images, f"unlabelled {unlabelled}"])


def _fitted(
    settings: TrainingConfig, model: Model, items: Sequence[LabelledImage]
) -> TrainingConfig:
    """Return settings with patches that suit the dimension and the images."""
    network = model.config.network
    changes: dict[str, int] = {}
    for name, value in PATCHES[network.spatial_dims].items():
        if name not in settings.model_fields_set:
            changes[name] = value
    spatial = "ZYX"[-network.spatial_dims :]
    largest = max(
        n
        for item in items
        for axis, n in zip(item.image.axes, item.image.data.shape, strict=True)
        if axis in spatial
    )
    step = max(network.alignment())
    if "patch" in changes:
        changes["patch"] = min(changes["patch"], max(16, -(-largest // step) * step))
    return settings.model_copy(update=changes)


def _recorded(
    event: TrainingFinished, about: Mapping[str, JsonValue]
) -> TrainingFinished:
    """Return the event with where the model came from written into its record."""
    record = {**event.record, **about}
    config = event.model.config.model_copy(update={"training": record})
    return replace(event, model=replace(event.model, config=config), record=record)
