"""A job as one process holds it: the image, the model and the stores, open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from napari_unetpp.errors import OutputError
from napari_unetpp.inference._device import resolve_device
from napari_unetpp.inference._encode import JobSink
from napari_unetpp.inference._instances import BlockWork
from napari_unetpp.inference._job_file import JobFile
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._request import aligned_mask, rescaling_of
from napari_unetpp.inference._run import predict_tiles
from napari_unetpp.inference._stages import BLOCKS, blocks_for
from napari_unetpp.io import ResultStore, as_image, load_model_file
from napari_unetpp.io._disk import beside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp.config import ModelConfig, PredictionConfig
    from napari_unetpp.inference._events import BadPixels, MemoryLow, TileDone
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._stages import Blocks
    from napari_unetpp.io import ResultLayout
    from napari_unetpp.tiling import Tile

MODEL = "model.safetensors"
_STATE = "state"


class JobLabels:
    """The arrays of a job from which objects are made, and where they go.

    Parameters
    ----------
    store : ResultStore
        The stores of the job.
    """

    def __init__(self, store: ResultStore) -> None:
        self._store = store
        self.shape = tuple(store.layout.shape)
        self.nodes = store.nodes
        self.grown = store.grown

    def planes(
        self, index: tuple[Any, ...]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return interior and foreground in steps of 1/255."""
        return self._store.interior[index], self._store.foreground[index]

    def write(self, tile: Tile, labels: npt.NDArray[np.uint32]) -> None:
        """Write the final labels of a block."""
        self._store.write_labels(tile, labels)


class Session:
    """A job, opened by a process that helps with it."""

    def __init__(self, folder: Path, plan: Plan, store: ResultStore) -> None:
        self._folder, self._plan, self._store = folder, plan, store
        self._stage = ""
        self._state: Mapping[str, npt.NDArray[Any]] = {}

    @classmethod
    def open(cls, folder: Path, threads: int | None, place: int | None) -> Self:
        """Open the job in `folder`.

        Parameters
        ----------
        folder : Path
            Of the job.
        threads : int, optional
            Threads that the network may use; as torch has them by default.
        place : int, optional
            Number of this worker: workers take GPUs in turn.

        Raises
        ------
        OutputError
            If the job is not where this process looks for it.
        """
        if not folder.is_dir():
            raise OutputError(
                f"{folder} is not there for a worker; all workers must see the results"
                " and the image under the same paths: use a shared folder"
            )
        if threads is not None:
            torch.set_num_threads(threads)
        file = JobFile.read(folder)
        settings = file.settings.model_copy(
            update={"device": _device_of(file.settings.device, place)}
        )
        model = load_model_file(folder / MODEL)
        image = as_image(file.image, file.axes, file.channel)
        plan = make_plan(
            image,
            model,
            settings,
            mask=aligned_mask(file.mask, image, model),
            intensity=file.intensity,
            core=file.core,
            rescaling=rescaling_of(file.size, image, model),
        )
        return cls(folder, plan, ResultStore.open(folder, file.result_layout))

    def predict(self, tiles: Sequence[int]) -> list[TileDone | MemoryLow | BadPixels]:
        """Predict some tiles and write them; return what happened."""
        plan = self._plan
        sink = JobSink(self._store, plan.model, plan.predictor.head_weights)
        return list(predict_tiles(replace(plan, tiles=tiles), sink, ""))

    def blocks(self, stage: str, indices: Sequence[int]) -> list[tuple[int, bytes]]:
        """Do some blocks of a stage; return what each leaves in the ledger."""
        if stage != self._stage:
            self._stage, self._state = stage, read_state(self._folder, stage)
        blocks = blocks_of(self._store.layout)
        work = BlockWork(JobLabels(self._store), self._plan.model.instances, blocks)
        return [(index, work(stage, index, self._state)) for index in indices]

    def close(self) -> None:
        """Free the device."""
        self._plan.close()


def job_blocks(model: ModelConfig, settings: PredictionConfig) -> Blocks:
    """Return the blocks of a new job: a window of them may take half of its memory."""
    memory = None if settings.memory is None else settings.memory // 2
    return blocks_for(model.network.spatial_dims, memory)


def blocks_of(layout: ResultLayout) -> Blocks:
    """Return the blocks that a job has kept to since it began."""
    choice = BLOCKS[len(layout.block)]
    return next(blocks for blocks in choice if blocks.edges == tuple(layout.block))


def predict_on_worker(
    session: Session, tiles: Sequence[int]
) -> list[TileDone | MemoryLow | BadPixels]:
    """Predict some tiles."""
    return session.predict(tiles)


def blocks_on_worker(
    session: Session, item: tuple[str, Sequence[int]]
) -> list[tuple[int, bytes]]:
    """Do some blocks of a stage."""
    return session.blocks(*item)


def write_state(
    folder: Path, stage: str, state: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Keep the tables that a stage needs where workers find them."""
    with beside(folder / _STATE / f"{stage}.npz") as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **state)


def read_state(folder: Path, stage: str) -> dict[str, npt.NDArray[Any]]:
    """Return the tables that a stage needs."""
    with np.load(folder / _STATE / f"{stage}.npz", allow_pickle=False) as found:
        return dict(found)


def _device_of(wanted: str, place: int | None) -> str:
    """Return the device of worker number `place`: GPUs are taken in turn."""
    if place is None or wanted not in ("auto", "cuda"):
        return wanted
    if resolve_device(wanted).type != "cuda":
        return wanted
    return f"cuda:{place % torch.cuda.device_count()}"
