"""The loop: patches in, events out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_unetpp.training._control import TrainingControl
from napari_unetpp.training._run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import torch
    from pydantic import JsonValue

    from napari_unetpp._types import LabelArray
    from napari_unetpp.config import ModelConfig, TrainingConfig
    from napari_unetpp.data import TrainingPair
    from napari_unetpp.nn import Model
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._thresholds import ObjectFinder


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What is learnt from and what is held out, with the words that say how."""

    pairs: Sequence[TrainingPair]
    validation: Sequence[TrainingPair] = ()
    held_out: str = "nothing is held out"
    notices: tuple[str, ...] = ()
    """What the labels cannot support, in words."""
    sides: Mapping[str, bool] = field(default_factory=dict)
    """Whether each place is held out; it stays so for the whole of a run."""
    grown: ModelConfig | None = None
    """The model with the classes that new labels have brought, behind the old ones."""


def fit(
    model: Model,
    data: TrainingData,
    config: TrainingConfig,
    device: torch.device,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    control: TrainingControl | None = None,
    relabel: Callable[[Sequence[LabelArray]], TrainingData] | None = None,
    identity: str = "",
    recipe: Mapping[str, JsonValue] | None = None,
    find_objects: ObjectFinder | None = None,
) -> Iterator[TrainingEvent]:
    """Train a model and tell what happens.

    With a budget in epochs, the same model, data and seed give the same weights on the
    same machine, also when the run is paused, killed and resumed, or when the live
    network is used between two events.

    Parameters
    ----------
    model : Model
        Where training starts; it is not changed.
    data : TrainingData
        Labelled images, normalised, and the held-out ones.
    config : TrainingConfig
        Budget, patches, optimiser, augmentation, seed.
    device : torch.device
        Where the network is trained.
    checkpoint : Path, optional
        File that holds the state after every epoch. When it cannot be written, a
        `Notice` says so and training goes on.
    resume : bool
        Go on from `checkpoint` if it is there.
    control : TrainingControl, optional
        How another thread pauses or stops the run, or hands over new labels.
    relabel : callable, optional
        Makes training data from new labels; without it they are not taken.
    identity : str
        What a checkpoint must agree on beside model and settings, such as the names
        and shapes of the images.
    recipe : mapping, optional
        Kept in the checkpoint and in the record.
    find_objects : callable, optional
        Makes objects (*S) of mean probabilities (3, *S) and an `InstanceConfig`, as
        `inference.find_objects` does. With it the thresholds of an instance model are
        chosen at the end; temperatures are fitted without it too.

    Yields
    ------
    TrainingEvent
        The last one, `TrainingFinished`, carries the best model. Closing the
        generator stops after the step under way; the checkpoint stays.

    Raises
    ------
    TrainingError
        If the loss keeps being not finite, if memory is short even for one small
        patch, if it is stopped before its first step, or if the checkpoint belongs to
        another run.
    """
    run = Run(
        model,
        data,
        config,
        device,
        checkpoint=checkpoint,
        control=control or TrainingControl(),
        relabel=relabel,
        identity=identity,
        recipe=recipe,
        find_objects=find_objects,
    )
    with closing(run):
        yield from run.begin(resume=resume)
        yield from run.epochs()
        yield from run.finish()
