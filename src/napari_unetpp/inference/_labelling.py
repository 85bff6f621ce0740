"""From a prediction to labels: objects, or the classes that were painted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import from_class_index, label_dtype
from napari_unetpp.config import INSTANCE_CLASSES
from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._growing import STEPS
from napari_unetpp.inference._instances import BlockWork, segment_instances
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._own_grid import resize_labels
from napari_unetpp.inference._results import Segmentation
from napari_unetpp.inference._scratch import (
    finished_labels,
    new_labels,
    scratch_parent,
)
from napari_unetpp.inference._stages import LocalStages, blocks_for
from napari_unetpp.io import Ledger
from napari_unetpp.io._disk import disk_errors

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import LazyArray
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference._results import Prediction
    from napari_unetpp.inference._stages import Bytes, LabelStore
    from napari_unetpp.tiling import Tile

_BACKGROUND = INSTANCE_CLASSES.index("background")
_INTERIOR = INSTANCE_CLASSES.index("interior")


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

    Notes
    -----
    Where an image was rescaled, labels are made on the grid on which the network has
    read it, and brought to the image's own by their nearest pixels.
    """
    read_on = prediction.read_on
    if read_on is None:
        return (yield from label_on_grid(prediction, model, run_id, folder, link=link))
    found = yield from label_on_grid(
        read_on.prediction, model, run_id, folder, link=link
    )
    grid, labels = read_on.grid, found.labels
    loops = tuple(labels.shape[: labels.ndim - len(grid.region)])
    chunks = (1,) * len(loops) + grid.edges
    with disk_errors(scratch_parent(folder)):
        kept = new_labels(loops + grid.shape, labels.dtype, chunks, folder)
        objects = found.n_objects is not None
        n_objects = yield from resize_labels(
            labels, grid, kept, run_id, objects=objects
        )
    return Segmentation(finished_labels(kept), prediction, n_objects)


def label_on_grid(
    prediction: Prediction,
    model: ModelConfig,
    run_id: str,
    folder: Path | None = None,
    *,
    link: bool = False,
) -> Generator[BlockDone, None, Segmentation]:
    """Make labels of a prediction, on the grid that its arrays have; see `label`."""
    blocks = blocks_for(model.network.spatial_dims)
    shape = prediction.shape
    loops = (1,) * (len(shape) - len(blocks.edges))
    chunks = loops + blocks.edges
    n_objects: int | None = None
    with disk_errors(scratch_parent(folder)):  # full while labels are written
        if model.task == "instances":
            labels, *grown = (
                new_labels(shape, np.uint32, chunks, folder) for _ in range(3)
            )
            arrays = PredictedArrays(prediction.mean, labels, (grown[0], grown[1]))
            work = BlockWork(arrays, model.instances, blocks)
            linked = link and "Z" in prediction.axes[: len(loops)]
            with Ledger.in_memory() as ledger:
                n_objects = yield from segment_instances(
                    arrays,
                    model.instances,
                    blocks,
                    LocalStages(ledger, work, run_id),
                    link_axis=prediction.axes.index("Z") if linked else None,
                )
        else:
            dtype = label_dtype(label_values(model))
            labels = new_labels(shape, dtype, chunks, folder)
            yield from _paint_classes(prediction, model, labels, run_id)
    return Segmentation(finished_labels(labels), prediction, n_objects)


@dataclass(frozen=True, slots=True)
class PredictedArrays:
    """What the stages need, over probabilities as a run in one go keeps them.

    Attributes
    ----------
    mean : LazyArray, (3, *loops, *spatial)
        Probabilities of background, interior and boundary.
    nodes : LabelStore, (*loops, *spatial)
        Zeros; in the end the labels, since nobody reads nodes when labels are written.
    grown : tuple of two LabelStore
        Zeros of the same shape.
    """

    mean: LazyArray
    nodes: LabelStore
    grown: tuple[LabelStore, LabelStore]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along the loop and spatial axes in pixels."""
        return self.nodes.shape

    def planes(self, index: tuple[int | slice, ...]) -> tuple[Bytes, Bytes]:
        """Return interior and foreground (uint8, in steps of 1/255) at `index`."""
        wanted = slice(0, max(_BACKGROUND, _INTERIOR) + 1)
        steps = np.rint(read(self.mean, (wanted, *index)) * STEPS).astype(np.uint8)
        return steps[_INTERIOR], STEPS - steps[_BACKGROUND]

    def write(self, tile: Tile, labels: npt.NDArray[np.uint32]) -> None:
        """Keep the final labels of the core of a block."""
        self.nodes[(*tile.loop, *slices(tile.core))] = labels


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
        elsewhere the label is 0, as it is where all probabilities are 0.

    Returns
    -------
    ndarray of unsigned int, (*S)
    """
    if len(probabilities) == 1:
        index = (probabilities[0] > 0.5).astype(np.intp)
    else:
        index = probabilities.argmax(axis=0)
    labels = from_class_index(index, label_values(model))
    # Where nothing was predicted, outside a mask, not even the first class is likely.
    return np.asarray(labels * (probabilities != 0).any(axis=0))


def label_values(model: ModelConfig) -> tuple[int, ...]:
    """Return the label value of each index, a single class being index 1."""
    values = model.class_values
    return values if len(values) > 1 else (0, *values)


def _paint_classes(
    prediction: Prediction, model: ModelConfig, labels: Any, run_id: str
) -> Generator[BlockDone, None, None]:
    """Write the class of every pixel, block by block."""
    grid = blocks_for(model.network.spatial_dims).grid(prediction.shape)
    start = time.monotonic()
    for n_done, tile in enumerate(grid, start=1):
        index = (*tile.loop, *slices(tile.core))
        found = read(prediction.mean, (slice(None), *index))
        labels[index] = class_labels(found, model)
        seconds = time.monotonic() - start
        yield BlockDone(run_id, "paint classes", n_done, len(grid), seconds)
