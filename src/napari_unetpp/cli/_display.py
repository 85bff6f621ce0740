"""Progress and messages, on standard error, so that standard output is for results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from types import TracebackType


class _Rate(ProgressColumn):
    """Steps per second, or seconds per step where they are slow."""

    def render(self, task: Task) -> Text:
        """Return the words for one bar."""
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed or not unit:
            return Text("")
        words = f"{speed:.1f} {unit}s/s" if speed >= 1 else f"{1 / speed:.1f} s/{unit}"
        return Text(words)


class Display:
    """A progress bar for the work that goes on, and lines above it.

    Use it as a context manager; where standard error is no terminal, only the lines
    are written.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def start(
        self, what: str, unit: str, total: float | None = None, done: int = 0
    ) -> None:
        """Begin a bar for new work, in place of the last one; no unit, no rate.

        What is `done` already does not count into the rate.
        """
        self._clear()
        self._progress.add_task(what, total=total, completed=done, unit=unit, note="")

    def advance_to(self, done: float, total: float, note: str = "") -> None:
        """Show how much of the work is done, and a note behind it."""
        for task in self._progress.task_ids:
            self._progress.update(task, completed=done, total=total, note=note)

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._console.print(line, markup=False)

    def result(self, *lines: str) -> None:
        """Write lines to standard output, above the bar."""
        self._clear()
        self._progress.stop()
        for line in lines:
            typer.echo(line)
        self._progress.start()

    def _clear(self) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
