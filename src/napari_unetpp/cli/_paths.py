"""What the user names in words: files, folders and patterns, parts of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unetpp.errors import (
    ImageError,
    LabelsError,
    OutputError,
    OutputExistsError,
    SettingsError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".zarr")
_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")


def expand(paths: Sequence[Path]) -> list[Path]:
    """Return the images that paths, folders and patterns such as ``*.tif`` stand for.

    A folder stands for the images right inside it, sorted by name; a zarr folder is an
    image itself. A path that is not there is kept: reading it will say so.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir() and not _is_zarr(path):
            found += _images_in(path, "*")
        elif not path.exists() and any(c in path.name for c in "*?["):
            found += _images_in(path.parent, path.name)
        else:
            found.append(path)
    return found


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


def _images_in(folder: Path, pattern: str) -> list[Path]:
    """Return the images in a folder whose names fit a pattern; refuse none at all."""
    found = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in SUFFIXES)
    if not found:
        raise ImageError(
            f"{folder / pattern}: no images there; name files that end in"
            f" {', '.join(SUFFIXES)}"
        )
    return found


def _is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group."""
    return any((path / mark).is_file() for mark in _ZARR_MARKS)
