"""From a prediction to labels: objects, or the classes that were painted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import from_class_index, label_dtype
from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._instances import BLOCKS, segment_instances
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._linking import link_planes
from napari_unetpp.inference._results import Segmentation
from napari_unetpp.inference._scratch import (
    finished_labels,
    new_labels,
    scratch_parent,
)
from napari_unetpp.io._disk import disk_errors
from napari_unetpp.tiling import TileGrid

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference._results import Prediction


def label(
    prediction: Prediction,
    model: ModelConfig,
    run_id: str,
    folder: Path | None = None,
    *,
    link: bool = False,
) -> Generator[BlockDone, None, Segmentation]:
    """Make labels of a complete prediction.

    Parameters
    ----------
    prediction : Prediction
        Probabilities by `model`.
    model : ModelConfig
        Says what the classes are and how objects are told apart.
    run_id : str
        Stands in the events.
    folder : Path, optional
        Folder for the labels; without it they are in memory if they are small.
    link : bool
        Join the objects of neighbouring Z planes, where Z is looped over.

    Yields
    ------
    BlockDone
        After each block of each step.

    Returns
    -------
    Segmentation

    Raises
    ------
    OutputError
        If `folder` cannot be written, or its disk is full.
    """
    blocks = BLOCKS[model.network.spatial_dims]
    loops = (1,) * (len(prediction.shape) - len(blocks.edges))
    chunks = loops + blocks.edges
    n_objects: int | None = None
    with disk_errors(scratch_parent(folder)):  # full while labels are written
        if model.task == "instances":
            labels = new_labels(prediction.shape, np.uint32, chunks, folder)
            n_objects = yield from segment_instances(
                prediction.mean, model.instances, labels, run_id, blocks
            )
            if link and "Z" in prediction.axes[: len(loops)]:
                axis = prediction.axes.index("Z")
                n_objects = yield from link_planes(
                    labels, axis, n_objects, run_id, blocks.edges
                )
        else:
            dtype = label_dtype(label_values(model))
            labels = new_labels(prediction.shape, dtype, chunks, folder)
            yield from _paint_classes(prediction, model, labels, run_id)
    return Segmentation(finished_labels(labels), prediction, n_objects)


def class_labels(
    probabilities: npt.NDArray[Any], model: ModelConfig
) -> npt.NDArray[np.integer[Any]]:
    """Return the label value of the likeliest class.

    Parameters
    ----------
    probabilities : ndarray, (K, *S)
        Of the classes of `model`; of equals the first wins.
    model : ModelConfig
        With the label value of each class. A single class is there above 1/2, and
        elsewhere the label is 0.

    Returns
    -------
    ndarray of unsigned int, (*S)
    """
    if len(probabilities) == 1:
        index = (probabilities[0] > 0.5).astype(np.intp)
    else:
        index = probabilities.argmax(axis=0)
    return from_class_index(index, label_values(model))


def label_values(model: ModelConfig) -> tuple[int, ...]:
    """Return the label value of each index, a single class being index 1."""
    values = model.class_values
    return values if len(values) > 1 else (0, *values)


def _paint_classes(
    prediction: Prediction, model: ModelConfig, labels: Any, run_id: str
) -> Generator[BlockDone, None, None]:
    """Write the class of every pixel, block by block."""
    edges = BLOCKS[model.network.spatial_dims].edges
    n, nothing = len(edges), (0,) * len(edges)
    shape = prediction.shape
    grid = TileGrid(shape[-n:], edges, nothing, (1,) * n, shape[:-n])
    start = time.monotonic()
    for n_done, tile in enumerate(grid, start=1):
        index = (*tile.loop, *slices(tile.core))
        found = read(prediction.mean, (slice(None), *index))
        labels[index] = class_labels(found, model)
        seconds = time.monotonic() - start
        yield BlockDone(run_id, "paint classes", n_done, len(grid), seconds)
