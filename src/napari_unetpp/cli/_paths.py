"""What the user names in words: pairs of files, new files, parts of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unetpp.config import WorkersConfig
from napari_unetpp.errors import (
    LabelsError,
    OutputError,
    OutputExistsError,
    SettingsError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def pair(images: Sequence[Path], labels: Sequence[Path]) -> None:
    """Refuse images and labels that do not stand one for one."""
    if len(images) != len(labels):
        raise LabelsError(
            f"{len(images)} images and {len(labels)} labels: each image needs one file"
            " of labels, in the same order"
        )


def check_new(path: Path | None, overwrite: bool) -> None:
    """Refuse a file that cannot be made or is there already, before any work."""
    if path is None:
        return
    if path.is_dir() or not path.parent.is_dir():
        raise OutputError(
            f"{path}: not a file in a folder that is there; make the folder, or choose"
            " another name"
        )
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"{path} exists and is not overwritten; choose another name, or allow it"
            " with --overwrite"
        )


def share_out(workers: int, scheduler: str | None, shard: str | None) -> WorkersConfig:
    """Return who does the work, as the options say it."""
    return WorkersConfig(workers=workers, scheduler=scheduler, shard=parse_shard(shard))


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Return ``I/N`` as two whole numbers; which are allowed is said elsewhere."""
    if text is None:
        return None
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal()):
        raise SettingsError(
            f"--shard {text}: not of the form I/N, part I of N; for example --shard 2/8"
        )
    return int(part), int(parts)


def repeat_options(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """Write ``--images a b`` as ``--images a --images b``, as the parser takes it."""
    result: list[str] = []
    open_option = ""
    for argument in arguments:
        if argument.startswith("-"):
            open_option = argument if argument in options else ""
        elif open_option and result[-1] != open_option:
            result.append(open_option)
        result.append(argument)
    return result
