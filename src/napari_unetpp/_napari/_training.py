"""Training in another thread, told in messages that a panel can show.

Torch is imported in here when a generator runs, never with the plugin.
"""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari._background import behind_the_viewer
from napari_unetpp._napari._recipe_layers import planned_recipe
from napari_unetpp._napari._train_request import recipe_of
from napari_unetpp.arrays import guess_meaning
from napari_unetpp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_unetpp._napari._train_request import (
        Choices,
        LabelledSource,
        TrainRequest,
    )
    from napari_unetpp._recipe import TrainRecipe
    from napari_unetpp._types import LazyArray
    from napari_unetpp.arrays import LabelMeaning
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference import ViewFocus
    from napari_unetpp.training import TrainingControl, TrainingStarted

_KEPT_MAPS = 4
"""Maps of a node that are kept for the way back, besides those it was given."""
_COST = 0.9
"""Power of the width that the time of a step grows with. Measured on two cores, batches
of 8 patches of 128 x 128 in bfloat16: 0.26, 0.44 and 0.93 s for 8, 16 and 32 maps."""
_COUNTED_AT_ONCE = 2**22
"""Labels that are counted in one go: a few milliseconds without the viewer."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the core on its way to the panel.

    Attributes
    ----------
    kind : str
        The class of the event, by name: a panel that compared classes would have to
        import torch before its first event.
    event : object
        The event; of a start and an end only what does not hold a network.
    """

    kind: str
    event: Any


