"""Making the results of a job public once they are complete, and nothing before."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile
import zarr
from zarr.errors import ZarrUserWarning

from napari_unetpp.errors import OutputError, OutputExistsError
from napari_unetpp.io._disk import disk_errors, remove, replace
from napari_unetpp.io._ome_metadata import OURS, labels_attributes, provenance
from napari_unetpp.io._output import check_outputs
from napari_unetpp.io._result_store import RESULT, ResultStore
from napari_unetpp.io._write_shards import PARTIAL
from napari_unetpp.io._write_tiff import PROVENANCE_TAG, with_small_labels, write_tiff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_unetpp.io._result import OutputKind
    from napari_unetpp.io._result_layout import OmeZarr, ResultLayout

_LABELS = "labels/labels"


def publish(
    job_folder: Path,
    layout: ResultLayout,
    outputs: Mapping[OutputKind, Path],
    overwrite: bool = False,
) -> None:
    """Put the complete results of a job in their places.

    An OME-Zarr folder is renamed, TIFF files are written plane by plane and then
    renamed, so that a place never holds half a result. When it is interrupted and done
    again, it goes on with what is missing.

    Parameters
    ----------
    job_folder : Path
        On the disk of the outputs.
    layout : ResultLayout
        What the job has kept.
    outputs : mapping of kind to path
        As `output_paths` gives them; labels may also go to ``<image>/labels/<name>``,
        as `labels_beside` puts them.
    overwrite : bool
        Whether results that exist may be replaced; labels beside an image never are.

    Raises
    ------
    OutputExistsError
        If a result that is not of this job exists and may not be replaced.
    OutputError
        If the disk is full or cannot be written; what was there stays.
    """
    made = layout.attributes.get("fingerprint")
    moved = {path for path in outputs.values() if path.suffix == ".zarr"}
    beside = [path for path in outputs.values() if _is_beside(path)]
    if not overwrite or not (job_folder / RESULT).exists():  # moved by an earlier call
        moved = {path for path in moved if not _is_made(path, made)}
    if not (job_folder / RESULT).exists():
        beside = [path for path in beside if not _is_made(path, made)]
    written = {
        kind: path
        for kind, path in outputs.items()
        if path.suffix == ".tif" and (overwrite or not _is_made(path, made))
    }
    check_outputs({*moved, *written.values()}, overwrite)
    results = ResultStore.open(job_folder, layout).results() if written else []
    for result in results:
        if result.kind in written:
            path = written[result.kind]
            part = job_folder / f"{path.name}.part"
            with disk_errors(path):
                write_tiff(with_small_labels(result), part, provenance(layout))
                replace(part, path)
    for path in beside:
        labels_beside(job_folder / RESULT, path.parents[1], path.name)
    for path in moved:
        with disk_errors(path):
            _remove_partial(job_folder / RESULT)
            replace(job_folder / RESULT, path)


def labels_beside(results: Path, image: Path, name: str) -> Path:
    """Copy the labels of an OME-Zarr folder of results into the image's own.

    Parameters
    ----------
    results : Path
        Folder of results, of a job or published.
    image : Path
        OME-Zarr folder of the image.
    name : str
        What the labels are called there.

    Returns
    -------
    Path
        ``<image>/labels/<name>``. When it is interrupted and done again, it goes on.

    Raises
    ------
    OutputExistsError
        If the image has other labels of that name.
    OutputError
        If the image is no OME-Zarr, of another version, or cannot be written.
    """
    source, target = results / _LABELS, image / "labels" / name
    version = ome_zarr_version(image)
    if version != ome_zarr_version(source):
        raise OutputError(
            f"{image} is an OME-Zarr of version {version}, and labels beside it must"
            f" be so too; ask for --ome-zarr {version}"
        )
    if target.exists() and not _is_made(target, read_fingerprint(source)):
        raise OutputExistsError(
            f"{target}: exists already and is not overwritten; remove these labels, or"
            " rename them, if they are not needed"
        )
    with disk_errors(target, "see that you may write to it, or copy the image"):
        zarr_format: Any = 2 if version == "0.4" else 3
        group = zarr.open_group(image / "labels", mode="a", zarr_format=zarr_format)
        if not target.exists():
            part = target.with_name(f".{name}.part")
            remove(part)
            shutil.copytree(source, part, ignore=shutil.ignore_patterns(f"*{PARTIAL}"))
            os.replace(part, target)
        known = _ome(dict(group.attrs)).get("labels", [])
        if name not in known:
            group.attrs.update(labels_attributes([*known, name], version))
            _consolidate_again(image)
    return target


def read_fingerprint(path: Path) -> str | None:
    """Return the fingerprint of the job that has made a result.

    Parameters
    ----------
    path : Path
        A TIFF file or an OME-Zarr folder.

    Returns
    -------
    str or None
        ``None`` if it is missing, not ours, or tells none.
    """
    found = read_provenance(path).get("fingerprint")
    return found if isinstance(found, str) else None


def read_provenance(path: Path) -> dict[str, Any]:
    """Return what a result tells of where it comes from.

    Parameters
    ----------
    path : Path
        A TIFF file or an OME-Zarr folder.

    Returns
    -------
    dict
        ``model`` and ``version`` that made it, ``made``: in words all that decided the
        result (image, settings, a hash of the model), ``fingerprint``, a hash of these,
        and ``recipe``, all settings. Empty if missing, not ours, or telling nothing.
    """
    try:
        made = _attributes(path).get(OURS) if path.is_dir() else _tiff_provenance(path)
    except (OSError, ValueError, tifffile.TiffFileError):
        return {}
    return made if isinstance(made, dict) else {}


def _is_beside(path: Path) -> bool:
    """Return whether a place is that of labels beside an image."""
    return path.suffix not in (".tif", ".zarr") and path.parent.name == "labels"


def _is_made(path: Path, fingerprint: object) -> bool:
    """Return whether a result is there, and of the job with this fingerprint."""
    return fingerprint is not None and read_fingerprint(path) == fingerprint


def _tiff_provenance(path: Path) -> Any:
    """Return what a TIFF file tells of where it comes from."""
    with tifffile.TiffFile(path) as tif:
        tag = tif.pages.first.tags.get(PROVENANCE_TAG)
        return json.loads(tag.value) if tag is not None else {}


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a zarr group, of either version; {} without one."""
    for name, inside in (("zarr.json", "attributes"), (".zattrs", None)):
        file = path / name
        if file.is_file():
            read = json.loads(file.read_text(encoding="utf-8"))
            found = read.get(inside, {}) if inside else read
            return dict(found)
    return {}


def _ome(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what OME-Zarr has to say, of either version."""
    found: dict[str, Any] = attributes.get("ome", attributes)
    return found


def ome_zarr_version(path: Path) -> OmeZarr:
    """Return the version of an OME-Zarr image, which labels beside it need too.

    Raises
    ------
    OutputError
        If it is none.
    """
    try:
        attributes = _attributes(path)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}); leave --labels-beside out"
        ) from error
    if "multiscales" not in _ome(attributes):
        raise OutputError(
            f"{path} is no OME-Zarr image, so labels cannot be written beside it; leave"
            " --labels-beside out"
        )
    return "0.5" if "ome" in attributes else "0.4"


def _consolidate_again(image: Path) -> None:
    """Renew the copy of all metadata that some writers put at the root."""
    old = (image / ".zmetadata").exists()
    new = image / "zarr.json"
    if old or (new.exists() and "consolidated_metadata" in json.loads(new.read_text())):
        with warnings.catch_warnings():  # such copies are not in the standard
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(image)


def _remove_partial(folder: Path) -> None:
    """Remove the pieces of files that a killed writer has left."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(PARTIAL):
                (Path(parent) / name).unlink(missing_ok=True)
