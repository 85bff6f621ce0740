"""Results as files: beside the final name first, plane by plane, nothing overwritten.

TIFF files are OME-TIFF, deflated in strips, which ImageJ, napari and tifffile read. An
OME-Zarr 0.5 folder holds all results of an image::

    <stem>.ome.zarr/            multiscales: the first of those below, so that it opens
      mean/ uncertainty/ heads/   images of their own (or heads/1/, heads/2/, ...:
                                  OME-Zarr allows five axes, so six are one each)
      labels/labels/              labels, with image-label metadata
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import dask.array as da

from napari_unetpp.arrays import label_dtype
from napari_unetpp.errors import OutputExistsError
from napari_unetpp.io._disk import beside, disk_errors, remove
from napari_unetpp.io._source import ArraySource, lazy
from napari_unetpp.io._write_tiff import write_tiff
from napari_unetpp.io._write_zarr import write_ome_zarr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_unetpp.io._result import OutputKind, Result

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


def write_results(
    results: Sequence[Result],
    paths: Mapping[OutputKind, Path],
    overwrite: bool = False,
) -> None:
    """Write the results of one image.

    Parameters
    ----------
    results : sequence of Result
        What there is to write.
    paths : mapping of kind to path
        As `output_paths` gives them.
    overwrite : bool
        Whether files that exist may be replaced, once the new ones are complete.

    Raises
    ------
    OutputExistsError
        If a file exists and may not be overwritten.
    OutputError
        If the disk is full or cannot be written; what is incomplete is removed.
    """
    check_outputs(paths.values(), overwrite)
    results = [_compact(result) for result in results]
    folders = {paths[r.kind] for r in results if paths[r.kind].suffix == ".zarr"}
    for path in folders:
        with beside(path) as part:
            write_ome_zarr([r for r in results if paths[r.kind] == path], part)
    for result in results:
        path = paths[result.kind]
        if path not in folders:
            with beside(path) as part:
                write_tiff(result, part)


def _compact(result: Result) -> Result:
    """Return a result over a dask array, labels in uint16 or uint32 as they need."""
    data: Any = result.data
    if not isinstance(data, da.Array):
        data = lazy(ArraySource(data, result.kind), result.axes)
    if result.kind == "labels":
        highest = max(int(data.max().compute()), 2**8)
        data = data.astype(label_dtype((highest,)))
    return replace(result, data=data)
