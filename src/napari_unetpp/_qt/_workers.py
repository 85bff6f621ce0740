"""Generators of events, run in another thread, for panels.

Why not a bare ``thread_worker``: it swallows any ``RuntimeError`` (out of memory is
one), and after ``quit()`` it drops its generator without closing it, so that threads
and memory of the core stay behind. `EventWorker` does neither.
"""

from __future__ import annotations

import atexit
import logging
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari import current_viewer
from napari.qt.threading import GeneratorWorker, create_worker

from napari_unetpp.errors import UnetppError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.viewer import Viewer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The last event of a run that came to its end."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a run that an error ended."""

    error: Exception

    @property
    def message(self) -> str:
        """What the panel shows: our own messages as they are, others with their type.

        Our own errors name value, rule and cure; what a library raises often makes
        sense only with the name of its class.
        """
        if isinstance(self.error, UnetppError):
            return str(self.error)
        return f"{type(self.error).__name__}: {self.error}"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The last event of a run that the user stopped."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An event on its way to a panel.

    Attributes
    ----------
    run : int
        Number of the run; a panel drops what is not of its present run, as events of
        an earlier one may still wait in the GUI thread's queue.
    event : object
        What the generator yielded; at last `Done`, `Failed` or `Cancelled`.
    """

    run: int
    event: Any


def _no_events() -> Generator[None, None, None]:
    yield from ()


class EventWorker(GeneratorWorker):  # type: ignore[misc]
    """Runs a generator of events in a thread of Qt's pool.

    `yielded` carries `Sent` events. ``quit()`` (Cancel, or napari when the viewer
    closes) takes effect at the next event; then the generator is closed in its own
    thread. No error leaves the thread: the last event is `Failed` then.
    """

    def __init__(
        self, make_events: Callable[[], Generator[Any, None, Any]], run: int
    ) -> None:
        super().__init__(_no_events)
        self._make_events = make_events
        self._run = run

    def work(self) -> None:
        """Send all events and how it ended; called by Qt in the other thread."""
        end = self._work()
        if isinstance(end, Cancelled):
            self.aborted.emit()
        self._send(end)

    def _work(self) -> Done | Cancelled | Failed:
        try:
            with closing(self._make_events()) as events:
                for event in events:
                    if self.abort_requested:
                        return Cancelled()
                    self._send(event)
        except Exception as error:  # noqa: BLE001 - the one place that catches all
            if self.abort_requested:  # Python may be ending: nothing can run then
                return Cancelled()
            if not isinstance(error, UnetppError):
                _log.error("a background run failed", exc_info=error)
            return Failed(error)
        return Done()

    def _send(self, event: Any) -> None:
        self.yielded.emit(Sent(self._run, event))


@atexit.register
def _end_workers() -> None:
    """Wait for runs before Qt goes: a thread that outlives it aborts the process.

    napari waits when its event loop ends; a script or IPython may have no such loop.
    """
    if EventWorker._worker_set:
        EventWorker.await_workers()


def start_run(
    viewer: Viewer,
    make_events: Callable[[], Generator[Any, None, Any]],
    run: int,
    receive: Callable[[Sent], None],
) -> EventWorker:
    """Start a generator in another thread.

    Parameters
    ----------
    viewer : Viewer
        Viewer of the panel.
    make_events : callable
        Called in the other thread, so imports may be slow; returns the generator.
    run : int
        Number of the run.
    receive : callable
        Bound method of a Qt widget; called in the GUI thread with each `Sent`.

    Returns
    -------
    EventWorker
        Running; ``quit()`` stops it.
    """
    if current_viewer() == viewer:
        # napari asks the user before it closes this viewer, and then stops the worker.
        worker: EventWorker = create_worker(
            make_events, run, _worker_class=EventWorker, _start_thread=False
        )
    else:  # napari would stop the worker when it closes another viewer
        worker = EventWorker(make_events, run)
    worker.yielded.connect(receive)
    worker.start()
    return worker
