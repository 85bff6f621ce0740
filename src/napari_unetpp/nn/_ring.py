"""Rows of maps in a ring, for those of which many are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_unetpp.nn._rows import Rows

if TYPE_CHECKING:
    from torch import Tensor


class RingRows(Rows):
    """Many rows of some maps, which are never moved.

    They lie in a ring: row r at place r modulo its length. The first places of the ring
    are there a second time behind its end, so that a few rows lie behind each other
    wherever they begin::

        place   0 1 2 3 4 5 6 7 | 0 1 2
        row     8 9 2 3 4 5 6 7 | 8 9 2

    Parameters
    ----------
    inner : tuple of int
        Sizes of the other spatial axes.
    n_channels : int
        Number of maps.
    dtype : torch.dtype
        Of the maps.
    room : int
        Rows to make room for; more is made where it is needed.
    together : int
        Rows that are written and read together, as a rule.
    """

    def __init__(
        self,
        inner: tuple[int, ...],
        n_channels: int,
        dtype: torch.dtype,
        room: int,
        together: int,
    ) -> None:
        self._length, self._again = room, together + 2
        self._written: tuple[int, Tensor] | None = None  # first row, and where it is
        super().__init__(inner, n_channels, dtype, room + self._again)
        self._copy(-1, self._data.new_zeros((1, *self._data.shape[1:])))

    def release(self, reader: int, row: int) -> None:
        """Note that a reader reads nothing before `row` any more."""
        self._needed[reader] = row
        first = max(min(self._needed), self._first)
        self._first = min(first, self.stop)

    def extend(self, n: int) -> Tensor:
        """Return room for the next `n` rows, (n, *inner, C), to be written at once."""
        self._settle()
        self._make_room(n)
        at = self.stop % self._length
        if at + n <= len(self._data):
            target = self._data[at : at + n]
        else:
            target = self._data.new_empty((n, *self._data.shape[1:]))
        self._written = (self.stop, target)
        self.stop += n
        return target

    def close(self) -> None:
        """Say that no more rows come."""
        self.extend(1).zero_()
        self._settle()
        self.stop -= 1
        self.total = self.stop

    def view(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`, from -1 to one after the last."""
        self._settle()
        at = start % self._length
        if at + stop - start <= len(self._data):
            return self._data[at : at + stop - start]
        places = torch.arange(start, stop) % self._length
        return self._data[places]

    def _settle(self) -> None:
        """Bring rows that were written to all their places."""
        if self._written is not None:
            row, found = self._written
            self._written = None
            at = row % self._length
            inside = at >= self._again and at + len(found) <= self._length
            if not inside:
                self._copy(row, found)

    def _copy(self, row: int, found: Tensor) -> None:
        """Write rows to the ring, and to where its first places are again."""
        done, n = 0, len(found)
        while done < n:
            at = (row + done) % self._length
            some = min(n - done, self._length - at)
            rows = found[done : done + some]
            self._put(at, rows)
            if at < self._again:
                self._put(self._length + at, rows[: self._again - at])
            done += some

    def _put(self, at: int, rows: Tensor) -> None:
        place = self._data[at : at + len(rows)]
        if place.data_ptr() != rows.data_ptr():
            place.copy_(rows)

    def _make_room(self, n: int) -> None:
        """Make the ring longer if `n` more rows do not go into it."""
        kept = self.stop - self._first + (self.total is not None)
        self.most = max(self.most, kept + n)
        if kept + n <= self._length:
            return
        rows = self.view(self._first, self.stop).clone()
        self._length = 2 * (kept + n)
        shape = (self._length + self._again, *self._data.shape[1:])
        self._data = self._data.new_empty(shape)
        self._copy(self._first, rows)


_FEW = 4


def rows_taken(room: int, together: int) -> int:
    """Return the length in memory of rows of which `room` are kept."""
    extra = together + 2 if room > _FEW * together else room // 4
    return room + extra


def make_rows(
    inner: tuple[int, ...],
    n_channels: int,
    dtype: torch.dtype,
    room: int,
    together: int,
) -> Rows:
    """Return rows of the kind that suits how many are kept; see `RingRows`.

    A few rows are brought to the front now and then: they are in the cache anyway.
    """
    if room > _FEW * together:
        return RingRows(inner, n_channels, dtype, room, together)
    return Rows(inner, n_channels, dtype, rows_taken(room, together))
