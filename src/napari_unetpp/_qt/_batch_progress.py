"""How far a batch is: what runs tell, put into the table and into one bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unetpp._napari import (
    RowBegun,
    RowDone,
    RowFailed,
    RowNote,
    RowProgress,
)
from napari_unetpp._qt._run_bar import clock

if TYPE_CHECKING:
    from napari_unetpp._qt._batch_table import BatchRow, BatchTable
    from napari_unetpp._qt._run_bar import RunBar

_STEPS = 100
"""Steps of the bar for each image."""


class BatchProgress:
    """Puts what happens into the rows of a table, and sums it up.

    Parameters
    ----------
    table : BatchTable
        The images.
    """

    def __init__(self, table: BatchTable) -> None:
        self._table = table
        self._began = 0.0
        self._ended: set[int] = set()
        self._computed = 0
        self._current: int | None = None
        self._share = 0.0
        self.goes_on = False

    def start(self, now: float) -> None:
        """Begin: all images wait, what is known of those that are done stays."""
        self._began = now
        self._ended, self._computed = set(), 0
        self._current, self._share = None, 0.0
        self.goes_on = False
        rows = self._table.model_rows
        for index, row in enumerate(rows.rows):
            if row.state != "done":
                rows.put(index, row.waiting())

    def take(self, event: Any) -> None:
        """Put an event into its row."""
        row = self._table.row_at(event.index)
        if isinstance(event, RowBegun):
            self._current, self._share = event.index, 0.0
            self._put(event.index, row.begun(event.n_pixels))
            self._table.scroll_to_row(event.index)
        elif isinstance(event, RowProgress):
            self._share = event.progress.n_done / max(event.progress.n_all, 1)
            self._put(event.index, row.at(event.progress))
        elif isinstance(event, RowNote):
            self._put(event.index, row.noted(event.text))
        elif isinstance(event, (RowDone, RowFailed)):
            self._end(event, row)

    def show_in(self, bar: RunBar, now: float) -> None:
        """Show how far all images are together."""
        n_all, n_done = len(self._table.model_rows.rows), len(self._ended)
        bar.bar.setRange(0, n_all * _STEPS)
        bar.bar.setValue(round((n_done + min(self._share, 1.0)) * _STEPS))
        if bar.cancel.isEnabled():
            bar.say(f"Image {min(n_done + 1, n_all):,} of {n_all:,}{self._left(now)}")

    def stop(self) -> None:
        """Show that no run goes on: an image that was not finished is stopped."""
        rows = self._table.model_rows
        for index, row in enumerate(rows.rows):
            if row.state == "running":
                rows.put(index, row.stopped())
        states = {row.state for row in rows.rows}
        self.goes_on = "stopped" in states or {"done", "waiting"} <= states

    def summary(self, now: float) -> str:
        """Return how it ended, in words."""
        rows = self._table.model_rows.rows
        n_failed = sum(row.state == "failed" for row in rows)
        n_done = sum(row.state == "done" for row in rows)
        text = f"{n_done:,} of {len(rows):,} images are done"
        if n_done > self._computed:
            text += f", {n_done - self._computed:,} of them were so before"
        text += f" ({clock(now - self._began)})."
        if n_failed:
            text += (
                f" {n_failed:,} failed: select one to see why; Start tries these again."
            )
        return text

    def _end(self, event: RowDone | RowFailed, row: BatchRow) -> None:
        self._ended.add(event.index)
        self._current, self._share = None, 0.0
        if isinstance(event, RowFailed):
            self._put(event.index, row.failed(event.reason))
            return
        self._computed += not event.up_to_date
        self._put(event.index, row.ended(event))

    def _left(self, now: float) -> str:
        """Return how long all images still take, by what was done so far."""
        n_all, n_done = len(self._table.model_rows.rows), len(self._ended)
        so_far = self._computed + self._share
        if not self._computed or so_far <= 0:
            return ""
        each = (now - self._began) / so_far
        return f" · about {clock(each * (n_all - n_done - self._share))} left"

    def _put(self, index: int, row: BatchRow) -> None:
        self._table.model_rows.put(index, row)
