"""What a run tells while it goes on: frozen values, each with the id of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._types import Box
    from napari_unetpp.inference._results import Prediction, Segmentation
    from napari_unetpp.tiling import Tile

Result = TypeVar("Result")

PREDICT = "predict"
"""Stage in which tiles go through the network."""


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
    prediction : Prediction
        The result; tiles not yet done are 0.
    """

    run_id: str
    n_tiles: int
    core: tuple[int, ...]
    halo: tuple[int, ...]
    level: int
    device: str
    prediction: Prediction


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
        The part of the result that it fills, one interval for each axis.
    n_done, n_tiles : int
        Tiles done and in all.
    seconds : float
        Since the first tile was asked for.
    stage : str
        ``"predict"``.
    """

    run_id: str
    tile: Tile
    box: Box
    n_done: int
    n_tiles: int
    seconds: float
    stage: str = PREDICT


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
    result : Prediction or Segmentation
        The result, complete.
    """

    run_id: str
    result: Prediction | Segmentation


Event = RunStarted | TileDone | MemoryLow | BlockDone | Finished


def result_of(run: Generator[object, None, Result]) -> Result:
    """Return what a generator returns; nobody listens to its events."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
