"""Results of a job that was read at another size, brought to the image's own grid.

They grow on the grid on which the network reads the image, and are brought back block
by block once they are complete: each block reads the former and writes its own part of
a second store, so it can be stopped, and done again. Probabilities are interpolated
linearly, labels are those of the nearest pixel.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._own_grid import RESIZE, new_numbers
from napari_unetpp.inference._stages import counted, pack, pending, unpack
from napari_unetpp.io import ResultStore
from napari_unetpp.io._result_store import RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.arrays import Canonical
    from napari_unetpp.config import OutputKind
    from napari_unetpp.inference._own_grid import OwnGrid
    from napari_unetpp.io import Ledger, ResultLayout
    from napari_unetpp.tiling import Tile

OWN = "own"
"""Folder within that of a job that holds the results on the image's own grid."""

_SURVEY = "look for small objects"
_STEPS = 255


def results_folder(job_folder: Path) -> Path:
    """Return the folder whose results are made public at the end of a job."""
    own = job_folder / OWN
    return own if own.exists() else job_folder


def resize_job(
    job_folder: Path,
    store: ResultStore,
    image: Canonical,
    grid: OwnGrid,
    ledger: Ledger,
    run_id: str,
) -> Generator[BlockDone, None, tuple[ResultStore, int]]:
    """Bring the complete results of a job to the image's own grid.

    Parameters
    ----------
    job_folder : Path
        Of the job.
    store : ResultStore
        Its results, on the grid of the network.
    image : Canonical
        The image, on its own grid.
    grid : OwnGrid
        The way back.
    ledger : Ledger
        Of the job: blocks that it has are not done again.
    run_id : str
        Stands in the events.

    Yields
    ------
    BlockDone
        After each block.

    Returns
    -------
    tuple of (ResultStore, int)
        The results on the image's own grid, and how many objects are lost because no
        pixel of it lies on them.
    """
    folder, layout = job_folder / OWN, _own_layout(store.layout, image, grid)
    exists = (folder / RESULT).exists()
    own = (ResultStore.open if exists else ResultStore.create)(folder, layout)
    work = _Work(store, own, grid)
    table: npt.NDArray[np.uint32] | None = None
    if layout.makes_objects and grid.loses:
        yield from _stage(_SURVEY, work, ledger, run_id, work.survey)
        records = ledger.records(_SURVEY)
        table = new_numbers(unpack(record)["ids"] for _, record in records)
    yield from _stage(RESIZE, work, ledger, run_id, lambda block: work.do(block, table))
    n_lost = 0
    if table is not None:
        n_lost = len(table) - 1 - int(table.max(initial=0))
    return own, n_lost


def _stage(
    stage: str,
    work: _Work,
    ledger: Ledger,
    run_id: str,
    do: Callable[[Tile], bytes],
) -> Iterator[BlockDone]:
    """Do what is left of a stage, and mark it."""
    start, n = time.monotonic(), len(work.blocks)
    left = pending(ledger, stage, np.arange(n))
    for n_done, index in enumerate(left, start=n - len(left) + 1):
        ledger.mark(stage, int(index), do(work.blocks[int(index)]))
        yield BlockDone(run_id, stage, n_done, n, time.monotonic() - start)


class _Work:
    """What is done at each block."""

    def __init__(self, store: ResultStore, own: ResultStore, grid: OwnGrid) -> None:
        self._store, self._own, self._grid = store, own, grid
        n_loops = len(own.layout.loop_axes)
        self.blocks = grid.blocks(own.layout.shape[:n_loops])

    def survey(self, block: Tile) -> bytes:
        """Note which objects are there on the image's own grid."""
        return pack(ids=counted(self._labels(block))[0])

    def do(self, block: Tile, table: npt.NDArray[np.uint32] | None) -> bytes:
        """Write all results of a block; `table` has the new number of each object."""
        values: dict[str, npt.NDArray[Any]] = {}
        for kind in self._own.layout.kinds:
            if kind != "labels":
                values[kind] = self._coded(self._probabilities(kind, block))
                continue
            labels = self._labels(block)
            values[kind] = labels if table is None else table[labels]
        self._own.write_tile(block, values)
        return b""

    def _labels(self, block: Tile) -> npt.NDArray[Any]:
        source = self._store.levels("labels")[0]
        return self._grid.nearest(source, block.loop, block.core)

    def _probabilities(self, kind: OutputKind, block: Tile) -> FloatArray:
        """Return (*leading, *core)."""
        leading = tuple(map(len, self._store.layout.leading(kind)))
        parts = [
            self._grid.linear(
                self._store.levels(kind, index)[0], block.loop, block.core
            )
            for index in product(*map(range, leading))
        ]
        found: FloatArray = np.stack(parts).reshape(leading + parts[0].shape)
        return found

    def _coded(self, values: FloatArray) -> npt.NDArray[Any]:
        """Return 0...1 as it is stored."""
        if self._own.layout.probability == "uint8":
            return np.rint(values * _STEPS).astype(np.uint8)
        return values.astype(np.float16)


def _own_layout(layout: ResultLayout, image: Canonical, grid: OwnGrid) -> ResultLayout:
    """Return the layout of the same results on the image's own grid."""
    return replace(
        layout,
        shape=image.result_shape,
        scale=image.result_scale,
        translate=image.result_translate,
        core=grid.edges,
        block=grid.edges,
    )
