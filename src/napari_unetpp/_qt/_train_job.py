"""One training: its turn on the device, and the wishes of its user."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari import Told, train_source

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._napari import TrainRequest
    from napari_unetpp._qt._device_queue import DeviceQueue, Turn, Waiting


class TrainJob:
    """A training that waits for its device, and leaves it while it is paused.

    Made in the GUI thread, once torch was imported elsewhere; `events` is for another
    thread, all else for any.

    Parameters
    ----------
    request : TrainRequest
        What.
    queue : DeviceQueue
        Where it waits.
    """

    def __init__(self, request: TrainRequest, queue: DeviceQueue) -> None:
        from napari_unetpp.inference import ViewFocus
        from napari_unetpp.training import TrainingControl

        self.request = request
        self.control = TrainingControl()
        self.focus = ViewFocus()
        self._queue = queue
        self._wanted = threading.Event()
        self._wanted.set()

    @property
    def paused(self) -> bool:
        """Whether the user wants it to rest."""
        return not self._wanted.is_set()

    def pause(self) -> None:
        """Rest after the step under way, and leave the device to others."""
        self._wanted.clear()
        self.control.pause()

    def go_on(self) -> None:
        """Go on as soon as the device is free."""
        self._wanted.set()

    def stop(self) -> None:
        """End after the step under way, with the best model so far."""
        self.control.stop()

    def events(self) -> Generator[Told | Waiting, None, None]:
        """Wait for the device, train, and yield what happens."""
        from napari_unetpp.inference import resolve_device

        device = str(resolve_device(self.request.device))
        what = f"the training of {self.request.output.stem!r}"
        with self._queue.turn(device, what) as turn:
            yield from turn.wait()
            with closing(train_source(self.request, self.control, self.focus)) as told:
                for one in told:
                    yield self._rest(one, turn) if one.kind == "Paused" else one

    def _rest(self, paused: Told, turn: Turn) -> Any:
        """Leave the device, or take it again; return what there is to tell."""
        if self.paused:
            turn.free()
            return paused
        waiting = turn.take()
        if waiting is not None:
            return waiting
        self.control.go_on()
        return Told("GoingOn", None)
