"""Opening results that were written as OME-Zarr: a layer for each, readable at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari._layers import (
    KEY,
    LABELS,
    MEAN,
    UNCERTAINTY,
    appearance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_unetpp.arrays import Image

    LayerData = tuple[Any, dict[str, Any], str]

HEADS = "heads"

_PLACES = {HEADS: HEADS, UNCERTAINTY: UNCERTAINTY, MEAN: MEAN, LABELS: "labels/labels"}
"""Where a result lies in the folder; bottom layer first."""

_IN_MEMORY = 256 * 2**20
"""Bytes up to which labels are loaded, so that they can be painted on."""


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what opens `path`, if it is a folder of results written by us.

    Parameters
    ----------
    path : str or sequence of str
        What was dropped on the viewer.
    """
    if not isinstance(path, str) or not path.rstrip("/").endswith(".ome.zarr"):
        return None
    if not any((Path(path) / place).is_dir() for place in _PLACES.values()):
        return None
    return read_results


def read_results(path: str) -> list[LayerData]:
    """Return the layers of a folder of results, probabilities still on disk.

    Raises
    ------
    ImageError
        If the folder is damaged.
    """
    from napari_unetpp.io import stem

    name = stem(path.rstrip("/"))
    return [
        layer
        for kind, place in _PLACES.items()
        if (Path(path) / place).is_dir()
        for layer in _layers(Path(path) / place, kind, name)
    ]


def _layers(folder: Path, kind: str, name: str) -> Iterator[LayerData]:
    """Yield the layers of one result: one for each head or class."""
    from napari_unetpp.arrays import select_channel
    from napari_unetpp.io import read_image

    single_heads = sorted(folder.glob("[1-9]*"), key=lambda head: -int(head.name))
    if kind == HEADS and single_heads:  # of a class model: each has its classes
        for head in single_heads:
            yield from _layers(head, f"head {head.name}", name)
        return
    image = read_image(folder)
    if "C" not in image.axes:
        yield _layer(image, kind, f"{name} | {kind}")
        return
    what = "head" if kind == HEADS else f"{kind}, class"
    for index in reversed(range(image.n_channels)):
        one = select_channel(image, index)
        yield _layer(one, kind, f"{name} | {what} {index + 1}")


def _layer(image: Image, kind: str, name: str) -> LayerData:
    """Return data, options and type of a layer."""
    options: dict[str, Any] = {
        "name": name,
        "scale": image.scale,
        "translate": image.translate or (0.0,) * len(image.axes),
        "units": image.units,
        "axis_labels": tuple(image.axes),
        "metadata": {KEY: {"result": kind}},  # so that panels do not offer it
    }
    data: Any = image.data
    if kind == LABELS:
        small = data.nbytes <= _IN_MEMORY
        return np.asarray(data) if small else data, options, "labels"
    options |= {"visible": kind == MEAN, **appearance(kind)}
    return data, options, "image"
