"""What ``segment`` does: image after image, one that fails not stopping the others."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from napari_unetpp.api._batch import (
    ImageBegun,
    ImageDone,
    ImageFailed,
    ImageStep,
    batching,
)
from napari_unetpp.cli._display import Display
from napari_unetpp.cli._exit import EXPECTED, ExitCode, exit_code, message, report
from napari_unetpp.cli._view import MOST_BAD, RunView
from napari_unetpp.io import stem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_unetpp.cli._job import Job
    from napari_unetpp.inference import RunStarted, SavedSegmentation


@dataclass(frozen=True, slots=True)
class Segmented:
    """An image that is done, and where its results are."""

    image: Path
    saved: SavedSegmentation
    started: RunStarted | None
    """Nothing is started where nothing is left to do."""
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return what --json shows."""
        outputs = self.saved.outputs.items()
        return {
            "image": str(self.image),
            "outputs": {kind: str(path) for kind, path in outputs},
            "axes": self.saved.axes,
            "shape": list(self.saved.shape),
            "n_objects": self.saved.n_objects,
            "diameter": self.saved.size.diameter if self.saved.size else None,
            "n_tiles": self.saved.n_tiles,
            "n_resumed": self.saved.n_resumed,
            "up_to_date": self.saved.up_to_date,
            "waiting": list(self.saved.waiting),
            "bad": list(self.saved.bad),
            "memory": self.started.memory if self.started else None,
            "device": self.started.device if self.started else None,
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> list[str]:
        """Return what a person reads."""
        paths = dict.fromkeys(self.saved.outputs.values())
        hidden = len(self.saved.bad) - MOST_BAD
        return [
            f"{self.image}: {self._what()}",
            *([f"    {self.saved.size.text}"] if self.saved.size else []),
            *(f"    {path}" for path in paths),
            *(f"    not read: {bad}" for bad in self.saved.bad[:MOST_BAD]),
            *[f"    not read: {hidden} more pieces; --json lists all"] * (hidden > 0),
        ]

    def _what(self) -> str:
        """Return what came of it."""
        if self.saved.up_to_date:
            return "up to date, nothing to do"
        words = [f"{self.seconds:.1f} s"]
        if self.saved.waiting:
            words.insert(0, f"waiting for {', '.join(self.saved.waiting)}")
        elif self.saved.n_objects is not None:
            words.insert(0, f"{self.saved.n_objects} objects")
        if self.started:
            words[-1] += f" on {self.started.device}"
        if self.saved.n_resumed:
            words.append(f"{self.saved.n_resumed} tiles by an earlier run")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Failed:
    """An image that could not be segmented, and why."""

    image: Path
    error: Exception

    def summary(self) -> dict[str, Any]:
        """Return what --json shows."""
        return {"image": str(self.image), **report(self.error)}

    def line(self) -> str:
        """Return what a person reads: the image once, and why."""
        why = message(self.error)
        for name in (self.image, stem(self.image)):
            why = why.removeprefix(f"{name}: ")
        return f"failed: {self.image}: {why}"


def run(images: Sequence[Path], job: Job, *, as_json: bool) -> int:
    """Segment images, print what was done, and return the exit code.

    What was done and what failed is told also where an error, or Ctrl-C, ends the run.
    """
    done: list[Segmented] = []
    failed: list[Failed] = []
    with_summary = as_json
    try:
        with Display() as display:
            for outcome in segment_images(images, job, display):
                if isinstance(outcome, Failed):
                    failed.append(outcome)
                    continue
                done.append(outcome)
                if not as_json:
                    display.result(*outcome.lines())
    except EXPECTED:
        with_summary = False  # --json shows this error, and one document only
        raise
    finally:
        for failure in failed:
            typer.echo(failure.line(), err=True)
        if with_summary:
            typer.echo(_summary(job, done, failed))
    return exit_code(failed[0].error) if failed else ExitCode.DONE


def _summary(job: Job, done: list[Segmented], failed: list[Failed]) -> str:
    """Return what --json prints."""
    summary = {
        "model": job.model.config.name,
        "results": [one.summary() for one in done],
        "failures": [one.summary() for one in failed],
    }
    return json.dumps(summary, indent=2)


def segment_images(
    images: Sequence[Path], job: Job, display: Display
) -> Iterator[Segmented | Failed]:
    """Segment images one after the other and write the results.

    Parameters
    ----------
    images : sequence of Path
        Files.
    job : Job
        Model, settings and outputs.
    display : Display
        Where progress is drawn.

    Yields
    ------
    Segmented or Failed
        For each image; those that cannot be opened come first.

    Raises
    ------
    OutputError
        Before any work, if an output exists that was made in another way, or one cannot
        be written.
    SettingsError
        Before any work, if two images would write to one output, an output is one of
        the images, or the model does not have the level.
    DeviceError
        Before any work, if there is no such device.
    """
    images = list(dict.fromkeys(images))  # patterns may name one twice
    views: dict[int, RunView] = {}
    with closing(batching(images, job)) as events:
        for event in events:
            if isinstance(event, ImageBegun):
                sizes = dict(zip(event.axes, event.shape, strict=True))
                spatial = [sizes[letter] for letter in "ZYX" if letter in sizes]
                name = images[event.index].name
                views = {event.index: RunView(name, spatial, display)}
            elif isinstance(event, ImageStep):
                views[event.index].show(event.event)
            elif isinstance(event, ImageDone):
                image = images[event.index]
                yield Segmented(image, event.saved, event.started, event.seconds)
            elif isinstance(event, ImageFailed):
                yield Failed(images[event.index], event.error)
