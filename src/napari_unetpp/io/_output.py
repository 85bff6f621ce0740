"""Results as files: what they are called, and that nothing is overwritten.

TIFF files are OME-TIFF, deflated in strips, which ImageJ, napari and tifffile read. An
OME-Zarr folder holds all results of an image, each with smaller sizes of itself::

    <stem>.ome.zarr/            multiscales: the first of those below, so that it opens
      mean/ uncertainty/ heads/   images of their own (or heads/1/, heads/2/, ...:
                                  OME-Zarr allows five axes, so six are one each)
      labels/labels/              labels, with image-label metadata
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_unetpp.errors import OutputExistsError
from napari_unetpp.io._disk import disk_errors, remove

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_unetpp.io._result import OutputKind

OutputFormat = Literal["tif", "zarr"]

_LARGE = 2**30
"""Pixels of a result beyond which ``auto`` writes OME-Zarr."""


def choose_format(
    wanted: Literal["auto", "tif", "zarr"], n_pixels: int
) -> OutputFormat:
    """Return the format of results of `n_pixels` each: TIFF unless they are huge."""
    if wanted != "auto":
        return wanted
    return "zarr" if n_pixels > _LARGE else "tif"


def output_paths(
    folder: Path, stem: str, kinds: Iterable[OutputKind], form: OutputFormat
) -> dict[OutputKind, Path]:
    """Return where each result of the image called `stem` is written."""
    if form == "zarr":
        return dict.fromkeys(kinds, folder / f"{stem}.ome.zarr")
    return {kind: folder / f"{stem}_{kind}.tif" for kind in kinds}


def check_outputs(paths: Iterable[Path], overwrite: bool = False) -> None:
    """Make sure, before any work, that results can be written.

    Folders that are missing are made.

    Raises
    ------
    OutputExistsError
        If a result exists and may not be overwritten.
    OutputError
        If a folder cannot be made or written to.
    """
    wanted = sorted(set(paths))
    existing = [str(path) for path in wanted if path.exists()]
    if existing and not overwrite:
        raise OutputExistsError(
            f"{', '.join(existing)}: exists already and is not overwritten; choose"
            " another folder, or allow it with --overwrite"
        )
    for path in wanted:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            trial = path.with_name(f"{path.name}.trial")
            trial.touch()
            remove(trial)
