"""Which files are images, as people name them: files, folders and patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unetpp.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".zarr")
_ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")


def expand(paths: Sequence[Path]) -> list[Path]:
    """Return the images that paths, folders and patterns such as ``*.tif`` stand for.

    A folder stands for the images right inside it, sorted by name; a zarr folder is an
    image itself. A path that is not there is kept: reading it will say so.

    Raises
    ------
    ImageError
        If a folder or pattern stands for no image.
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
