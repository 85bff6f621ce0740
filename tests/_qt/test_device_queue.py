"""One job at a time on each device, in the order in which they asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtCore import QThreadPool

from napari_unetpp._qt._device_queue import DeviceQueue, Waiting, device_queue, in_turn

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def queue(qapp: Any) -> Generator[DeviceQueue, None, None]:
    """A queue of its own."""
    made = DeviceQueue(qapp)
    yield made
    made.setParent(None)
    made.deleteLater()


def test_all_panels_of_an_application_share_one_queue(qapp: Any) -> None:
    assert device_queue() is device_queue()


def test_jobs_have_a_device_one_after_the_other(queue: DeviceQueue) -> None:
    with queue.turn("cpu", "the first") as first:
        assert first.take() is None
        with queue.turn("cpu", "the second") as second:
            assert second.take() == Waiting("cpu", "the first")
            with queue.turn("cpu", "the third") as third:
                assert third.take() == Waiting("cpu", "the first")
                first.free()
                assert third.take() == Waiting("cpu", "the second")
                assert second.take() is None
        with queue.turn("cpu", "the fourth") as fourth:
            assert fourth.take() is None


def test_devices_do_not_wait_for_each_other(queue: DeviceQueue) -> None:
    with queue.turn("cpu", "one") as one, queue.turn("cuda:0", "other") as other:
        assert one.take() is None
        assert other.take() is None


def test_who_left_queues_up_anew(queue: DeviceQueue) -> None:
    with queue.turn("cpu", "paused") as paused, queue.turn("cpu", "next") as following:
        assert paused.take() is None
        paused.free()
        assert following.take() is None
        assert paused.take() == Waiting("cpu", "next")
        following.free()
        assert paused.take() is None


def test_a_job_waits_and_can_be_cancelled_while_it_does(queue: DeviceQueue) -> None:
    begun = []

    def events() -> Generator[int, None, None]:
        begun.append(True)
        yield 1

    with queue.turn("cpu", "the first") as first:
        first.take()
        waiting = in_turn(queue, "auto", "the second", events)
        said = next(waiting)
        assert said.text == "Waiting for cpu: the first is running"
        waiting.close()
        cancelled = in_turn(queue, "cpu", "the third", events)
        next(cancelled)
        first.free()
        assert list(cancelled) == [1]
    assert begun == [True]


def test_jobs_take_no_thread_from_the_pool(queue: DeviceQueue) -> None:
    pool = QThreadPool.globalInstance()
    before = pool.activeThreadCount()
    with queue.turn("cpu", "a"), queue.turn("cpu", "b"):
        assert pool.activeThreadCount() == before - 2
    assert pool.activeThreadCount() == before
