"""Where the answer of a level is good enough, so that no deeper one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.nn._activity import Activity

SURROUNDINGS = 4
"""Pixels around a block that level 1 must have settled too: an object's rim is near."""


class Kept:
    """Rows of an array (K, n, *inner), of which the first are forgotten in time.

    Parameters
    ----------
    n_channels : int
        K.
    inner : tuple of int
        Sizes of all axes after the rows.
    dtype : torch.dtype
        Of the array.

    Attributes
    ----------
    stop : int
        Rows that have come so far.
    """

    def __init__(
        self, n_channels: int, inner: tuple[int, ...], dtype: torch.dtype
    ) -> None:
        self.stop = 0
        self._first = 0  # row that stands at self._data[:, self._at]
        self._at = 0
        self._data = torch.empty((n_channels, 0, *inner), dtype=dtype)

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        return self._data.nbytes

    def extend(self, n: int) -> Tensor:
        """Return room for the next `n` rows, (K, n, *inner), to be written at once."""
        kept = self.stop - self._first
        if self._at + kept + n > self._data.shape[1]:
            self._move(kept, n)
        at = self._at + kept
        self.stop += n
        return self._data[:, at : at + n]

    def rows(self, start: int, stop: int) -> Tensor:
        """Return the rows from `start` to `stop`."""
        shift = self._at - self._first
        return self._data[:, start + shift : stop + shift]

    def drop(self, row: int) -> None:
        """Forget the rows before `row`."""
        row = min(max(row, self._first), self.stop)
        self._at += row - self._first
        self._first = row

    def _move(self, kept: int, n: int) -> None:
        """Bring the rows that are kept to the front, of more memory if need be."""
        rows, data = self._data[:, self._at : self._at + kept], self._data
        if 2 * kept + n > data.shape[1]:  # so that it is not done all the time
            shape = (data.shape[0], 2 * kept + 2 * n, *data.shape[2:])
            data = torch.empty(shape, dtype=data.dtype)
        elif self._at < kept:
            rows = rows.clone()
        data[:, :kept] = rows
        self._data, self._at = data, 0


class Gate:
    """Decides which blocks go on from a level to the next one.

    A block stays if all its pixels are settled. After level 1 a pixel is settled if its
    likeliest class, and that of the pixels around, has at least 1 - tolerance; after a
    deeper level, if no probability has changed by more than the tolerance from the
    level above. With a tolerance of 0 nothing is settled.

    Parameters
    ----------
    tolerance : float
        As above.
    edges : tuple of int
        Of a block, in pixels.
    before : Activity, optional
        Which blocks have come to this level; all by default.
    activity : Activity
        Which go on: it is filled here.
    inner : tuple of int
        Size of the region along all axes but the first, in pixels.
    """

    def __init__(
        self,
        tolerance: float,
        edges: tuple[int, ...],
        before: Activity | None,
        activity: Activity,
        inner: tuple[int, ...],
    ) -> None:
        self._tolerance, self._edges = tolerance, edges
        self._before, self.activity = before, activity
        self._around = SURROUNDINGS if before is None else 0
        self._open = Kept(1, inner, torch.bool)  # pixels that are not settled

    def look(self, found: Tensor, above: Tensor | None) -> None:
        """Take in the next rows of a level, and of the one above it.

        Parameters
        ----------
        found, above : Tensor
            Probabilities (K, n, *inner).
        """
        open_ = self._open.extend(found.shape[1])[0]
        if self._tolerance == 0:
            open_.fill_(True)
        elif above is None:
            torch.gt(1 - _likeliest(found), self._tolerance, out=open_)
        else:
            change = (found - above).abs_().amax(dim=0)
            torch.gt(change, self._tolerance, out=open_)

    def decide(self, *, complete: bool) -> None:
        """Decide on the rows of blocks of which enough is known.

        Parameters
        ----------
        complete : bool
            Whether no more rows come.
        """
        edge, start = self._edges[0], self.activity.n_known
        stop = -(-self._open.stop // edge)
        if not complete:
            stop = max(start, (self._open.stop - self._around) // edge)
        if self._before is not None:
            stop = min(stop, self._before.n_known)
        if stop > start:
            self.activity.add(self._blocks(start, stop).numpy())
            self._open.drop(stop * edge - self._around)
        done = self._before is None or self._before.complete
        all_rows = stop * edge >= self._open.stop
        self.activity.complete = complete and done and all_rows

    def _blocks(self, start: int, stop: int) -> Tensor:
        """Return which blocks of some rows of blocks go on, (n, *blocks)."""
        edge, total = self._edges[0], self._open.stop
        first, end = start * edge, min(stop * edge, total)
        low, high = max(0, first - self._around), min(total, end + self._around)
        found = self._open.rows(low, high)[0]
        if self._around:
            found = _spread(found, self._around)[first - low : end - low]
        for axis, each in enumerate(self._edges):
            found = _in_blocks(found, axis, each)
        if self._before is not None:
            found &= torch.from_numpy(self._before.rows(start, stop))
        return found


def _spread(found: Tensor, n: int) -> Tensor:
    """Return what is true or has something true within `n` pixels along every axis."""
    for axis in range(found.ndim):
        size, done = found.shape[axis], 0
        while done < min(n, size - 1):
            step = min(max(done, 1), n - done, size - 1)
            wider = found.clone()
            ahead = wider.narrow(axis, 0, size - step)
            behind = wider.narrow(axis, step, size - step)
            ahead.logical_or_(found.narrow(axis, step, size - step))
            behind.logical_or_(found.narrow(axis, 0, size - step))
            found, done = wider, done + step
    return found


def _in_blocks(found: Tensor, axis: int, edge: int) -> Tensor:
    """Return whether anything is true in each block along an axis."""
    size = found.shape[axis]
    if size % edge:
        shape = list(found.shape)
        shape[axis] = -size % edge
        found = torch.cat([found, found.new_zeros(shape)], dim=axis)
    shape = list(found.shape)
    shape[axis : axis + 1] = [-1, edge]
    return found.reshape(shape).any(dim=axis + 1)


def _likeliest(found: Tensor) -> Tensor:
    """Return the probability (*S) of the likeliest class, from (K, *S)."""
    if len(found) == 1:
        return torch.maximum(found[0], 1 - found[0])
    return found.amax(dim=0)
