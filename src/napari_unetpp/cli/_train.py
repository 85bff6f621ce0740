"""What ``train`` does: the events of the training, shown."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer

from napari_unetpp.cli._display import Display
from napari_unetpp.training import (
    EpochDone,
    LabelsTaken,
    Notice,
    StepDone,
    TrainingFinished,
    TrainingStarted,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_unetpp.config import ModelConfig


def run(
    events: Generator[object, None, object], output: Path, *, as_json: bool
) -> None:
    """Draw the events of a training and print what came of it.

    Parameters
    ----------
    events : generator
        Of events, from ``api.training``; closed at the end, also after Ctrl-C.
    output : Path
        The model file that the training writes.
    as_json : bool
        Print ``model`` (path), ``run_id``, ``seconds`` and the training ``record``.
    """
    summary: dict[str, Any] = {"model": str(output)}
    start = time.monotonic()
    with closing(events), Display() as display:
        view = _View(display)
        for event in events:
            view.show(event)
            if isinstance(event, TrainingFinished):
                summary |= {"run_id": event.run_id, "record": event.record}
    summary["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        typer.echo(f"{output}: trained in {summary['seconds']:.0f} s")


class _View:
    """The events of a training on a display; it remembers when the steps began."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._first: tuple[int, float] | None = None

    def show(self, event: object) -> None:
        """Draw one event."""
        if isinstance(event, TrainingStarted):
            self._display.say(_start(event))
            self._display.start("training", "", total=100)
        elif isinstance(event, StepDone):
            note = f"loss {event.loss:.4f}{self._pace(event.step)}"
            self._display.advance_to(round(100 * event.progress, 1), 100, note)
        elif isinstance(event, EpochDone):
            self._display.say(_epoch(event))
        elif isinstance(event, Notice):
            self._display.say(f"note: {event.text}")
        elif isinstance(event, LabelsTaken):
            self._display.say(
                f"epoch {event.epoch} learns from new labels, {event.n_labelled:,}"
                " pixels in all"
            )
        elif isinstance(event, TrainingFinished) and event.record.get("calibration"):
            self._display.say(_calibration(event.model.config))

    def _pace(self, step: int) -> str:
        """Return how many steps a second were made since the first one seen."""
        if self._first is None:
            self._first = (step, time.monotonic())
        first, begin = self._first
        seconds = time.monotonic() - begin
        return f", {(step - first) / seconds:.1f} steps/s" if step > first else ""


def _start(event: TrainingStarted) -> str:
    """Return the line at the beginning."""
    regions = "region" if event.n_regions == 1 else "regions"
    held_out = event.held_out
    if event.n_validation:
        held_out = f"held out: {held_out}"
    return (
        f"training on {event.device} ({event.precision}) from {event.n_regions}"
        f" labelled {regions}; {held_out}; {event.n_parameters:,} parameters"
    )


def _epoch(event: EpochDone) -> str:
    """Return the line of one epoch."""
    words = f"epoch {event.epoch}: {event.seconds:.0f} s, loss {event.loss:.4f}"
    if event.accurate is not None:
        heads = " ".join(f"{iou:.3f}" for iou in event.validation)
        words += f", validation IoU {event.accurate:.3f} (heads {heads})"
    return words + (" *kept" if event.best else "")


def _calibration(config: ModelConfig) -> str:
    """Return the line about what was fitted on what is held out."""
    heads = " ".join(f"{each:.3g}" for each in config.temperatures)
    words = f"calibrated on what is held out: temperatures of the heads {heads}"
    if config.task == "instances":
        chosen = config.instances
        words += (
            f"; objects from {chosen.min_size} pixels, foreground above"
            f" {chosen.foreground_threshold:g}, seeds above {chosen.seed_threshold:g}"
        )
    return words
