"""Batches that are made in another thread while the network learns from others."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_unetpp._types import FloatArray, TargetArray

    Batch = tuple[FloatArray, TargetArray]

_AHEAD = 3


class BatchesAhead:
    """Makes make(first), make(first + 1), ... in a thread, some ahead of their use.

    Call `restart` first, and `close` at the end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="unetpp-patches")
        self._waiting: deque[Future[Batch]] = deque()
        self._make: Callable[[int], Batch] | None = None
        self._next = 0

    def restart(self, make: Callable[[int], Batch], first: int) -> None:
        """Forget what is under way and go on with make(first)."""
        self._forget()
        self._make, self._next = make, first

    def take(self) -> Batch:
        """Return the next batch; an error of its making is raised here."""
        if self._make is None:
            raise RuntimeError("nothing makes batches yet: call restart first")
        while len(self._waiting) < _AHEAD:
            self._waiting.append(self._pool.submit(self._make, self._next))
            self._next += 1
        return self._waiting.popleft().result()

    def close(self) -> None:
        """End the thread, after the batch it is at."""
        self._forget()
        self._pool.shutdown(cancel_futures=True)

    def _forget(self) -> None:
        for batch in self._waiting:
            batch.cancel()
        self._waiting.clear()
