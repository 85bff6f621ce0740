"""Making the empty arrays of results: OME-Zarr groups, sharded, with a pyramid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

from napari_unetpp.io._ome_metadata import (
    image_attributes,
    labels_attributes,
    root_attributes,
)
from napari_unetpp.io._pyramid import divisor

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp.io._pyramid import Level
    from napari_unetpp.io._result_layout import ResultLayout, StoredImage

WORK_ARRAYS = {
    "foreground": "uint8",
    "interior": "uint8",
    "nodes": "uint32",
    "grown0": "uint32",
    "grown1": "uint32",
}
"""What objects are made from, and in, and the dtype of each."""

_BY_TILE = ("foreground", "interior")
_WORK_CHUNK = {2: 512, 3: 96}
"""Edges of what is read in one piece, at most: blocks, and what lies around them."""


def create_ome_zarr(path: Path, layout: ResultLayout) -> None:
    """Make the new folder `path` with all groups and arrays, empty ones."""
    old = layout.ome_zarr == "0.4"
    root = zarr.open_group(path, mode="w-", zarr_format=2 if old else 3)
    root.attrs.update(root_attributes(layout))
    for image in layout.images():
        group = root.create_group(image.place)
        group.attrs.update(image_attributes(image, layout))
        for number, level in enumerate(image.levels):
            _create_level(group, str(number), image, level, layout)
        if image.kind == "labels":
            named = labels_attributes(["labels"], layout.ome_zarr)
            root["labels"].attrs.update(named)


def create_work(path: Path, layout: ResultLayout) -> None:
    """Make the new folder `path` with the arrays in which objects are made."""
    root = zarr.open_group(path, mode="w-", zarr_format=3)
    loops = layout.shape[: len(layout.loop_axes)]
    ones = (1,) * len(loops)
    for name, dtype in WORK_ARRAYS.items():
        edges = layout.core if name in _BY_TILE else layout.block
        chunks = (divisor(edge, _WORK_CHUNK[len(edges)]) for edge in edges)
        root.create_array(
            name=name,
            shape=tuple(layout.shape),
            chunks=(*ones, *chunks),
            dtype=dtype,
            compressors=BloscCodec(cname="lz4", clevel=1),
            fill_value=0,
        )


def _create_level(
    group: Any, name: str, image: StoredImage, level: Level, layout: ResultLayout
) -> None:
    """Make the array of one level of an image."""
    sizes = dict(zip(layout.axes, layout.shape, strict=True))
    sizes |= dict(zip(layout.spatial_axes, level.shape, strict=True))
    sizes["C"] = len(image.channels)
    shard = dict(zip(layout.spatial_axes, level.shard, strict=True))
    shard["C"] = len(image.channels)
    chunk = dict(zip(layout.spatial_axes, level.chunk, strict=True))
    settings: dict[str, Any] = {
        "name": name,
        "shape": tuple(sizes[letter] for letter in image.axes),
        "chunks": tuple(chunk.get(letter, 1) for letter in image.axes),
        "dtype": image.dtype,
        "fill_value": 0,
    }
    if layout.ome_zarr == "0.4":
        group.create_array(
            **settings,
            compressors={"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 1},
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        return
    shards = tuple(shard.get(letter, 1) for letter in image.axes)
    group.create_array(
        **settings,
        shards=None if math.prod(shards) == math.prod(settings["chunks"]) else shards,
        compressors=_compressor(image.dtype),
        dimension_names=[letter.lower() for letter in image.axes],
    )


def _compressor(dtype: npt.DTypeLike) -> BloscCodec | ZstdCodec:
    """Return what compresses a level: of single bytes there is nothing to shuffle."""
    if np.dtype(dtype).itemsize == 1:
        return ZstdCodec(level=1)
    return BloscCodec(cname="zstd", clevel=1)
