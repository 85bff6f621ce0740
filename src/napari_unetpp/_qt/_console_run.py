"""A long verb in napari's console: in another thread, its progress in the viewer."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from napari import current_viewer
from napari.utils import progress
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, Slot

from napari_unetpp._qt._device_queue import Waiting, device_queue, in_turn
from napari_unetpp._qt._workers import Cancelled, Done, Failed, Sent, start_run
from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_STEPS = 100
"""Of the bar in napari's list of activities."""
_LEAST_SECONDS = 0.1
"""Between two events that the viewer is told of."""


def in_background(
    events: Generator[Any, None, Any],
    then: Callable[[Any], object] | None = None,
    *,
    device: str = "auto",
) -> BackgroundRun:
    """Let a verb work in another thread, while the viewer stays usable.

    To be called in napari's console, or in a script with a viewer. Progress is shown
    among napari's activities, and by the run itself when it is printed. One run at a
    time works on a device, of the panels too; others wait for it.

    Parameters
    ----------
    events : generator
        Of `segmenting`, `segmenting_to` or `training`.
    then : callable, optional
        Called with the result in the viewer's thread, where layers may be touched.
    device : str
        Which device the verb was told to use, so that it waits for that one.

    Returns
    -------
    BackgroundRun
        At work: `result` once it is `done`; `stop` ends it.

    Raises
    ------
    SettingsError
        If there is no viewer.

    Examples
    --------
    In napari's console:

    >>> run = napari_unetpp.in_background(  # doctest: +SKIP
    ...     napari_unetpp.segmenting(viewer.layers["cells"]),
    ...     then=lambda found: viewer.add_labels(found.labels, scale=found.scale),
    ... )
    """
    viewer = current_viewer()
    if viewer is None:
        raise SettingsError(
            "in_background: there is no viewer; start napari first, or loop over the"
            " events"
        )
    run = BackgroundRun(events, then)
    run.start(viewer, device)
    return run


class BackgroundRun(QObject):  # type: ignore[misc]
    """A verb at work in another thread.

    Attributes
    ----------
    done : bool
        Whether it has come to an end, of whatever kind.
    state : str
        What it is doing, or how it ended, in words.
    """

    def __init__(
        self,
        events: Generator[Any, None, Any],
        then: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__()
        self.done = False
        self.state = "begins"
        self._events, self._then = events, then
        self._name = getattr(events, "__name__", "run")
        self._result: Any = None
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"BackgroundRun({self._name}: {self.state})"

    def start(self, viewer: Any, device: str) -> None:
        """Begin, as soon as the device is free; called once, by `in_background`."""
        self._bar = progress(total=_STEPS, desc=self._name)
        queue, what = device_queue(), f"{self._name} in the console"
        self._worker = start_run(
            viewer, lambda: in_turn(queue, device, what, self._work), 0, self._receive
        )

    def stop(self) -> None:
        """End it at the next tile or step; what files hold by then is kept."""
        self._worker.quit()

    @property
    def result(self) -> Any:
        """What the verb returns.

        Raises
        ------
        SettingsError
            If it is not done, or was stopped.
        Exception
            The error that ended it, if one did.
        """
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise SettingsError(
                f"{self._name} has no result: {self.state}; wait until it is done, or"
                " give what is to be done with it as then="
            )
        return self._result

    def _work(self) -> Generator[Any, None, None]:
        """Yield events in the other thread, and keep what they lead to.

        Tiles that are skipped come by the thousand in a second, more than the viewer
        can listen to: of those that come quickly after another, none is told.
        """
        not_before = 0.0
        with closing(self._events) as events:
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    self._result = end.value
                    return
                now = time.monotonic()
                if now >= not_before:
                    not_before = now + _LEAST_SECONDS
                    yield event

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Show how far it is; called in the viewer's thread."""
        event = sent.event
        if isinstance(event, Done | Failed | Cancelled):
            self._end(event)
            return
        share, words = told(event)
        self.state = words or self.state
        if words:
            self._bar.set_description(f"{self._name}: {words}")
        if share is not None:
            self._bar.update(round(share * _STEPS) - self._bar.n)

    def _end(self, event: Done | Failed | Cancelled) -> None:
        self._bar.close()
        self.done = True
        if isinstance(event, Failed):
            self._error, self.state = event.error, f"failed: {event.message}"
            show_error(event.message)
        elif isinstance(event, Cancelled):
            self._result, self.state = None, "stopped"
        else:
            self.state = f"done: {self._result!r}"
            show_info(f"{self._name} is done")
            if self._then is not None:
                self._then(self._result)


def told(event: Any) -> tuple[float | None, str]:
    """Return how far a run is (0...1), and what it is doing, as an event tells it.

    Either is missing (``None``, or nothing) where the event does not say.
    """
    if isinstance(event, Waiting):
        return None, event.text
    if getattr(event, "n_tiles", 0) and hasattr(event, "stage"):
        share = event.n_done / event.n_tiles
        return share, f"{event.stage}, {event.n_done} of {event.n_tiles}"
    if hasattr(event, "loss") and hasattr(event, "step"):
        words = f"step {event.step}, epoch {event.epoch}, loss {event.loss:.3g}"
        return event.progress, words
    return getattr(event, "progress", None), getattr(event, "text", "")
