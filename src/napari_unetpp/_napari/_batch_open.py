"""Opening a result of a batch: its image, if it is not there yet, and what was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer

from napari_unetpp._napari._layers import (
    KEY,
    LABELS,
    MEAN,
    UNCERTAINTY,
    add_quietly,
    appearance,
)
from napari_unetpp._napari._reader import read_results
from napari_unetpp._napari._recipe_layers import FILE, add_image_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Set

    from napari.viewer import Viewer

    from napari_unetpp._napari._batch import BatchItem
    from napari_unetpp._napari._reader import LayerData
    from napari_unetpp.arrays import Image

_SHOWN = (UNCERTAINTY, MEAN, LABELS)
"""Results in TIFF files that become layers; bottom layer first."""


@dataclass(frozen=True, slots=True, eq=False)
class ResultOpened:
    """Results of one image, opened.

    Attributes
    ----------
    index : int
        Which image of the batch.
    image : Image or None
        The image, if it lies in a file.
    file : Path or None
        That file.
    layers : list of (data, options, type)
        As readers of napari return them; the bottom layer first.
    """

    index: int
    image: Image | None
    file: Path | None
    layers: list[LayerData]


def open_result(
    index: int, item: BatchItem, outputs: Mapping[Any, Path]
) -> Generator[ResultOpened, None, None]:
    """Open the results of an image of a batch; in any thread.

    Parameters
    ----------
    index, item : int, BatchItem
        Which image.
    outputs : mapping of kind to Path
        Where the results are.

    Yields
    ------
    ResultOpened
        Once.

    Raises
    ------
    ImageError
        If a file is gone or damaged.
    """
    from napari_unetpp.io import as_image

    image, file = None, None
    if isinstance(item.image, Path):
        axes = None if item.own is None else item.own.axes
        image, file = as_image(item.image, axes), item.image
    layers: list[LayerData] = []
    for path in dict.fromkeys(outputs.values()):
        if path.is_dir():
            layers += read_results(str(path))
    layers += _of_tiffs(outputs)
    yield ResultOpened(index, image, file, layers)


def show_result(viewer: Viewer, opened: ResultOpened) -> list[Layer]:
    """Show an image and its results; those that are shown already stay; GUI thread.

    Returns
    -------
    list of Layer
        Of the results.
    """
    image = None
    if opened.image is not None and opened.file is not None:
        image = add_image_of(viewer, opened.file, opened.image)
    there = {_place(layer.metadata.get(KEY)): layer for layer in viewer.layers}
    shown = []
    for data, options, kind in opened.layers:
        layer = there.get(_place(options["metadata"][KEY]))
        if layer is None:
            layer = Layer.create(data, options, kind)
            add_quietly(viewer, layer)
        shown.append(layer)
    _hide_others(viewer, {image, *shown})
    return shown


def _hide_others(viewer: Viewer, kept: Set[Layer | None]) -> None:
    """Hide other images and results that were opened from files, which lie there too.

    What the user has loaded or painted stays as it is.
    """
    for layer in viewer.layers:
        if layer in kept:
            layer.visible = layer.visible or _is_main(layer)
        elif FILE in layer.metadata or "part" in layer.metadata.get(KEY, {}):
            layer.visible = False


def _is_main(layer: Layer) -> bool:
    """Return whether a layer is an image, or labels."""
    made = layer.metadata.get(KEY)
    return made is None or made.get("result") == LABELS


def _place(made: Any) -> tuple[Any, ...] | None:
    """Return what tells a result from others, ``None`` of a layer that is none."""
    keys = ("file", "part", "fingerprint")
    return None if not made else tuple(made.get(key) for key in keys)


def _of_tiffs(outputs: Mapping[Any, Path]) -> Iterator[LayerData]:
    """Yield the layers of results in TIFF files."""
    for kind in _SHOWN:
        path = outputs.get(kind)
        if path is not None and path.is_file():
            yield _of_tiff(path, kind)


def _of_tiff(path: Path, kind: str) -> LayerData:
    """Return data, options and type of the layer of a TIFF file."""
    from napari_unetpp._napari._stored import IN_MEMORY, paintable
    from napari_unetpp.io import as_image, read_provenance, stem
    from napari_unetpp.io._result_layout import STEPS

    image = as_image(path)
    data: Any = image.data
    if kind != LABELS and data.dtype == np.uint8:  # probabilities in steps of 1/255
        data = data.astype(np.float32) / STEPS
    kept = [at for at, letter in enumerate(image.axes) if letter != "C"]
    if len(kept) < len(image.axes):  # channels are classes, the first the background
        classes = np.moveaxis(data, image.axes.index("C"), 0)
        data = classes[1:].sum(axis=0) if len(classes) > 1 else classes[0]
    if data.nbytes <= IN_MEMORY:
        data = np.asarray(data)
    translate = image.translate or (0.0,) * len(image.axes)
    name = stem(path).removesuffix(f"_{kind}")
    made = {"result": kind, "part": kind, "file": str(path), **read_provenance(path)}
    options: dict[str, Any] = {
        "name": f"{name} | {kind}",
        "scale": tuple(image.scale[at] for at in kept),
        "translate": tuple(translate[at] for at in kept),
        "units": tuple(image.units[at] for at in kept),
        "axis_labels": tuple(image.axes[at] for at in kept),
        "metadata": {KEY: made},
    }
    if kind == LABELS:
        labels = paintable(data) if isinstance(data, np.ndarray) else data
        return labels, options | {"opacity": 0.6}, "labels"
    return data, options | {"visible": False, **appearance(kind)}, "image"
