"""Writing a result as OME-TIFF, a band of rows at a time."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_unetpp.arrays import label_dtype
from napari_unetpp.io._units import unit_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from napari_unetpp.io._result import Result

PROVENANCE_TAG = 65_117
"""Private TIFF tag that tells, as JSON, where a result comes from."""

_STRIP_ROWS = 16
_BAND_BYTES = 64 * 2**20
_OME_AXES = "TZCYX"
_CLASSIC_BYTES = 2**32 - 2**25
"""Size beyond which offsets need 64 bits (BigTIFF)."""


def write_tiff(
    result: Result, path: Path, provenance: Mapping[str, JsonValue] | None = None
) -> None:
    """Write `result`, whose last axes are Y and X, to `path`.

    Axes that OME does not know make it a plain TIFF that names them in its description.
    What `provenance` tells of the result stands in a tag of our own.
    """
    told = json.dumps(provenance or {}, ensure_ascii=True)
    ome = set(result.axes) <= set(_OME_AXES)
    with tifffile.TiffWriter(
        path, bigtiff=result.data.nbytes > _CLASSIC_BYTES, ome=ome, byteorder="<"
    ) as tif:
        tif.write(
            _strips(result.data),
            shape=result.data.shape,
            dtype=result.data.dtype.newbyteorder("<"),
            photometric="minisblack",
            compression="zlib",
            rowsperstrip=_STRIP_ROWS,
            metadata=_ome(result) if ome else {"axes": result.axes},
            software="napari-unetpp",
            extratags=[(PROVENANCE_TAG, 2, None, told, True)],
            **_resolution(result),
        )


def with_small_labels(result: Result) -> Result:
    """Return a result whose labels are uint16 or uint32, as they need."""
    if result.kind != "labels":
        return result
    highest = max(int(result.data.max().compute()), 2**8)
    return replace(result, data=result.data.astype(label_dtype((highest,))))


def _strips(data: Any) -> Iterator[bytes]:
    """Yield the deflated strips of (..., Y, X), reading a band of chunks at a time."""
    height, width = data.shape[-2:]
    rows = max(data.chunks[-2])
    # Whole chunks are read once, as long as a band of them is not too large.
    most = max(_BAND_BYTES // (width * data.dtype.itemsize), 1)
    band = max(min(rows, most) // _STRIP_ROWS, 1) * _STRIP_ROWS
    for plane in product(*map(range, data.shape[:-2])):
        for top in range(0, height, band):
            pixels = np.asarray(data[(*plane, slice(top, top + band))])
            pixels = pixels.astype(data.dtype.newbyteorder("<"), copy=False)
            for row in range(0, len(pixels), _STRIP_ROWS):
                yield zlib.compress(pixels[row : row + _STRIP_ROWS].tobytes(), 1)


def _ome(result: Result) -> dict[str, Any]:
    """Return the OME metadata of `result`."""
    metadata: dict[str, Any] = {"axes": result.axes, "Name": result.kind}
    for axis, size, unit in zip(result.axes, result.scale, result.units, strict=True):
        symbol = unit_symbol(unit)
        if symbol is None:
            continue
        name = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        metadata |= {name: size, f"{name}Unit": symbol}
    if result.channel_names:
        metadata["Channel"] = {"Name": list(result.channel_names)}
    return metadata


def _resolution(result: Result) -> dict[str, Any]:
    """Return the size of a pixel as the TIFF tags have it, in centimetres."""
    per_cm = {"nanometer": 1e7, "micrometer": 1e4, "millimeter": 10.0}
    if result.units[-1] not in per_cm or result.units[-1] != result.units[-2]:
        return {}
    pixels = per_cm[result.units[-1]]
    return {
        "resolution": (pixels / result.scale[-1], pixels / result.scale[-2]),
        "resolutionunit": "CENTIMETER",
    }
