"""What training tells while it runs: frozen values, each with the id of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from napari_unetpp.nn import Model


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """Training begins (or goes on at `epoch`)."""

    run_id: str
    n_regions: int
    """Regions around labels that are learnt from; of small images the whole ones."""
    n_validation: int
    """Regions or blocks that are validated on."""
    held_out: str
    """How validation was held out, in words."""
    device: str
    precision: str
    n_parameters: int
    live: Model
    """The averaged network while it learns: the same object all along, in evaluation
    mode. Only the thread that drives the generator may use it, between two events, and
    may not change it. When it has to be rebuilt, another `TrainingStarted` follows."""
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know; training goes on."""

    run_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Training rests; told again and again, so that a closed generator is noticed."""

    run_id: str


@dataclass(frozen=True, slots=True)
class LabelsTaken:
    """New labels are learnt from now on."""

    run_id: str
    epoch: int
    """The first epoch that learns from them."""
    n_labelled: int
    """Labelled pixels, learnt and held out."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """One update of the weights."""

    run_id: str
    step: int
    epoch: int
    loss: float
    head_losses: tuple[float, ...]
    learning_rate: float
    progress: float
    """Share of the budget that is used up, 0...1."""


@dataclass(frozen=True, slots=True)
class Validating:
    """Validation goes on; told about twice a second, so that it can be watched."""

    run_id: str
    done: int
    n_pieces: int


@dataclass(frozen=True, slots=True)
class EpochDone:
    """The end of an epoch, after validation."""

    run_id: str
    epoch: int
    progress: float
    seconds: float
    loss: float
    validation: tuple[float, ...]
    """IoU of every head, head 1 first, over the held-out pixels; () without any."""
    accurate: float | None
    """IoU of the mean of the heads; ``None`` without validation."""
    best: bool
    """Whether this is the model to keep so far: the score is the highest, or so close
    to it that the held-out pixels cannot tell them apart."""
    seconds_total: float
    """Time spent training so far, pauses left out."""


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """The state of the run was written, so it can be resumed."""

    run_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class TrainingFinished:
    """The end of the run; `model` is the best one."""

    run_id: str
    model: Model
    record: dict[str, JsonValue]
    """What is kept in the header of the model: data, settings, scores."""
    stopped: bool = False
    """Whether the user ended it before its budget was used up."""


TrainingEvent = (
    TrainingStarted
    | Notice
    | Paused
    | LabelsTaken
    | StepDone
    | Validating
    | EpochDone
    | CheckpointSaved
    | TrainingFinished
)
