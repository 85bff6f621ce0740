"""What decides the result of a job, so that only the same job is gone on with."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import ImageError
from napari_unetpp.inference._lazy import read
from napari_unetpp.io import as_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_unetpp._types import LazyArray
    from napari_unetpp.inference._request import JobRequest
    from napari_unetpp.nn import Model

_GROUP = "zarr.json"
_METADATA = (_GROUP, ".zarray", ".zattrs", ".zgroup")
_WHOLE_BYTES = 2**28
"""Size up to which all of an array is looked at."""
_PIECE_BYTES = 2**24
_N_PROBES, _PROBE_EDGE = 16, 64
_SHOWN = 12


def fingerprint_parts(request: JobRequest) -> dict[str, str]:
    """Return all that decides the result, each part under a name that people know.

    What changes time and memory only (device, batch, memory, workers) is left out, and
    so is what is done about pixels that cannot be read: a run that was stopped by them
    may go on without. The tile is in, because the ledger counts tiles.
    """
    settings, outputs, image = request.settings, request.outputs, request.image
    channel = "all" if request.channel is None else str(request.channel)
    return {
        "image": _identity(request.source),
        "axes": f"{image.axes} {' x '.join(map(str, image.shape))}",
        "channel": channel,
        "model": f"{request.model.config.name} {_model_hash(request.model)}",
        "mask": "none" if request.mask is None else _identity(request.mask),
        "mode": settings.mode,
        "level": str(request.level),
        "tile": str(settings.tile or "auto"),
        "nonfinite": settings.nonfinite,
        "link": str(settings.link),
        "diameter": str(settings.diameter),
        "tta": str(settings.tta),
        "precision": request.precision,
        "adaptive": str(settings.adaptive),
        "results": ", ".join(outputs.kinds),
        "format": outputs.form,
        "probabilities": outputs.probability,
        "OME-Zarr": outputs.ome_zarr,
        "version": version("napari-unetpp"),
    }


def fingerprint(parts: Mapping[str, str]) -> str:
    """Return one short word that stands for all parts."""
    text = json.dumps(dict(parts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return which parts changed, in words."""
    return [
        f"{name} was {before.get(name, 'not known')}, is {now.get(name, 'not known')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _identity(source: object) -> str:
    """Return what tells a source of pixels from another, without reading all of it."""
    if isinstance(source, (str, os.PathLike)):
        return _file_identity(Path(source))
    image = as_image(source)
    size = math.prod(image.shape) * image.data.dtype.itemsize
    pieces = _all_of(image.data) if size <= _WHOLE_BYTES else _probes(image.data)
    found = hashlib.sha256()
    for index in pieces:
        found.update(np.ascontiguousarray(read(image.data, index)).tobytes())
    digest = found.hexdigest()[:_SHOWN]
    return f"{image.name} {image.shape} {image.data.dtype} {digest}"


def _file_identity(path: Path) -> str:
    """Return name, size and time of a file; of a folder, those of its metadata.

    Chunks of a zarr may be restored from a copy while a job waits, its metadata not.
    """
    files = [path] if path.is_file() else [path / name for name in _METADATA]
    found = [file for file in files if file.is_file()]
    if not found:
        raise ImageError(f"{path}: no such image; it was there when the run began")
    if found[0].name == _GROUP and (content := _group_content(found[0])) is not None:
        arrays = sorted(path.glob(f"*/{_GROUP}"))
        arrays = [file for file in arrays if file.parent.name != "labels"]
        return ", ".join([path.name, content, *map(_size_and_time, arrays)])
    return ", ".join([path.name, *map(_size_and_time, found)])


def _size_and_time(file: Path) -> str:
    found = file.stat()
    return f"{found.st_size} bytes, modified {found.st_mtime_ns / 1e9:.6f}"


def _group_content(file: Path) -> str | None:
    """Return a hash of what a file tells of a zarr group; ``None`` for an array.

    Not of the copy of all other metadata that it may hold: that is renewed when labels
    are put beside the image.
    """
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ImageError(f"{file} cannot be read ({error}); mend or copy it") from error
    if told.get("node_type") != "group":
        return None
    told.pop("consolidated_metadata", None)
    text = json.dumps(told, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]


def _all_of(data: LazyArray) -> Iterator[tuple[slice, ...]]:
    """Yield the indices of an array in pieces along its first axis."""
    row = math.prod(data.shape[1:]) * data.dtype.itemsize
    step = max(_PIECE_BYTES // row, 1)
    for start in range(0, data.shape[0], step):
        yield (slice(start, start + step),)


def _probes(data: LazyArray) -> Iterator[tuple[slice, ...]]:
    """Yield the indices of some small blocks of an array."""
    edges = [
        min(size, _PROBE_EDGE if at >= data.ndim - 2 else 1)
        for at, size in enumerate(data.shape)
    ]
    places = random.Random(0)
    for _ in range(_N_PROBES):
        starts = [
            places.randrange(size - edge + 1)
            for size, edge in zip(data.shape, edges, strict=True)
        ]
        yield tuple(
            slice(start, start + edge)
            for start, edge in zip(starts, edges, strict=True)
        )


def _model_hash(model: Model) -> str:
    """Return a hash of a model's weights and of how its output is read."""
    config = model.config.model_dump_json(exclude={"training", "description"})
    found = hashlib.sha256(config.encode())
    for name, value in sorted(model.network.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:_SHOWN]
