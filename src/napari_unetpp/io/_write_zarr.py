"""Writing results as one OME-Zarr 0.5 folder, a chunk at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import zarr
from zarr.codecs import BloscCodec

from napari_unetpp.arrays import PIXEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_unetpp.io._result import Result

_VERSION = "0.5"
_ORDER = ("mean", "uncertainty", "heads", "labels")
_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}


def write_ome_zarr(results: Sequence[Result], path: Path) -> None:
    """Write `results` to the new folder `path`.

    OME-Zarr wants time first, then channels, then space, so axes are re-ordered: the
    axis of heads stands behind T. Where there are classes too, each head is an image of
    its own: OME-Zarr knows no axis of heads, and allows five axes at most.
    """
    ordered = sorted(results, key=lambda result: _ORDER.index(result.kind))
    images = [image for result in ordered for image in _images(result)]
    root = zarr.open_group(path, mode="w-", zarr_format=3)
    for place, result in images:
        _write_image(root, place, result)
    if any(result.kind == "labels" for result in results):
        root["labels"].attrs["ome"] = {"version": _VERSION, "labels": ["labels"]}
    place, first = images[0]
    root.attrs["ome"] = _metadata(first, f"{place}/0")


def _images(result: Result) -> Iterator[tuple[str, Result]]:
    """Yield the images that a result makes, and the group of each."""
    place = "labels/labels" if result.kind == "labels" else result.kind
    if result.axes[0] != "H":
        yield place, _reordered(result)
        return
    for head in range(result.data.shape[0]):
        one = replace(
            result,
            data=result.data[head],
            axes=result.axes[1:],
            scale=result.scale[1:],
            units=result.units[1:],
            translate=result.translate[1:],
        )
        yield f"{place}/{head + 1}", _reordered(one)


def _write_image(root: Any, place: str, result: Result) -> None:
    """Write one result as an image of its own at `place` in the group `root`."""
    chunks = tuple(max(sizes) for sizes in result.data.chunks)
    data = result.data.rechunk(chunks)
    group = root.create_group(place)
    array = group.create_array(
        name="0",
        shape=data.shape,
        chunks=chunks,
        dtype=data.dtype.newbyteorder("="),
        compressors=BloscCodec(cname="zstd", clevel=1),
        dimension_names=[letter.lower() for letter in result.axes],
    )
    da.store(data, array, lock=False)  # chunks coincide: one writer for each
    metadata = _metadata(result, "0")
    if result.kind == "labels":
        metadata["image-label"] = {"version": _VERSION, "source": {"image": "../../"}}
    group.attrs["ome"] = metadata


def _reordered(result: Result) -> Result:
    """Return `result` with T first, then C and others, then space."""
    rank = {"T": 0, "C": 2, "Z": 3, "Y": 4, "X": 5}
    order = sorted(range(len(result.axes)), key=lambda at: rank.get(result.axes[at], 1))
    return result.transposed(tuple(order))


def _metadata(result: Result, dataset: str) -> dict[str, Any]:
    """Return the ``ome`` attribute of an image whose one level lies at `dataset`."""
    axes = []
    for letter, unit in zip(result.axes, result.units, strict=True):
        axis = {"name": letter.lower()}
        if letter in _TYPES:
            axis["type"] = _TYPES[letter]
        if unit != PIXEL:
            axis["unit"] = unit
        axes.append(axis)
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": list(result.scale)}]
    if any(result.translate):
        steps.append({"type": "translation", "translation": list(result.translate)})
    levels = [{"path": dataset, "coordinateTransformations": steps}]
    metadata: dict[str, Any] = {
        "version": _VERSION,
        "multiscales": [{"name": result.kind, "axes": axes, "datasets": levels}],
    }
    return metadata
