"""A segmentation whose results grow in a folder, so that it can be gone on with.

::

    <stem>.job/                  beside the results; gone when they are complete
      job.json                   what is being made
      model.safetensors          with which model
      ledger.sqlite              which tiles and blocks are done
      ledger-2-of-8.sqlite       the same, of a part that was done on its own
      result.ome.zarr/           the results
      work.zarr/  state/         what is needed until the labels are made
      own/result.ome.zarr/       the results on the image's own grid, if it was rescaled

The same request goes on where the last one stopped, in whatever way; another request
for the same results is refused, and so is a second run at the same time.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import OutputBusyError, SettingsError
from napari_unetpp.inference._encode import JobSink
from napari_unetpp.inference._events import (
    BadPixels,
    BlockDone,
    Finished,
    Rescaled,
    RunStarted,
    TileDone,
)
from napari_unetpp.inference._fingerprint import fingerprint_parts
from napari_unetpp.inference._job_folder import (
    BAD,
    check_not_held,
    done_tiles,
    drop_job,
    end_job,
    find_job,
    job_state,
    make_job,
    part_ledger,
    part_of,
    parts_waiting,
    remove_job,
    whole_ledger,
)
from napari_unetpp.inference._job_labels import (
    PREDICTED,
    CrewStages,
    label_job,
    portions,
)
from napari_unetpp.inference._job_plan import plan_job
from napari_unetpp.inference._job_resize import resize_job, results_folder
from napari_unetpp.inference._own_grid import OwnGrid
from napari_unetpp.inference._request import as_read
from napari_unetpp.inference._results import SavedSegmentation
from napari_unetpp.inference._run import predict_tiles
from napari_unetpp.inference._session import predict_on_worker
from napari_unetpp.inference._size_measured import object_size
from napari_unetpp.io import ResultStore, publish
from napari_unetpp.tiling import stretches

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Rescaling
    from napari_unetpp.config import WorkersConfig
    from napari_unetpp.inference._cluster import Crew
    from napari_unetpp.inference._events import Event, MemoryLow
    from napari_unetpp.inference._job_file import JobFile
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._request import JobRequest
    from napari_unetpp.io import Ledger
    from napari_unetpp.tiling import Focus


def run_job(
    request: JobRequest,
    run_id: str,
    *,
    first: Box | Focus | None = None,
    preview: bool = False,
) -> Generator[Event, None, SavedSegmentation]:
    """Segment an image into files, or go on with it.

    Parameters
    ----------
    request : JobRequest
        What is asked for.
    run_id : str
        Stands in the events.
    first : Box or Focus, optional
        What is looked at: its tiles come first.
    preview : bool
        Whether they are predicted by head 1 before.

    Yields
    ------
    RunStarted, TileDone, MemoryLow, BadPixels, BlockDone
        While there is something to do.
    Finished
        At last, with the `SavedSegmentation` that is also returned.

    Raises
    ------
    InputError, DeviceError
        If the image, the model or the device does not fit.
    OutputError
        If results cannot be written; what is done stays, and the same request goes on.
    OutputExistsError, OutputBusyError, JobChangedError
        If there are other results, or another run.
    """
    result = _ready(request)
    if result is None:
        result = yield from _unfinished(request, run_id, first, preview)
    yield Finished(run_id, result)
    return result


def check_outputs_of(request: JobRequest) -> None:
    """Make sure, before any work, that the results of a request may be written.

    Raises
    ------
    OutputExistsError
        If other results are there already and may not be replaced.
    OutputError
        If the folder cannot be written to.
    """
    job_state(request, fingerprint_parts(request))


def _ready(request: JobRequest) -> SavedSegmentation | None:
    """Return the results if they are all there, made by the same request."""
    if job_state(request, fingerprint_parts(request)) != "done":
        return None
    if request.job_folder.exists():  # left behind by a run killed at its very end
        with suppress(OutputBusyError):
            drop_job(request.job_folder)
    found = as_read(request.image, request.model)
    return SavedSegmentation(
        request.paths, found.result_axes, found.result_shape, up_to_date=True
    )


def _unfinished(
    request: JobRequest, run_id: str, first: Box | Focus | None, preview: bool
) -> Generator[Event, None, SavedSegmentation]:
    """Begin a job, or go on with it."""
    parts = fingerprint_parts(request)
    file = find_job(request, parts)
    size = None if file is None else file.size
    if file is None and request.settings.diameter is not None:
        size = yield from object_size(
            request.image, request.model, request.settings, run_id
        )
    plan = plan_job(request, file, size, first, preview)
    try:
        if file is None:
            file = make_job(request, parts, plan, size)
            made = (plan.grid.core, plan.intensity, size)
            if (file.core, file.intensity, file.size) != made:
                plan.close()  # another process was the first, with tiles of its own
                plan = plan_job(request, file, file.size, first, preview)
        if file.size is not None:
            yield Rescaled(run_id, file.size)
        job = _Job(request, file, plan, run_id)
        if request.workers.shard is None:
            return (yield from job.whole())
        return (yield from job.part(request.workers.shard))
    finally:
        plan.close()


class _Job:
    """A job that stands in its folder."""

    def __init__(
        self, request: JobRequest, file: JobFile, plan: Plan, run_id: str
    ) -> None:
        self._request, self._file = request, file
        self._plan, self._run_id = plan, run_id
        self._folder = request.job_folder
        self._store = ResultStore.open(self._folder, file.result_layout)

    def whole(self) -> Generator[Event, None, SavedSegmentation]:
        """Do all that is left, and put the results where they belong."""
        workers, plan, store = self._request.workers, self._plan, self._store
        layout, n_objects = store.layout, None
        n_resumed = 0
        with whole_ledger(self._folder) as ledger, _crew(workers, self._folder) as crew:
            self._file.renewed(self._request).write(self._folder)
            done = ledger.done(PREDICTED, len(plan.grid))
            n_resumed = int(done.sum())
            yield from self._predict(ledger, ~done, crew)
            if layout.has_objects and "labels" in layout.kinds:
                stages = None
                if crew is not None:
                    stages = CrewStages(ledger, crew, self._folder, self._run_id)
                n_objects = yield from label_job(
                    store,
                    ledger,
                    stages,
                    plan.grid,
                    plan.model,
                    plan.settings,
                    self._run_id,
                )
            if plan.rescaling is not None:
                store, n_lost = yield from self._resized(plan.rescaling, ledger)
                n_objects = None if n_objects is None else n_objects - n_lost
                layout = store.layout
            yield from self._build_pyramid(store)
            bad = tuple(ledger.notes(BAD))
            publish(
                results_folder(self._folder),
                layout,
                self._request.paths,
                self._request.overwrite,
            )
            end_job(self._folder)
        remove_job(self._folder)
        return SavedSegmentation(
            outputs=self._request.paths,
            axes=layout.axes,
            shape=tuple(layout.shape),
            n_objects=n_objects,
            n_tiles=len(plan.grid),
            n_resumed=n_resumed,
            bad=bad,
            size=self._file.size,
        )

    def part(self, shard: tuple[int, int]) -> Generator[Event, None, SavedSegmentation]:
        """Do one part of the tiles; whoever does the last one makes the labels."""
        n_tiles = len(self._plan.grid)
        with part_ledger(self._folder, shard) as ledger:
            done = done_tiles(self._folder, n_tiles) | ledger.done(PREDICTED, n_tiles)
            mine = part_of(n_tiles, shard)
            if (mine & ~done).any():
                check_not_held(self._folder)
            yield from self._predict(ledger, mine & ~done, None, mine)
            bad = tuple(ledger.notes(BAD))
        waiting = parts_waiting(self._folder, n_tiles, shard[1])
        if not waiting:
            try:
                return (yield from self.whole())
            except OutputBusyError:
                waiting = ("the labels, which another part makes",)
        image = self._plan.whole
        return SavedSegmentation(
            outputs={},
            axes=image.result_axes,
            shape=image.result_shape,
            n_tiles=int(mine.sum()),
            n_resumed=int((mine & done).sum()),
            bad=bad,
            waiting=waiting,
            size=self._file.size,
        )

    def _predict(
        self,
        ledger: Ledger,
        pending: npt.NDArray[np.bool_],
        crew: Crew | None,
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> Generator[Event, None, None]:
        """Predict the tiles that are `pending`, of those `wanted`, and mark them."""
        n_tiles = len(pending) if wanted is None else int(wanted.sum())
        n_done = n_tiles - int(pending.sum())
        yield self._started(n_tiles, n_done)
        if n_done == n_tiles:
            return
        start = time.monotonic()
        with closing(self._predicted(pending, crew)) as events:
            for event in events:
                if isinstance(event, BadPixels):
                    ledger.note(BAD, f"{_text(event.box)}: {event.reason}")
                if not isinstance(event, TileDone):
                    yield replace(event, run_id=self._run_id)
                    continue
                if not event.preview:
                    ledger.mark(PREDICTED, event.tile.index, event.record)
                    n_done += 1
                yield replace(
                    event,
                    run_id=self._run_id,
                    n_done=n_done,
                    n_tiles=n_tiles,
                    seconds=time.monotonic() - start,
                )

    def _predicted(
        self, pending: npt.NDArray[np.bool_], crew: Crew | None
    ) -> Generator[TileDone | MemoryLow | BadPixels, None, None]:
        """Have tiles predicted, here or by workers."""
        tiles = np.flatnonzero(pending)
        if crew is None:
            plan = replace(self._plan, tiles=tiles.tolist())
            sink = JobSink(self._store, plan.model, plan.predictor.head_weights)
            yield from predict_tiles(plan, sink, self._run_id)
            return
        shared: Iterator[tuple[int, ...]] = portions(tiles, crew.size)
        if self._plan.streams:
            shared = stretches(self._plan.grid, tiles, crew.size)
        for events in crew.map(predict_on_worker, shared):
            yield from events

    def _started(self, n_tiles: int, n_done: int) -> RunStarted:
        plan = self._plan
        return RunStarted(
            self._run_id,
            n_tiles,
            plan.grid.core,
            plan.grid.halo,
            plan.predictor.level,
            str(plan.predictor.device),
            None,
            memory=plan.memory.total,
            store=self._store,
            n_done=n_done,
            streams=plan.streams,
        )

    def _resized(
        self, rescaling: Rescaling, ledger: Ledger
    ) -> Generator[BlockDone, None, tuple[ResultStore, int]]:
        """Bring the results to the image's own grid; return how many objects go."""
        grid, image = OwnGrid.of(rescaling), self._plan.whole
        return (
            yield from resize_job(
                self._folder, self._store, image, grid, ledger, self._run_id
            )
        )

    def _build_pyramid(self, store: ResultStore) -> Iterator[BlockDone]:
        """Make the sizes of the results that are too coarse for tiles."""
        start = time.monotonic()
        for n_done, n in store.finish_pyramid():
            seconds = time.monotonic() - start
            yield BlockDone(self._run_id, "build pyramid", n_done, n, seconds)


@contextmanager
def _crew(workers: WorkersConfig, folder: Path) -> Iterator[Crew | None]:
    """Yield the workers that are asked for, ``None`` if this process does the work."""
    if workers.workers == 1 and workers.scheduler is None:
        yield None
        return
    try:
        from napari_unetpp.inference._cluster import crew
    except ImportError as error:
        raise SettingsError(
            f"workers={workers.workers}, scheduler={workers.scheduler}: more than one"
            " process needs dask.distributed; install it with"
            " 'pip install napari-unetpp[distributed]'"
        ) from error
    with crew(workers, folder) as found:
        yield found


def _text(box: Box) -> str:
    """Return a box as a person writes it."""
    return ", ".join(f"{start}:{stop}" for start, stop in box)
