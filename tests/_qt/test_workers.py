"""Generators in threads: every end is told, and nothing stays behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import QObject, Slot

from napari_unetpp._qt._workers import Cancelled, Done, Failed, Sent, start_run
from napari_unetpp.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Generator


class Receiver(QObject):
    """Notes what it was sent, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.threads: set[threading.Thread] = set()

    @Slot(object)
    def receive(self, sent: Sent) -> None:
        self.sent.append(sent)
        self.threads.add(threading.current_thread())

    @property
    def ended(self) -> bool:
        return bool(self.sent) and isinstance(
            self.sent[-1].event, (Done, Failed, Cancelled)
        )


def test_events_come_in_order_in_the_gui_thread(qtbot: Any) -> None:
    receiver = Receiver()
    threads = set()

    def events() -> Generator[int, None, None]:
        threads.add(threading.current_thread())
        yield from range(5)

    start_run(None, events, 7, receiver.receive)
    qtbot.waitUntil(lambda: receiver.ended)
    assert [s.event for s in receiver.sent] == [0, 1, 2, 3, 4, Done()]
    assert {s.run for s in receiver.sent} == {7}
    assert receiver.threads == {threading.main_thread()}
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("out of memory"), "RuntimeError: out of memory"),
        (ValueError("no"), "ValueError: no"),
        (MemoryError(), "MemoryError: "),
        (ImageError("image.tif: no such file"), "image.tif: no such file"),
    ],
)
def test_any_error_is_told(qtbot: Any, error: Exception, message: str) -> None:
    receiver = Receiver()

    def events() -> Generator[int, None, None]:
        yield 1
        raise error

    start_run(None, events, 1, receiver.receive)
    qtbot.waitUntil(lambda: receiver.ended)
    assert [type(s.event) for s in receiver.sent] == [int, Failed]
    assert receiver.sent[-1].event.message == message


def test_error_before_the_first_event_is_told(qtbot: Any) -> None:
    receiver = Receiver()

    def broken() -> Generator[int, None, None]:
        raise ImportError("torch")

    start_run(None, broken, 1, receiver.receive)
    qtbot.waitUntil(lambda: receiver.ended)
    assert receiver.sent[-1].event.message == "ImportError: torch"


def test_quit_closes_the_generator_in_its_own_thread(qtbot: Any) -> None:
    receiver = Receiver()
    closed: list[threading.Thread] = []
    begun: list[threading.Thread] = []

    def events() -> Generator[int, None, None]:
        begun.append(threading.current_thread())
        try:
            for i in range(10_000):
                time.sleep(0.005)
                yield i
        finally:
            closed.append(threading.current_thread())

    worker = start_run(None, events, 1, receiver.receive)
    qtbot.waitUntil(lambda: len(receiver.sent) > 2)
    worker.quit()
    qtbot.waitUntil(lambda: receiver.ended)
    assert receiver.sent[-1].event == Cancelled()
    assert closed == begun


def test_error_after_quit_is_no_error(qtbot: Any, caplog: Any) -> None:
    receiver = Receiver()
    go_on = threading.Event()

    def events() -> Generator[int, None, None]:
        yield 1
        go_on.wait(20)
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    worker = start_run(None, events, 1, receiver.receive)
    qtbot.waitUntil(lambda: bool(receiver.sent))
    worker.quit()
    go_on.set()
    qtbot.waitUntil(lambda: receiver.ended)
    assert receiver.sent[-1].event == Cancelled()
    assert not caplog.records


_SCRIPT = """
import time
from qtpy.QtCore import QObject, Slot
from qtpy.QtWidgets import QApplication
from napari_unetpp._qt._workers import start_run

class Receiver(QObject):
    sent = False

    @Slot(object)
    def receive(self, sent):
        self.sent = True

def events():
    while True:
        yield
        time.sleep(0.5)

app = QApplication([])
receiver = Receiver()
start_run(None, events, 1, receiver.receive)
while not receiver.sent:
    app.processEvents()
"""


def test_process_ends_quietly_while_a_run_goes_on() -> None:
    """A script without an event loop, or IPython: Qt goes before the thread would."""
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
