"""Feature maps of which only the rows are kept that someone still reads.

A row is everything that has one index along the first spatial axis: a line of an image,
a plane of a stack. Rows are counted from the region's first. Before row 0 and after the
last one lies a row of zeros, the padding that a convolution sees there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Rows:
    """The rows of some maps: written at the end, read in between, dropped in front.

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

    Attributes
    ----------
    stop : int
        Rows written so far.
    total : int, optional
        Rows of the region, once they are all written.
    most : int
        Rows that were kept at a time, at most.
    """

    def __init__(
        self,
        inner: tuple[int, ...],
        n_channels: int,
        dtype: torch.dtype,
        room: int,
    ) -> None:
        self.stop = 0
        self.total: int | None = None
        self.most = 1
        self._data = torch.empty((room, *inner, n_channels), dtype=dtype)
        self._data[0] = 0  # row -1
        self._first = -1  # row that stands at self._data[self._at]
        self._at = 0
        self._needed: list[int] = []  # first row that each reader still reads

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        return len(self._data) * self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Size of a row in memory."""
        return math.prod(self._data.shape[1:]) * self._data.element_size()

    def reader(self) -> int:
        """Return the number of a new reader, for whom rows are kept from now on."""
        self._needed.append(-1)
        return len(self._needed) - 1

    def release(self, reader: int, row: int) -> None:
        """Note that a reader reads nothing before `row` any more."""
        self._needed[reader] = row
        first = max(min(self._needed), self._first)
        first = min(first, self.stop)
        self._at += first - self._first
        self._first = first

    def extend(self, n: int) -> Tensor:
        """Return room for the next `n` rows, (n, *inner, C), to be written at once."""
        at = self._room(n)
        self.stop += n
        return self._data[at : at + n]

    def close(self) -> None:
        """Say that no more rows come."""
        at = self._room(1)
        self._data[at] = 0
        self.total = self.stop

    def view(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`, from -1 to one after the last."""
        shift = self._at - self._first
        return self._data[start + shift : stop + shift]

    def _room(self, n: int) -> int:
        """Return where the next `n` rows may be written."""
        kept = self.stop - self._first
        self.most = max(self.most, kept + n)
        if self._at + kept + n > len(self._data):
            self._move(kept, n)
        return self._at + kept

    def _move(self, kept: int, n: int) -> None:
        """Bring the rows that are kept to the front, of more memory if need be."""
        rows, data = self._data[self._at : self._at + kept], self._data
        if kept + n > len(data):
            data = data.new_empty((2 * (kept + n), *data.shape[1:]))
        elif self._at < kept:  # they would be written over while they are read
            rows = rows.clone()
        data[:kept] = rows
        self._data, self._at = data, 0


class CountedRows(Rows):
    """Rows that are counted and not kept."""

    def __init__(self) -> None:
        super().__init__((), 0, torch.float32, 1)
        self._nothing = torch.empty(0)

    def extend(self, n: int) -> Tensor:
        """Count rows that are written."""
        self.most = max(self.most, self.stop - self._first + n)
        self.stop += n
        return self._nothing

    def close(self) -> None:
        """Count the row of zeros after the last."""
        self.extend(1)
        self.stop -= 1
        self.total = self.stop

    def view(self, start: int, stop: int) -> Tensor:
        """Return no rows."""
        return self._nothing
