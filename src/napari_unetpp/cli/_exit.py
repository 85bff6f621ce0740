"""Exit codes, and how an error reaches the person who typed the command."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError

from napari_unetpp.config import wrong_settings
from napari_unetpp.errors import (
    DeviceError,
    InputError,
    ModelFileError,
    OutputError,
    UnetppError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class ExitCode(IntEnum):
    """What the command line tells the shell."""

    DONE = 0
    UNEXPECTED = 1
    BAD_INPUT = 2
    OUTPUT = 3
    DEVICE = 4
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES = """\b
Exit codes:
  0    done
  1    something unexpected, or training that could not go on
  2    bad input or usage
  3    output that cannot be written, exists, is being made by another run, or was
       begun with other settings
  4    device that is not there, or is too small
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM), as by the time limit of a cluster"""

GOES_ON = "; what is done is kept, and the same command goes on from there"
"""Stands behind what is said when ``segment`` is stopped."""

RESUMES = "; --resume goes on from the end of the last epoch"
"""Stands behind what is said when a training is stopped."""

EXPECTED = (UnetppError, ValidationError, MemoryError)
"""Errors that are shown as a message; all others are bugs and show where."""

_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (OutputError, ExitCode.OUTPUT),
    (DeviceError, ExitCode.DEVICE),
    (InputError, ExitCode.BAD_INPUT),
    (ModelFileError, ExitCode.BAD_INPUT),
    (ValidationError, ExitCode.BAD_INPUT),
)


def exit_code(error: Exception) -> ExitCode:
    """Return the exit code that stands for an error."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.UNEXPECTED


def message(error: Exception) -> str:
    """Return what an error says, on one line for each thing that is wrong."""
    if isinstance(error, ValidationError):
        return wrong_settings(error)
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); set --memory, or a smaller --tile"
    return str(error)


def report(error: Exception) -> dict[str, str | int]:
    """Return an error as --json shows it."""
    return {
        "error": type(error).__name__,
        "message": message(error),
        "exit_code": int(exit_code(error)),
    }


class Terminated(KeyboardInterrupt):
    """The system wants the program to end: the way out is that of Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that nothing half-done is left."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # cleaning up is not to be cut short
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def exit_codes(*, as_json: bool = False, hint: str = "") -> Iterator[None]:
    """Turn expected errors, Ctrl-C and SIGTERM into messages and exit codes.

    Parameters
    ----------
    as_json : bool
        Print errors as JSON on standard output too.
    hint : str
        Said behind "interrupted" and "terminated": what is kept.
    """
    try:
        yield
    except Terminated:
        typer.echo(f"terminated{hint}", err=True)
        raise typer.Exit(ExitCode.TERMINATED) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted{hint}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except EXPECTED as error:
        typer.echo(f"error: {message(error)}", err=True)
        if as_json:
            typer.echo(json.dumps(report(error), indent=2))
        raise typer.Exit(exit_code(error)) from None
