r"""Which blocks of an image go on to a level, and what of each node they depend on.

The pixels of a node that a block depends on reach beyond it, on both sides alike::

    level 0   ........[ block ]........
    X[0,4]            [       ]            what is wanted
    X[1,3]          [           ]          what the nodes between read
    X[3,1]       [                 ]

How far is followed through the network, axis by axis, as for the receptive field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.nn._receptive_field import coarse_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn._graph import Place

    Blocks = npt.NDArray[np.bool_]
    Interval = tuple[int, int]

_PANEL = 6
"""Blocks that are taken together along all inner axes but the first."""

_WHOLE = 0.65
"""Share of the pixels from which on all are computed: packing them costs as much."""


def needs(config: NetworkConfig, edges: tuple[int, ...]) -> dict[Place, Box]:
    """Return which pixels of a node a block depends on that goes on to its level.

    Parameters
    ----------
    config : NetworkConfig
        UNet++.
    edges : tuple of int
        Of a block, in pixels.

    Returns
    -------
    dict
        By the node X[i, j], for each axis: first and last pixel of its map that are
        read for the heads i + j and deeper, counted from the block's first pixel there.
    """
    depth = config.depth
    hulls: dict[Place, list[Interval]] = {}
    for head in range(1, depth + 1):
        axes = [
            _read_by(head, edge, [s[axis] for s in config.level_strides], config)
            for axis, edge in enumerate(edges)
        ]
        for place in axes[0]:
            if sum(place) > head:
                continue
            found = [axis[place] for axis in axes]
            known = hulls.get(place, found)
            hulls[place] = [
                (min(a[0], b[0]), max(a[1], b[1]))
                for a, b in zip(known, found, strict=True)
            ]
    return {place: tuple(hull) for place, hull in hulls.items()}


def _read_by(
    head: int, edge: int, strides: Sequence[int], config: NetworkConfig
) -> dict[Place, Interval]:
    """Return what of each node a block reads along an axis for one head."""
    found: dict[Place, Interval] = {(0, head): (0, edge - 1)}

    def read(place: Place, low: int, high: int) -> None:
        known = found.get(place, (low, high))
        found[place] = (min(low, known[0]), max(high, known[1]))

    for depth in range(head, -1, -1):
        for j in range(depth, -1, -1):
            i = depth - j
            if (i, j) not in found:
                continue
            low, high = found[i, j][0] - 2, found[i, j][1] + 2  # two convolutions
            if j:
                for q in range(j):
                    read((i, q), low, high)
                below = coarse_interval((low, high), strides[i], config.upsampling)
                read((i + 1, j - 1), *below)
            elif i:
                step = strides[i - 1]
                read((i - 1, 0), low * step, high * step + step - 1)
    return found


class Activity:
    """Which blocks go on to a level, known from the first row of blocks on.

    Parameters
    ----------
    shape : tuple of int
        Blocks along all axes but the first.

    Attributes
    ----------
    n_known : int
        Rows of blocks that are decided.
    complete : bool
        Whether no more rows come.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n_known = 0
        self.complete = False
        self._rows: Blocks = np.zeros((0, *shape), bool)
        self._first = 0
        self._found: dict[tuple[int, int], Blocks] = {}
        self._runs: dict[tuple[int, int], list[Interval]] = {}

    def add(self, rows: Blocks) -> None:
        """Add rows of blocks, (n, *shape)."""
        self._rows = np.concatenate([self._rows, rows])
        self.n_known += len(rows)

    def rows(self, start: int, stop: int) -> Blocks:
        """Return some rows of blocks; those beyond the image are left out."""
        low, high = max(start, 0), min(stop, self.n_known)
        return self._rows[max(low - self._first, 0) : max(high - self._first, 0)]

    def drop(self, row: int) -> None:
        """Forget the rows of blocks before `row`."""
        if row > self._first:
            self._rows = self._rows[row - self._first :]
            self._first = row
            self._found.clear()
            self._runs.clear()

    def in_any(self, start: int, stop: int) -> Blocks:
        """Return (*shape) which blocks go on in any of some rows of blocks."""
        found = self._found.get((start, stop))
        if found is None:
            found = np.asarray(self.rows(start, stop).any(axis=0))
            self._found[start, stop] = found
        return found

    def runs(self, start: int, stop: int) -> list[Interval]:
        """Return the runs of blocks that `in_any` finds along the one inner axis."""
        runs = self._runs.get((start, stop))
        if runs is None:
            runs = self._runs[start, stop] = runs_of(self.in_any(start, stop))
        return runs


