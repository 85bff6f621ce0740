"""The labels of a job: the stages that make objects, done here or by workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._instances import BlockWork, segment_instances
from napari_unetpp.inference._session import (
    JobLabels,
    blocks_of,
    blocks_on_worker,
    write_state,
)
from napari_unetpp.inference._stages import LocalStages, pending, stage_name

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp.config import ModelConfig, PredictionConfig
    from napari_unetpp.inference._cluster import Crew
    from napari_unetpp.inference._stages import Stages
    from napari_unetpp.io import Ledger, ResultStore
    from napari_unetpp.tiling import TileGrid

PREDICTED = "predict"
"""Stage of the ledger in which the tiles are."""
_STEPS = 255
_MOST_A_TASK = 8
"""Blocks that a worker gets at once, at most."""


class CrewStages:
    """Stages whose pieces are done by the workers of a job.

    Parameters
    ----------
    ledger : Ledger
        Takes the marks and records.
    crew : Crew
        The workers.
    folder : Path
        Of the job, where the workers find the tables of a stage.
    run_id : str
        Stands in the events.
    """

    def __init__(self, ledger: Ledger, crew: Crew, folder: Path, run_id: str) -> None:
        self._ledger, self._crew = ledger, crew
        self._folder, self._run_id = folder, run_id

    def run(
        self,
        stage: str,
        indices: npt.NDArray[np.int64],
        state: Mapping[str, npt.NDArray[Any]],
    ) -> Generator[BlockDone, None, None]:
        """Do the pieces of a stage as workers are free; see `Stages`."""
        start, n = time.monotonic(), len(indices)
        left = pending(self._ledger, stage, indices)
        if not len(left):
            return
        write_state(self._folder, stage, state)
        n_done = n - len(left)
        items = ((stage, part) for part in portions(left, self._crew.size))
        for records in self._crew.map(blocks_on_worker, items):
            self._ledger.mark_many(stage, records)
            n_done += len(records)
            seconds = time.monotonic() - start
            yield BlockDone(self._run_id, stage_name(stage), n_done, n, seconds)

    def records(self, stage: str) -> Iterator[tuple[int, bytes]]:
        """Yield block and record of each piece of a stage, blocks rising."""
        return self._ledger.records(stage)


def portions(
    indices: npt.NDArray[np.int64], n_workers: int
) -> Iterator[tuple[int, ...]]:
    """Yield neighbours together, fewer and fewer, so that all workers end together."""
    start = 0
    while start < len(indices):
        left = len(indices) - start
        stop = start + min(max(left // (4 * n_workers), 1), _MOST_A_TASK)
        yield tuple(map(int, indices[start:stop]))
        start = stop


def label_job(
    store: ResultStore,
    ledger: Ledger,
    stages: Stages | None,
    grid: TileGrid,
    model: ModelConfig,
    settings: PredictionConfig,
    run_id: str,
) -> Generator[BlockDone, None, int]:
    """Make the objects of a job whose tiles are all predicted.

    Parameters
    ----------
    store, ledger : ResultStore, Ledger
        Of the job.
    stages : Stages, optional
        Who does the pieces; this thread by default.
    grid : TileGrid
        The tiles.
    model, settings : ModelConfig, PredictionConfig
        Of the job.
    run_id : str
        Stands in the events.

    Yields
    ------
    BlockDone
        After each piece.

    Returns
    -------
    int
        Number of objects.
    """
    arrays = JobLabels(store)
    blocks = blocks_of(store.layout)
    threshold = int(model.instances.foreground_threshold * _STEPS)
    found = np.zeros(len(grid), np.uint8)
    for index, record in ledger.records(PREDICTED):
        if record:  # without one the tile lies outside of the mask
            found[index] = record[0]
    empty = ~blocks_meeting(found > threshold, grid, blocks.grid(arrays.shape))
    axes = store.layout.axes[: len(grid.loop_shape)]
    link_axis = axes.index("Z") if settings.link and "Z" in axes else None
    if stages is None:
        work = BlockWork(arrays, model.instances, blocks)
        stages = LocalStages(ledger, work, run_id)
    n_objects = yield from segment_instances(
        arrays,
        model.instances,
        blocks,
        stages,
        empty=empty,
        link_axis=link_axis,
    )
    return n_objects


def blocks_meeting(
    marked: npt.NDArray[np.bool_], tiles: TileGrid, blocks: TileGrid
) -> npt.NDArray[np.bool_]:
    """Return which blocks share pixels with a tile that is marked.

    Parameters
    ----------
    marked : ndarray of bool, (n_tiles,)
        One for each tile.
    tiles, blocks : TileGrid
        Two ways to cut the same image.

    Returns
    -------
    ndarray of bool, (n_blocks,)
    """
    found = marked.reshape(tiles.n_planes, *tiles.n_blocks)
    for axis, (edge, core, n) in enumerate(
        zip(blocks.core, tiles.core, blocks.n_blocks, strict=True), start=1
    ):
        size = blocks.shape[axis - 1]
        spans = [
            range(at * edge // core, -(-min((at + 1) * edge, size) // core))
            for at in range(n)
        ]
        found = np.stack([found.take(span, axis).any(axis) for span in spans], axis)
    return found.ravel()
