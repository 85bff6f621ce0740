"""What decides the result of a job, so that only the same job is gone on with."""

from __future__ import annotations

import hashlib
import json
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
    from collections.abc import Mapping

    from napari_unetpp._types import LazyArray
    from napari_unetpp.inference._request import JobRequest
    from napari_unetpp.nn import Model

_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup")
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
    return f"{image.name} {image.shape} {image.data.dtype} {_probe(image.data)}"


def _file_identity(path: Path) -> str:
    """Return name, size and time of a file; of a folder, those of its metadata.

    Chunks of a zarr may be restored from a copy while a job waits, its metadata not.
    """
    files = [path] if path.is_file() else [path / name for name in _METADATA]
    found = [file for file in files if file.is_file()]
    if not found:
        raise ImageError(f"{path}: no such image; it was there when the run began")
    return ", ".join(
        [path.name]
        + [
            f"{file.stat().st_size} bytes, modified {file.stat().st_mtime_ns / 1e9:.6f}"
            for file in found
        ]
    )


def _probe(data: LazyArray) -> str:
    """Return a hash of some small blocks of an array."""
    found = hashlib.sha256()
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
        index = tuple(
            slice(start, start + edge)
            for start, edge in zip(starts, edges, strict=True)
        )
        found.update(np.ascontiguousarray(read(data, index)).tobytes())
    return found.hexdigest()[:_SHOWN]


def _model_hash(model: Model) -> str:
    """Return a hash of a model's weights and of how its output is read."""
    config = model.config.model_dump_json(exclude={"training", "description"})
    found = hashlib.sha256(config.encode())
    for name, value in sorted(model.network.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:_SHOWN]
