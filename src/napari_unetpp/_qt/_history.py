"""What happened in a training so far, as numbers."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp.training import EpochDone

    Numbers = npt.NDArray[np.float64]

MOST_POINTS = 400
"""Points of a drawn curve; a panel is not wider than that."""
SMOOTH = 0.1
"""Share of the newest step in the running mean of the loss."""


class History:
    """Steps and epochs of a training.

    Parameters
    ----------
    n_heads : int
        Heads of the network.

    Attributes
    ----------
    epochs : list of (int, EpochDone)
        Steps done at the end of an epoch, and what it told.
    """

    def __init__(self, n_heads: int = 0) -> None:
        self.n_heads = n_heads
        self.epochs: list[tuple[int, EpochDone]] = []
        self._steps = array("d")
        self._losses = array("d")
        self._seconds = array("d")
        self._means = array("d")  # running mean of the loss
        self._mean, self._weight = 0.0, 0.0

    @property
    def n_steps(self) -> int:
        """Steps that were told of."""
        return len(self._steps)

    def add_step(self, step: int, loss: float, seconds: float) -> None:
        """Take a step; the running mean leaves out a loss that is not a number."""
        if math.isfinite(loss):
            self._mean += SMOOTH * (loss - self._mean)
            self._weight += SMOOTH * (1 - self._weight)
        self._steps.append(step)
        self._losses.append(loss)
        self._seconds.append(seconds)
        self._means.append(self._mean / self._weight if self._weight else math.nan)

    def add_epoch(self, event: EpochDone) -> None:
        """Take the end of an epoch."""
        self.n_heads = max(self.n_heads, len(event.validation))
        step = int(self._steps[-1]) if self._steps else 0
        self.epochs.append((step, event))

    @property
    def best(self) -> tuple[int, EpochDone] | None:
        """The epoch whose model is kept, and the steps done by then."""
        return next((found for found in reversed(self.epochs) if found[1].best), None)

    def loss(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return steps, their loss and its running mean, thinned to what can be drawn.

        A point of the loss is the mean of the steps that it stands for.
        """
        n = -(-self.n_steps // MOST_POINTS)
        if n == 0:
            return (np.zeros(0),) * 3
        starts = np.arange(0, self.n_steps, n)
        counts = np.diff([*starts, self.n_steps])
        at, loss, mean = (
            np.add.reduceat(np.array(values), starts) / counts
            for values in (self._steps, self._losses, self._means)
        )
        return at, loss, mean

    def validation(self, head: int | None) -> tuple[Numbers, Numbers]:
        """Return steps and IoU of a head (from 0), of the mean of all for ``None``."""
        found = [
            (step, event.accurate if head is None else event.validation[head])
            for step, event in self.epochs
            if event.accurate is not None and len(event.validation) > (head or 0)
        ]
        table = np.array(found, float).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each step and each epoch, in the order in which they were.

        Columns that a row has nothing for are ``None``.
        """
        heads = [f"iou_head_{head + 1}" for head in range(self.n_heads)]
        names = ["step", "epoch", "seconds", "loss", "mean_loss_of_epoch"]
        empty = dict.fromkeys([*names, *heads, "iou_all_heads", "best"])
        rows: list[tuple[int, dict[str, Any]]] = []
        told: dict[str, Any]
        numbers = zip(self._steps, self._losses, self._seconds, strict=True)
        for at, loss, seconds in numbers:
            told = {"step": int(at), "loss": loss, "seconds": seconds}
            rows.append((int(at), empty | told))
        for step, event in self.epochs:
            scores = dict(zip(heads, event.validation, strict=False))
            told = {
                "step": step,
                "epoch": event.epoch,
                "seconds": event.seconds_total,
                "mean_loss_of_epoch": event.loss,
                "iou_all_heads": event.accurate,
                "best": event.best,
            }
            rows.append((step, empty | told | scores))
        return [row for _, row in sorted(rows, key=lambda found: found[0])]
