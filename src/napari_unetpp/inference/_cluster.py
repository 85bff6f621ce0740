"""Work shared out by dask: to processes of this machine, or of a cluster.

Tasks are names and numbers; pixels go straight from the image to the store. Each worker
opens the job once. Few tasks are in flight, so that a run of a million tiles needs no
graph and stops soon. What a lost worker had in hand, dask gives to another.
"""

from __future__ import annotations

import os
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import dask
from distributed import Client, Future, LocalCluster, as_completed, get_worker
from distributed.comm import CommClosedError
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker

from napari_unetpp.errors import DeviceError
from napari_unetpp.inference._session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from distributed import Worker

    from napari_unetpp.config import WorkersConfig

Item = TypeVar("Item")
Result = TypeVar("Result")

_IN_FLIGHT = 2
"""Tasks for each worker: one in hand, one waiting."""
_CONNECTING = 15
"""Seconds in which a scheduler must answer."""
_PATIENCE = 600
"""Seconds in which a worker of a cluster must turn up."""
_GPU = "GPU"


class Crew:
    """The workers of one job.

    Parameters
    ----------
    client : Client
        Connected to a scheduler that has workers.
    name : str
        Under which the workers know the job.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name
        known = client.scheduler_info()["workers"].values()
        has_gpu = any(worker.get("resources", {}).get(_GPU) for worker in known)
        self._resources = {_GPU: 1} if has_gpu else None

    @property
    def size(self) -> int:
        """Number of workers now."""
        return max(len(self._client.nthreads()), 1)

    def map(
        self, task: Callable[[Session, Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Yield what a task gives for each item, in the order in which it comes.

        Parameters
        ----------
        task : callable
            A function of a module, run on a worker with its session.
        items : iterable
            Small values; the next is taken when a worker is free.

        Raises
        ------
        DeviceError
            If workers die again and again of the same item.
        """
        waiting = iter(items)
        running = as_completed(loop=self._client.loop)
        try:
            self._fill(running, task, waiting)
            for future in running:
                result = _result(future)
                self._fill(running, task, waiting)
                yield result
        finally:
            with suppress(OSError):  # the scheduler may be gone
                self._client.cancel(list(running.futures), force=True)

    def _fill(
        self, running: Any, task: Callable[[Session, Item], Any], items: Iterator[Item]
    ) -> None:
        """Have as many tasks in flight as suits the workers that there are now."""
        missing = max(_IN_FLIGHT * self.size - running.count(), 1)
        for item in islice(items, missing):
            future = self._client.submit(
                _do, self._name, task, item, pure=False, resources=self._resources
            )
            running.add(future)


@contextmanager
def crew(config: WorkersConfig, folder: Path) -> Iterator[Crew]:
    """Yield the workers that a job was given; they are let go of at the end.

    Parameters
    ----------
    config : WorkersConfig
        A number of processes of this machine, or the address of a scheduler.
    folder : Path
        Of the job; all workers must see it, and the image, under the same path.

    Raises
    ------
    DeviceError
        If there is no such scheduler, or it has no workers.
    """
    name = f"napari-unetpp-{uuid4().hex}"
    if config.scheduler is None:
        threads = max((os.cpu_count() or 1) // config.workers, 1)
        with (
            dask.config.set({"distributed.worker.daemon": True}),
            LocalCluster(
                n_workers=config.workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                memory_limit=None,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            client.register_plugin(_JobPlugin(folder, name, threads))
            yield Crew(client, name)
        return
    with _connected(config.scheduler) as client:
        client.register_plugin(_JobPlugin(folder, name, None))
        try:
            yield Crew(client, name)
        finally:
            with suppress(OSError):  # the scheduler may be gone
                client.unregister_worker_plugin(name)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Yield a client of a scheduler that has workers."""
    try:
        client = Client(address, timeout=_CONNECTING, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise DeviceError(
            f"{address}: no dask scheduler answers there ({error}); start one with"
            " 'dask scheduler', or correct the address (tcp://host:port)"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise DeviceError(
                f"{address}: the scheduler has had no worker for {_PATIENCE} seconds;"
                f" start some with 'dask worker {address} --nthreads 1'"
            ) from error
        yield client


class _JobPlugin(WorkerPlugin):  # type: ignore[misc]
    """Opens a job on each worker, when its first task comes."""

    def __init__(self, folder: Path, name: str, threads: int | None) -> None:
        self.name = name
        self._folder, self._threads = folder, threads
        self._place: int | None = None
        self._session: Session | None = None

    def setup(self, worker: Worker) -> None:
        """Note which of the workers this is."""
        self._place = worker.name if isinstance(worker.name, int) else None

    def teardown(self, worker: Worker) -> None:
        """Close the job."""
        if self._session is not None:
            self._session.close()

    @property
    def session(self) -> Session:
        """The job, open."""
        if self._session is None:
            self._session = Session.open(self._folder, self._threads, self._place)
        return self._session


def _do(name: str, task: Callable[[Session, Item], Result], item: Item) -> Result:
    """Do a task on the worker that this is."""
    plugin: _JobPlugin = get_worker().plugins[name]
    return task(plugin.session, item)


def _result(future: Future) -> Any:
    try:
        return future.result()
    except KilledWorker as error:
        raise DeviceError(
            f"workers died again and again ({error}); they may have too little memory:"
            " begin with a smaller --memory, or with fewer workers"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise DeviceError(
            f"the dask scheduler is gone ({error}); what is done is kept: start"
            " another, and give the same command"
        ) from error