@dataclass(frozen=True, slots=True)
class Begun:
    """A training has begun, or was built anew; without its network."""

    config: ModelConfig
    text: str
    """Device, weights and what is held out, in words."""
    epoch: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A training has ended with a model; without its network."""

    path: Path
    best_epoch: int | None
    score: float | None
    """IoU of the best model on what was held out, ``None`` without validation."""
    stopped: bool


@dataclass(frozen=True, slots=True)
class LabelsCounted:
    """What is in labels.

    Attributes
    ----------
    pixels : mapping of int to int
        Number of pixels of each value.
    meaning : LabelMeaning
        What the values seem to mean.
    """

    pixels: Mapping[int, int]
    meaning: LabelMeaning


@dataclass(frozen=True, slots=True)
class Sizes:
    """What networks of each size cost: name of the size to words."""

    words: Mapping[str, str]


def train_source(
    request: TrainRequest, control: TrainingControl, focus: ViewFocus
) -> Generator[Told, None, None]:
    """Train on layers and write the model.

    Parameters
    ----------
    request : TrainRequest
        What.
    control : TrainingControl
        What the user wishes meanwhile.
    focus : ViewFocus
        What the user looks at, and asks for.

    Yields
    ------
    Told
        `Begun` first, `Trained` last.

    Raises
    ------
    UnetppError
        If images, labels, settings, base, device or output cannot be used.
    """
    from napari_unetpp import api

    _make_folder(request.output.parent)
    choices = request.choices
    recipe = planned_recipe(request)
    with behind_the_viewer(request.spare_cores), _memory_given_back():
        events = api.training(
            [pair.image() for pair in request.pairs],
            [pair.labels for pair in request.pairs],
            base=choices.base or None,
            task=choices.task,
            unlabelled=choices.unlabelled,
            size=choices.size,
            spatial_dims=choices.spatial_dims,
            settings=choices.settings,
            channel=choices.channel,
            nonfinite=choices.nonfinite,
            device=request.device,
            output=request.output,
            resume=request.resume,
            overwrite=request.overwrite,
            control=control,
            focus=focus,
            class_names=choices.class_names or None,
            class_colours=choices.class_colours or None,
            recipe=api.recipe_header(recipe, request.output),
        )
        with closing(events):
            for event in events:
                told = _told(event, request)
                if told.kind == "Begun":
                    _keep_recipe(recipe, request.output)
                yield told
    with suppress(OSError):
        recipe_of(request.output).unlink()


def find_places(
    pairs: Sequence[LabelledSource], model: Path, choices: Choices, device: str
) -> Generator[Told, None, None]:
    """Find where the next label helps a model most that was trained before.

    Parameters
    ----------
    pairs : sequence of LabelledSource
        The images, with their labels as they are now.
    model : Path
        The model file.
    choices : Choices
        What the training was asked for.
    device : str
        What computes.

    Yields
    ------
    Told
        Tiles that were looked at, and at last the places.

    Raises
    ------
    UnetppError
        If images, labels, model or device cannot be used.
    """
    from napari_unetpp import api

    events = api.finding_places(
        [pair.image() for pair in pairs],
        [pair.labels for pair in pairs],
        model,
        unlabelled=choices.unlabelled or 0,
        channel=choices.channel,
        nonfinite=choices.nonfinite,
        device=device,
    )
    with closing(events):
        for event in events:
            yield Told(type(event).__name__, event)


def _keep_recipe(recipe: TrainRecipe, output: Path) -> None:
    """Keep what was chosen beside the checkpoint, for the day it is gone on with."""
    from napari_unetpp import api

    with suppress(OutputError):  # a full disk: training says so at its checkpoint
        api.save_recipe(recipe, recipe_of(output), overwrite=True)


def _told(event: Any, request: TrainRequest) -> Told:
    from napari_unetpp.training import TrainingFinished, TrainingStarted

    if isinstance(event, TrainingStarted):
        begun = Begun(event.live.config, _begun_text(event), event.epoch)
        return Told("Begun", begun)
    if isinstance(event, TrainingFinished):
        record = event.record
        best: Any = record.get("best_epoch")
        scores = [
            row["accurate"]
            for row in record.get("history", [])  # type: ignore[union-attr]
            if isinstance(row, dict) and row.get("epoch") == best
        ]
        score: Any = scores[-1] if scores else None
        return Told("Trained", Trained(request.output, best, score, event.stopped))
    return Told(type(event).__name__, event)


def _begun_text(event: TrainingStarted) -> str:
    text = (
        f"{event.n_parameters:,} weights on {event.device} ({event.precision})."
        f" Held out for validation: {event.held_out}."
    )
    if event.epoch:
        text = f"Going on after epoch {event.epoch}. {text}"
    return text


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: the folder of models cannot be made ({error.strerror}); choose"
            " another in the preferences of the plugin"
        ) from error


@contextmanager
def _memory_given_back() -> Iterator[None]:
    """Give the memory of a graphics card back to other programs at the end."""
    try:
        yield
    finally:
        import torch

        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()


def count_labels(labels: Sequence[LazyArray]) -> Generator[LabelsCounted, None, None]:
    """Count the pixels of each value, and guess what the values mean.

    Parameters
    ----------
    labels : sequence of arrays of int
        They may be painted on meanwhile.
    """
    pixels: dict[int, int] = {}
    for one in labels:
        for part in _parts(one):
            values, counts = np.unique(part, return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                pixels[value] = pixels.get(value, 0) + count
    yield LabelsCounted(dict(sorted(pixels.items())), guess_meaning(labels))


def _parts(labels: LazyArray) -> Iterator[Any]:
    """Yield the array in pieces that do not keep the viewer waiting."""
    size = int(np.prod(labels.shape, dtype=np.int64))
    if size <= _COUNTED_AT_ONCE or not labels.ndim:
        yield np.asarray(labels[...])
        return
    rows = labels.shape[0]
    step = max(1, rows * _COUNTED_AT_ONCE // size)
    for start in range(0, rows, step):
        part = labels[start : start + step]
        if part.shape[0] == 1 and labels.ndim > 1:
            yield from _parts(part[0])
        else:
            yield np.asarray(part)


def weigh_sizes(
    spatial_dims: int, n_channels: int, patch: int | None, batch: int | None
) -> Generator[Sizes, None, None]:
    """Find what networks of each size cost, in words.

    Parameters
    ----------
    spatial_dims : {2, 3}
        Dimensions of the network.
    n_channels : int
        Channels that it sees.
    patch, batch : int
        Edge of a training patch in pixels, and patches of a step; ``None`` where the
        core chooses.
    """
    from napari_unetpp.training import PATCHES, WIDTHS

    words: dict[str, str] = {}
    chosen = PATCHES[spatial_dims]
    patch, batch = patch or chosen["patch"], batch or chosen["batch"]
    smallest = min(widths[0] for widths in WIDTHS.values())
    for size, widths in WIDTHS.items():
        n = _n_weights(spatial_dims, n_channels, widths)
        times = (widths[0] / smallest) ** _COST
        gigabytes = _training_bytes(spatial_dims, widths, patch, batch) / 1e9
        time = "the fastest" if times == 1 else f"about {times:.2g} times as slow"
        words[size] = f"{_millions(n)} weights, {time}, {gigabytes:.1f} GB to train"
    yield Sizes(words)


def _n_weights(spatial_dims: int, n_channels: int, widths: tuple[int, ...]) -> int:
    import torch

    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn import UNetPlusPlus

    config = NetworkConfig(
        spatial_dims=3 if spatial_dims == 3 else 2,
        in_channels=n_channels,
        out_channels=3,
        widths=widths,
    )
    with torch.device("meta"):  # shapes alone, no memory
        return sum(p.numel() for p in UNetPlusPlus(config).parameters())


def _training_bytes(
    spatial_dims: int, widths: tuple[int, ...], patch: int, batch: int
) -> float:
    """Return about how much memory the maps of one step take, in float32.

    Of each node the maps before and after both norms are kept for the way back, and the
    joined maps that it was given.
    """
    depth = len(widths) - 1
    maps = 0.0
    for i, width in enumerate(widths):
        pixels = (patch / 2**i) ** spatial_dims
        for j in range(depth - i + 1):
            maps += (_KEPT_MAPS + (j + 1 if j else 0)) * width * pixels
    return maps * batch * 4


def _millions(n: int) -> str:
    return f"{n / 1e6:.1f} million" if n >= 1e6 else f"{n / 1e3:.0f} thousand"
