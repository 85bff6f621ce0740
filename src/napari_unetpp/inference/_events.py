"""What a run tells while it goes on: frozen values, each with the id of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._types import Box
    from napari_unetpp.inference._object_size import ObjectSize
    from napari_unetpp.inference._results import (
        Prediction,
        SavedSegmentation,
        Segmentation,
    )
    from napari_unetpp.io._result_store import ResultStore
    from napari_unetpp.tiling import Tile

Result = TypeVar("Result")

PREDICT = "predict"
"""Stage in which tiles go through the network."""


@dataclass(frozen=True, slots=True)
class Rescaled:
    """A diameter was asked for; this is what follows from it.

    Attributes
    ----------
    run_id : str
        The run.
    size : ObjectSize
        Of the objects, as given or measured: `ObjectSize.text` says it in words.
    """

    run_id: str
    size: ObjectSize


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The plan stands; the arrays of `prediction` are there and fill from now on.

    Attributes
    ----------
    run_id : str
        Stands in every event of the run.
    n_tiles : int
        Tiles to predict.
    core, halo : tuple of int
        Edge of a tile's core and its context on each side, in pixels.
    level : int
        Deepest level computed.
    device : str
        Where.
    prediction : Prediction, optional
        The result; tiles not yet done are 0. ``None`` for a job, which has `store`.
    memory : int
        Bytes of main memory that the run takes at most, as planned.
    store : ResultStore, optional
        Where the results of a job grow, on the grid on which the network reads the
        image: another than the image's own if it is rescaled.
    n_done : int
        Tiles that an earlier run of the same job has done.
    streams : bool
        Whether rows flow through the network along strips, so that along the first axis
        none is computed twice.
    """

    run_id: str
    n_tiles: int
    core: tuple[int, ...]
    halo: tuple[int, ...]
    level: int
    device: str
    prediction: Prediction | None
    memory: int = 0
    store: ResultStore | None = None
    n_done: int = 0
    streams: bool = False


@dataclass(frozen=True, slots=True)
class TileDone:
    """A tile is in the result.

    Attributes
    ----------
    run_id : str
        The run.
    tile : Tile
        The tile, as it lies in the grid.
    box : Box
        The part of the prediction, or of the store, that it fills, one interval for
        each axis.
    n_done, n_tiles : int
        Tiles done and in all.
    seconds : float
        Since the first tile was asked for.
    stage : str
        ``"predict"``.
    record : bytes
        What later stages want to know of the tile, as the sink packed it.
    preview : bool
        Whether this is the quick answer of head 1, which does not count as done.
    skipped : bool
        Whether the network had nothing to do: no pixel of the mask lies in the core,
        or a tile of the same constant pixels has been predicted before.
    network_seconds : float
        Time that the network has taken in this run so far.
    network_pixels : int
        Pixels that have gone through the network in this run so far, halos and padding
        included.
    network_share : float
        Share of the network's products that were computed; below 1 in a run that stops
        early (`adaptive`).
    """

    run_id: str
    tile: Tile
    box: Box
    n_done: int
    n_tiles: int
    seconds: float
    stage: str = PREDICT
    record: bytes = b""
    preview: bool = False
    skipped: bool = False
    network_seconds: float = 0.0
    network_pixels: int = 0
    network_share: float = 1.0


@dataclass(frozen=True, slots=True)
class MemoryLow:
    """A tile did not fit into the device's memory; from now on tiles are cut smaller.

    Attributes
    ----------
    run_id : str
        The run.
    largest : tuple of int
        Edges in pixels of a tile, halo included, that is too large.
    """

    run_id: str
    largest: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BadPixels:
    """A piece of the image cannot be read and is taken as dark, as asked for.

    Attributes
    ----------
    run_id : str
        The run.
    box : Box
        The piece as it is stored, one interval for each loop and spatial axis of the
        image.
    reason : str
        Why it cannot be read.
    """

    run_id: str
    box: Box
    reason: str


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A block has gone through a step that makes labels of probabilities.

    Attributes
    ----------
    run_id : str
        The run.
    stage : str
        What is done: ``"find objects"``, ``"grow objects"``, ...
    n_done, n_tiles : int
        Blocks done and in all, of this stage.
    seconds : float
        Since this stage began.
    """

    run_id: str
    stage: str
    n_done: int
    n_tiles: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a run that was not stopped.

    Attributes
    ----------
    run_id : str
        The run.
    result : Prediction, Segmentation or SavedSegmentation
        The result, complete; of a job, where it lies.
    """

    run_id: str
    result: Prediction | Segmentation | SavedSegmentation


Event = Rescaled | RunStarted | TileDone | MemoryLow | BadPixels | BlockDone | Finished


def result_of(run: Generator[object, None, Result]) -> Result:
    """Return what a generator returns; nobody listens to its events."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
