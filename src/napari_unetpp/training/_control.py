"""What another thread says to a training that runs: pause, stop, new labels."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp._types import LabelArray


class TrainingControl:
    """Wishes for a training that runs in another thread.

    The training looks at them between two steps, so that each takes effect within two.
    Every method may be called from any thread, at any time and repeatedly.

    Examples
    --------
    >>> control = TrainingControl()
    >>> control.pause()
    >>> control.paused
    True
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._paused = False
        self._stopping = False
        self._labels: tuple[LabelArray, ...] | None = None

    @property
    def paused(self) -> bool:
        """Whether training shall rest."""
        with self._changed:
            return self._paused

    @property
    def stopping(self) -> bool:
        """Whether training shall end with the best model so far."""
        with self._changed:
            return self._stopping

    def pause(self) -> None:
        """Let training rest after the step under way, until `go_on`.

        While it rests it computes nothing, so that others may use its device; whoever
        lets it go on sees first that the device is free again.
        """
        with self._changed:
            self._paused = True
            self._changed.notify_all()

    def go_on(self) -> None:
        """Let a training that rests go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def stop(self) -> None:
        """Let training end after the step under way and keep the best model."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def put_labels(self, labels: Sequence[LabelArray]) -> None:
        """Hand over new labels, which are learnt from the next epoch on.

        Parameters
        ----------
        labels : sequence of ndarray of int
            One for each image, all of them, in the order and of the shapes they had at
            the start. They are not copied and must not change any more.
        """
        with self._changed:
            self._labels = tuple(labels)
            self._changed.notify_all()

    def take_labels(self) -> Sequence[LabelArray] | None:
        """Return the newest labels that nobody has taken yet, ``None`` without any."""
        with self._changed:
            taken, self._labels = self._labels, None
            return taken

    def rest(self, seconds: float) -> bool:
        """Wait while training is paused, `seconds` at most; return whether it still is.

        A wish to go on or to stop ends the wait at once.
        """
        with self._changed:
            self._changed.wait_for(self._is_awake, seconds)
            return not self._is_awake()

    def _is_awake(self) -> bool:
        return self._stopping or not self._paused