def runs_of(mask: Blocks) -> list[Interval]:
    """Return first and end of each run of true values, (n,)."""
    padded = np.zeros(len(mask) + 2, bool)
    padded[1:-1] = mask
    changes = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    return list(zip(changes[::2], changes[1::2], strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """What of the map of a step must be computed.

    Attributes
    ----------
    activity : Activity
        The blocks on which it depends.
    edges : tuple of int
        Edges of a block in pixels of this map.
    need : Box
        For each axis the first and last pixel that a block depends on, from its first.
    inner : tuple of int
        Size of the map along all axes but the first.
    unit : int
        Boxes begin and end on multiples of it, along their first axis.
    """

    activity: Activity
    edges: tuple[int, ...]
    need: Box
    inner: tuple[int, ...]
    unit: int = 1

    def known(self) -> int | None:
        """Return the first row of which it is not known what must be computed.

        ``None``: all is known.
        """
        if self.activity.complete:
            return None
        return max(0, self.activity.n_known * self.edges[0] + self.need[0][0])

    def boxes(self, start: int, stop: int) -> list[Box] | None:
        """Return what to compute of some rows; ``None`` if that is nearly everything.

        Boxes have an interval for each axis but the first. They do not meet, and along
        all axes but their first one they have the same edges and may end beyond the
        map.
        """
        edge, (low, high) = self.edges[0], self.need[0]
        rows = (start - high) // edge, (stop - 1 - low) // edge + 1
        if len(self.inner) == 1:
            boxes: list[Box] = [
                (run,) for run in self._spans(self.activity.runs(*rows))
            ]
        else:
            boxes = [
                (run, *panel)
                for panel, mask in self._panels(self.activity.in_any(*rows))
                for run in self._spans(runs_of(mask))
            ]
        work = sum(math.prod(b - a + 2 for a, b in box) for box in boxes)
        return None if work > _WHOLE * math.prod(self.inner) else boxes

    def _panels(self, active: Blocks) -> list[tuple[Box, Blocks]]:
        """Cut all axes but the first into intervals of one length.

        With each come the blocks along the first axis on which it depends.
        """
        others = range(1, active.ndim)
        steps = [_PANEL * self.edges[axis + 1] for axis in others]
        starts = [
            range(0, self.inner[axis], step)
            for axis, step in zip(others, steps, strict=True)
        ]
        panels = []
        for corner in product(*starts):
            panel = tuple((a, a + n) for a, n in zip(corner, steps, strict=True))
            seen = tuple(
                self._blocks(axis, *interval)
                for axis, interval in zip(others, panel, strict=True)
            )
            mask = active[(slice(None), *seen)]
            panels.append((panel, np.asarray(mask.any(axis=tuple(others)))))
        return panels

    def _blocks(self, axis: int, start: int, stop: int) -> slice:
        """Return the blocks along an inner axis that depend on some pixels."""
        edge, (low, high) = self.edges[axis + 1], self.need[axis + 1]
        return slice(max(0, (start - high) // edge), (stop - 1 - low) // edge + 1)

    def _spans(self, blocks: list[Interval]) -> list[Interval]:
        """Return the pixels that runs of blocks along the first inner axis need."""
        edge, (low, high), size = self.edges[1], self.need[1], self.inner[0]
        runs: list[Interval] = []
        for first, end in blocks:
            start = max(0, (first * edge + low) // self.unit * self.unit)
            stop = min(size, round_up((end - 1) * edge + high + 1, self.unit))
            if runs and start <= runs[-1][1] + 2:
                runs[-1] = (runs[-1][0], stop)
            else:
                runs.append((start, stop))
        return runs


def round_up(n: int, multiple: int) -> int:
    """Return the smallest multiple that is at least `n`."""
    return -(-n // multiple) * multiple
