"""Models from labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from napari_unetpp.api._models import load_model
from napari_unetpp.api._recipe_header import recipe_of_files
from napari_unetpp.api._watching import Labelling, watched
from napari_unetpp.config import TrainingConfig
from napari_unetpp.inference import find_objects, resolve_device, result_of
from napari_unetpp.training import train_model

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from napari_unetpp.api._watching import WatchEvent
    from napari_unetpp.config import Nonfinite, Task
    from napari_unetpp.inference import ViewFocus
    from napari_unetpp.nn import Model
    from napari_unetpp.training import Size, TrainingControl, TrainingEvent

DEFAULT_MINUTES = 10.0
"""Budget of a training that names none."""


def train(
    images: Sequence[object],
    labels: Sequence[object],
    *,
    base: str | Path | Model | None = None,
    task: Task = "instances",
    unlabelled: int | None = None,
    size: Size = "base",
    spatial_dims: Literal[2, 3] | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
    device: str = "auto",
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    class_names: Mapping[int, str] | None = None,
    class_colours: Mapping[int, str] | None = None,
) -> Model:
    """Train a model on labelled images.

    Parameters
    ----------
    images : sequence of paths, arrays, layers or Images
        What the model shall segment; a part of it is held out to pick the best epoch.
    labels : sequence of paths, arrays, layers or Images
        The truth of each, in the same order: objects 1...n on 0, or class values.
    base : str, Path or Model, optional
        Model to start from; all weights that fit are kept. Nothing by default.
    task : {"instances", "classes"}
        Whether label values number objects or classes.
    unlabelled : int, optional
        Label value of pixels that nobody labelled, 0 for scribbles of classes. By
        default all pixels are labelled and 0 is the background.
    size : {"small", "base", "paper"}
        Width of a new network; ``"paper"`` is that of the publication. Each step costs
        about twice the time of the one before on a CPU.
    spatial_dims : {2, 3}, optional
        Dimensions of a new network; 3 if every image has a Z axis, by default.
    epochs, minutes : optional
        The budget, whichever is used up first; ten minutes by default.
    seed : int
        Start of all random numbers. With a budget in epochs the same seed gives the
        same weights on the same machine.
    axes : str, optional
        What the axes of the images are, for example ``"TZYX"``, where they do not say
        so; those of the labels are the same without C.
    channel : int, optional
        The one channel to learn from, counted from 0.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or taken as background.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"`` or ``"mps"``.
    output : path, optional
        File to write, ending in ``.safetensors``; while training goes on, its state
        lies beside it.
    resume : bool
        Go on with the unfinished run that lies beside `output`.
    overwrite : bool
        Replace `output`.
    class_names, class_colours : mapping of int to str, optional
        Name and colour (``"#rrggbb"``) of each class, by label value.

    Returns
    -------
    Model
        The best one, with the record of its making in ``model.config.training``.

    Raises
    ------
    InputError
        If images, labels or settings cannot be used.
    TrainingError
        If the loss keeps being not finite, if memory is short even for one small patch,
        if it was stopped before its first step, or if an unfinished run lies beside
        `output`.
    ModelFileError, DeviceError, OutputError
        If base, device or output cannot be used.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> labels = napari_unetpp.segment(image, device="cpu").labels
    >>> model = napari_unetpp.train(
    ...     [image], [labels], size="small", minutes=0.01, device="cpu"
    ... )
    >>> model.config.task
    'instances'
    """
    settings = _training_settings(epochs, minutes, seed)
    events = training(
        images,
        labels,
        base=base,
        task=task,
        unlabelled=unlabelled,
        size=size,
        spatial_dims=spatial_dims,
        settings=settings,
        axes=axes,
        channel=channel,
        nonfinite=nonfinite,
        device=device,
        output=output,
        resume=resume,
        overwrite=overwrite,
        class_names=class_names,
        class_colours=class_colours,
    )
    return result_of(events)


def training(
    images: Sequence[object],
    labels: Sequence[object],
    *,
    base: str | Path | Model | None = None,
    task: Task = "instances",
    unlabelled: int | None = None,
    size: Size = "base",
    spatial_dims: Literal[2, 3] | None = None,
    settings: TrainingConfig | None = None,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
    device: str = "auto",
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    control: TrainingControl | None = None,
    focus: ViewFocus | None = None,
    class_names: Mapping[int, str] | None = None,
    class_colours: Mapping[int, str] | None = None,
    recipe: Mapping[str, JsonValue] | None = None,
) -> Generator[TrainingEvent | WatchEvent, None, Model]:
    """Train step by step, telling what happens; closing the generator stops.

    Parameters
    ----------
    settings : TrainingConfig, optional
        Budget, patches, optimiser, augmentation and seed; ten minutes by default.
    control : TrainingControl, optional
        Through which another thread pauses and stops the training and hands over new
        labels.
    focus : ViewFocus, optional
        Through which another thread says what it shows of the images and asks for
        places to label. What is predicted for it is told in between; the weights are
        the same with and without.
    recipe : mapping of str to JSON values, optional
        What is kept in the header of the model as the recipe that made it. It need not
        be given where images, labels and base are all files.
    images, labels, base, task, unlabelled, size, spatial_dims, axes, channel, \
    nonfinite, device, output, resume, overwrite, class_names, class_colours
        As in `train`.

    Yields
    ------
    TrainingStarted
        Once, and again when the network had to be rebuilt.
    StepDone, Validating, EpochDone, CheckpointSaved, LabelsTaken, Paused, Notice
        While the network learns.
    PreviewTile, PlacesFound, LevelsMeasured
        With `focus`: what the network makes of the view by now, where the next label
        helps most, and how long each level takes on this machine.
    TrainingFinished
        At last, with the best model, which is also returned.

    Raises
    ------
    InputError, TrainingError, ModelFileError, DeviceError, OutputError
        As in `train`.
    """
    asked: dict[str, Any] = {
        "task": task,
        "unlabelled": unlabelled,
        "size": size,
        "spatial_dims": spatial_dims,
        "settings": settings or _training_settings(None, None, 0),
        "axes": axes,
        "channel": channel,
        "nonfinite": nonfinite,
        "output": output,
        "class_names": class_names or {},
        "class_colours": class_colours or {},
    }
    if recipe is None:
        recipe = recipe_of_files(images, labels, base=base, device=device, **asked)
    events = train_model(
        images,
        labels,
        resolve_device(device),
        base=None if base is None else load_model(base),
        resume=resume,
        overwrite=overwrite,
        control=control,
        recipe=recipe,
        find_objects=find_objects,
        **asked,
    )
    if focus is None:
        return (yield from events)
    labelling = Labelling(images, labels, unlabelled, axes, channel, nonfinite)
    return (yield from watched(events, labelling, focus, control))


def _training_settings(
    epochs: int | None, minutes: float | None, seed: int
) -> TrainingConfig:
    if epochs is None and minutes is None:
        minutes = DEFAULT_MINUTES
    return TrainingConfig(epochs=epochs, minutes=minutes, seed=seed)
