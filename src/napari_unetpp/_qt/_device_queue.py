"""One job at a time on each device, for all panels of all viewers.

Two jobs that share a graphics card run out of its memory, and two that share a
processor take longer than one after the other. A job that has to wait says for what.
"""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QThreadPool
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

_NAME = "napari-unetpp device queue"
_LOOK_SECONDS = 0.2
"""Time between two looks of a job that waits; cancelling it takes no longer."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job waits for its device.

    Attributes
    ----------
    device : str
        The device, "cpu" or "cuda:0".
    what : str
        The job that has it, in words.
    """

    device: str
    what: str

    @property
    def text(self) -> str:
        """What a panel shows."""
        return f"Waiting for {self.device}: {self.what} is running"


class Turn:
    """The place of one job in the queue of one device; all methods are thread-safe.

    Parameters
    ----------
    queue : DeviceQueue
        Where it waits.
    device, what : str
        The device, and the job in words.
    """

    def __init__(self, queue: DeviceQueue, device: str, what: str) -> None:
        self._queue, self.device, self.what = queue, device, what

    def take(self) -> Waiting | None:
        """Queue up, if not done yet; return for what to wait, ``None`` if it is time.

        Called again and again until it returns ``None``; the device is held then.
        """
        first = self._queue.queue_up(self)
        return None if first is self else Waiting(self.device, first.what)

    def free(self) -> None:
        """Leave the device, or the queue, to the next."""
        self._queue.leave(self)

    def wait(self) -> Generator[Waiting, None, None]:
        """Yield again and again while another job has the device."""
        while (waiting := self.take()) is not None:
            yield waiting
            self._queue.rest(_LOOK_SECONDS)


class DeviceQueue(QObject):  # type: ignore[misc]
    """Which jobs want which device, in the order in which they asked.

    Parameters
    ----------
    parent : QObject
        With which it goes: the application.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.setObjectName(_NAME)
        self._changed = threading.Condition()
        self._turns: dict[str, list[Turn]] = {}

    def queue_up(self, turn: Turn) -> Turn:
        """Put a job at the end, if it is not in; return the one that has the device."""
        with self._changed:
            turns = self._turns.setdefault(turn.device, [])
            if turn not in turns:
                turns.append(turn)
            return turns[0]

    def leave(self, turn: Turn) -> None:
        """Take a job out, wherever it stands."""
        with self._changed:
            turns = self._turns.get(turn.device, [])
            if turn in turns:
                turns.remove(turn)
            self._changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Wait until a job has left, but not for longer."""
        with self._changed:
            self._changed.wait(seconds)

    @contextmanager
    def turn(self, device: str, what: str) -> Iterator[Turn]:
        """Give a place in the queue of a device, free again at the end.

        A job that is at work for minutes, or waits, does not count among the threads of
        Qt's pool: else two of them would keep a machine of two cores from looking into
        a model, or drawing.

        Parameters
        ----------
        device : str
            As torch names it, with its number.
        what : str
            The job in words: "the training of 'cells'".
        """
        turn, pool = Turn(self, device, what), QThreadPool.globalInstance()
        pool.releaseThread()
        try:
            yield turn
        finally:
            turn.free()
            pool.reserveThread()


def in_turn(
    queue: DeviceQueue,
    device: str,
    what: str,
    make_events: Callable[[], Generator[Any, None, Any]],
) -> Generator[Any, None, None]:
    """Yield the events of a job, and before them `Waiting` until its device is free.

    Parameters
    ----------
    queue : DeviceQueue
        Where it waits.
    device : str
        As in the settings; "auto" too.
    what : str
        The job in words.
    make_events : callable
        Begins the job.

    Raises
    ------
    DeviceError
        If there is no such device.
    """
    from napari_unetpp.inference import resolve_device

    with queue.turn(str(resolve_device(device)), what) as turn:
        yield from turn.wait()
        with closing(make_events()) as events:
            yield from events


def device_queue() -> DeviceQueue:
    """Return the queue of this application; call it in the GUI thread."""
    app = QApplication.instance()
    found = app.findChild(QObject, _NAME)
    return found if isinstance(found, DeviceQueue) else DeviceQueue(app)
