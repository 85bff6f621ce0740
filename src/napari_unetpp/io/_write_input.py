"""Images and labels that lie in no file, written so that they are read as they were."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_unetpp.arrays import PIXEL, Image, label_dtype, select_channel
from napari_unetpp.errors import UnetppError
from napari_unetpp.io._disk import beside
from napari_unetpp.io._images import as_image
from napari_unetpp.io._units import unit_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OME_AXES = set("TZCYX")
_OME_KINDS = {"u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"}
_CLASSIC_BYTES = 2**32 - 2**25
_PIECE_BYTES = 2**24
_MOST_PIECES = 64
"""Pieces of a large image that are compared; labels are compared as a whole."""


def write_input(image: Image, path: Path) -> None:
    """Write an image or labels as TIFF, compressed without loss.

    Axes are kept in their order. As OME-TIFF it holds scale and units where these are
    known; what OME does not know makes it a plain TIFF that names its axes.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    data: Any = image.data
    ome = _suits_ome(image)
    with (
        beside(path) as part,
        tifffile.TiffWriter(part, bigtiff=data.nbytes > _CLASSIC_BYTES, ome=ome) as tif,
    ):
        tif.write(
            _pages(data, 3 if image.rgb else 2),
            shape=data.shape,
            dtype=data.dtype,
            photometric="rgb" if image.rgb else "minisblack",
            compression="zlib",
            metadata=_metadata(image, ome=ome),
            software="napari-unetpp",
        )


def small_labels(labels: Image) -> Image:
    """Return labels in the smallest whole numbers that hold them."""
    data: Any = labels.data
    highest = max(int(np.asarray(data.max())), 0)
    return replace(labels, data=data.astype(label_dtype((highest,))))


def holds(path: Path, image: Image, *, whole: bool) -> bool:
    """Whether a file holds just these pixels.

    Parameters
    ----------
    path : Path
        The file; what cannot be read does not hold them.
    image : Image
        What is looked for.
    whole : bool
        Compare every pixel; otherwise pieces all over a large image.
    """
    with suppress(UnetppError):
        return _equal(as_image(path), image, whole=whole)
    return False


def find_channel(path: Path, image: Image) -> int | None:
    """Return which channel of a file an image is, ``None`` if it is none of them."""
    with suppress(UnetppError):
        found = as_image(path)
        if "C" in found.axes and "C" not in image.axes:
            for index in range(found.n_channels):
                if _equal(select_channel(found, index), image, whole=False):
                    return index
    return None


def _equal(one: Image, other: Image, *, whole: bool) -> bool:
    """Whether two images have the same pixels, in whatever type of number."""
    return one.shape == other.shape and all(
        np.array_equal(
            np.asarray(one.data[index]),
            np.asarray(other.data[index]),
            equal_nan="f" in (one.data.dtype.kind, other.data.dtype.kind),
        )
        for index in _pieces(one.shape, one.data.dtype.itemsize, whole=whole)
    )


def _pieces(
    shape: tuple[int, ...], itemsize: int, *, whole: bool
) -> Iterator[tuple[slice, ...]]:
    """Yield indices of some MiB each that cover an array, or are spread over it."""
    for at in range(len(shape)):  # the first axes one by one, the next in bands
        below = math.prod(shape[at + 1 :]) * itemsize
        if below <= _PIECE_BYTES:
            break
    step = max(_PIECE_BYTES // below, 1)
    starts = [
        (*loop, start)
        for loop in np.ndindex(shape[:at])
        for start in range(0, shape[at], step)
    ]
    if not whole and len(starts) > _MOST_PIECES:
        picked = np.linspace(0, len(starts) - 1, _MOST_PIECES).astype(int)
        starts = [starts[k] for k in picked]
    for start in starts:
        loop = tuple(slice(k, k + 1) for k in start[:-1])
        yield (*loop, slice(start[-1], start[-1] + step))


def _suits_ome(image: Image) -> bool:
    """Whether OME-TIFF can hold an image with its axes as they are."""
    axes = image.axes.removesuffix("C") if image.rgb else image.axes
    known = image.data.dtype.str[1:] in _OME_KINDS
    return known and axes.endswith("YX") and set(axes) <= _OME_AXES


def _metadata(image: Image, *, ome: bool) -> dict[str, Any]:
    """Return what TIFF shall say of an image."""
    axes = image.axes.replace("C", "S") if image.rgb else image.axes
    metadata: dict[str, Any] = {"axes": axes}
    if not ome:
        return metadata
    metadata["Name"] = image.name
    for axis, size, unit in zip(image.axes, image.scale, image.units, strict=True):
        symbol = None if unit == PIXEL else unit_symbol(unit)
        if symbol is None or axis == "C":
            continue
        name = "TimeIncrement" if axis == "T" else f"PhysicalSize{axis}"
        metadata |= {name: size, f"{name}Unit": symbol}
    return metadata


def _pages(data: Any, ndim: int) -> Iterator[Any]:
    """Yield the planes of an array, (Y, X) or (Y, X, C), one read at a time."""
    for place in product(*map(range, data.shape[: data.ndim - ndim])):
        yield np.ascontiguousarray(np.asarray(data[place]))
