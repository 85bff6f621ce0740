"""Rows flow through a network: nothing is computed twice, and there is no halo.

Rows of an image (planes of a stack) are pushed in, and each step computes as many of
its rows as what it reads allows: a convolution lags one row behind, pooling halves,
up-sampling doubles. Rows that all readers have passed are dropped. So the result is
that of one forward pass over the whole region, at the memory of some rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

import torch

from napari_unetpp.errors import InputError
from napari_unetpp.nn._fused import NetworkOutline
from napari_unetpp.nn._heads import HeadStep
from napari_unetpp.nn._receptive_field import receptive_field
from napari_unetpp.nn._ring import make_rows, rows_taken
from napari_unetpp.nn._rows import CountedRows
from napari_unetpp.nn._stage import CACHED, Stage, block_rows, level_sizes
from napari_unetpp.nn._steps import (
    Convolve,
    Interpolate,
    Pool,
    Step,
    Transposed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn._fused import FusedNetwork
    from napari_unetpp.nn._graph import Node, Place
    from napari_unetpp.nn._rows import Rows


class Stream:
    """One pass over one region, whose rows are pushed in from the first to the last.

    Parameters
    ----------
    network : FusedNetwork
        The network.
    inner : tuple of int
        Sizes of the region along all spatial axes but the first, in pixels; multiples
        of ``network.config.alignment()[1:]``.
    temperatures : sequence of float, optional
        What the logits of each head are divided by to become probabilities. With none,
        the logits themselves come out.
    n_rows : int, optional
        Rows of the region, where they are known before: a short region takes less
        memory.

    Raises
    ------
    InputError
        If a size does not fit.

    Notes
    -----
    A stream is one thread's at a time. The result does not depend on how many rows are
    pushed together.
    """

    def __init__(
        self,
        network: FusedNetwork,
        inner: tuple[int, ...],
        temperatures: Sequence[float] | None = None,
        n_rows: int | None = None,
    ) -> None:
        multiples = network.config.alignment()
        if len(inner) != len(multiples) - 1 or any(
            n % m or n < 1 for n, m in zip(inner, multiples[1:], strict=True)
        ):
            raise InputError(
                f"rows of size {inner}: multiples of {multiples[1:]} are needed; pad"
                " them"
            )
        self.network = network
        self.inner = inner
        self._multiple = multiples[0]
        self._block = block_rows(network.config, inner, network.dtype)
        self._temperatures = dict(zip(network.heads, temperatures or (), strict=False))
        self._levels = level_sizes(network.config, (self._block, *inner))
        self._rooms = self._planned(n_rows)
        self._maps: dict[Place, Rows] = {}
        self._image = self._rows(0, network.config.in_channels)
        self._stages: list[Stage] = []
        self._heads: list[HeadStep] = []
        for node in network.nodes:
            self._add(node)

    @property
    def n_bytes(self) -> int:
        """Memory of all rows that are kept."""
        return self._image.n_bytes + sum(
            step.target.n_bytes for stage in self._stages for step in stage.steps
        )

    def push(self, rows: Tensor, *, last: bool = False) -> Tensor:
        """Take the next rows in and return those that are complete.

        Parameters
        ----------
        rows : Tensor
            float32, (C, k, *inner): the next rows of the normalised image; k is a
            multiple of ``network.config.alignment()[0]``, and may be 0.
        last : bool
            Whether no more rows come.

        Returns
        -------
        Tensor
            float32, (H, K, m, *inner): logits (or probabilities) of the next m rows by
            the heads of ``network.heads``. All rows have come out after the last.

        Raises
        ------
        InputError
            If the shape does not fit, or the last rows were already pushed.
        """
        self._check(rows)
        found = self._room(rows.shape[1])
        given = 0
        with torch.inference_mode():
            for start in range(0, rows.shape[1], self._block):
                piece = rows[:, start : start + self._block]
                self._image.extend(piece.shape[1]).copy_(piece.movedim(0, -1))
                if last and start + self._block >= rows.shape[1]:
                    self._image.close()
                given += self._advance(found[:, :, given:])
            if last and rows.shape[1] == 0:
                self._image.close()
                given += self._advance(found)
        return found[:, :, :given].contiguous()

    def _advance(self, target: Tensor) -> int:
        """Let every node compute what it can; write the rows that all heads have."""
        given, goes_on = 0, True
        while goes_on:  # a block at a time, also of what the last rows let go
            goes_on = False
            for stage in self._stages:
                goes_on |= stage.advance(self._levels[stage.node.level][0])
            ready = min(head.ready for head in self._heads)
            self._give(target[:, :, given : given + ready])
            given += ready
        return given

    def _give(self, target: Tensor) -> None:
        """Write the next rows of all heads."""
        for head, part in zip(self._heads, target, strict=True):
            head.give(part)

    def _room(self, n_pushed: int) -> Tensor:
        """Return memory for the most rows that can come out once more are pushed."""
        most = self._heads[-1].waiting(self._image.stop + n_pushed)
        config = self.network.config
        shape = (len(self._heads), config.out_channels, most, *self.inner)
        return torch.empty(shape)

    def _rows(self, level: int, n_channels: int) -> Rows:
        """Return the rows of some maps, with the room that they will take."""
        inner, dtype = self._levels[level][1:], self.network.dtype
        room = next(self._rooms)
        return make_rows(inner, n_channels, dtype, room, self._most(level))

    def _planned(self, n_rows: int | None) -> Iterator[int]:
        """Return the room of all maps, in the order in which they are asked for."""
        config, heads = self.network.config, self.network.heads
        plan = plan_stream(config, heads, self.inner, self.network.dtype, n_rows)
        return iter(plan.rooms)

    def _add(self, node: Node) -> None:
        """Add the stage that computes a node."""
        network, i = self.network, node.level
        kernels, weights = network.kernels, network.weights[node.place]
        width, before = network.config.widths[i], self._before(node)
        sources = [self._maps[place] for place in node.skips]
        sources.append(before.target if before else self._image)
        first = Convolve(kernels, sources, self._rows(i, width), weights.first)
        middle = [first.target]
        second = Convolve(kernels, middle, self._rows(i, width), weights.second)
        steps = [first, second] if before is None else [before, first, second]
        self._stages.append(Stage(node, tuple(steps), self._most(i)))
        self._maps[node.place] = second.target
        if node.head is not None:
            head = network.head_weights[node.head]
            temperature, most = self._temperatures.get(node.head), self._most(i)
            self._heads.append(
                HeadStep(kernels, second.target, head, temperature, most)
            )

    def _before(self, node: Node) -> Step | None:
        """Return what brings maps of another level to that of a node."""
        network, i = self.network, node.level
        config = network.config
        if node.upper is not None:
            target = self._rows(i, config.widths[i - 1])
            stride, above = config.level_strides[i - 1], self._maps[node.upper]
            return Pool(network.kernels, above, target, stride)
        if node.lower is None:
            return None
        stride, below = config.level_strides[i], self._maps[node.lower]
        up = network.weights[node.place].up
        if up is not None:
            target = self._rows(i, config.widths[i])
            return Transposed(network.kernels, below, target, up, stride)
        target = self._rows(i, config.widths[i + 1])
        return Interpolate(network.kernels, below, target, stride, config.upsampling)

    def _most(self, level: int) -> int:
        """Return how many rows are computed together, while they are in the cache."""
        a_row = math.prod(self._levels[level][1:]) * self.network.config.widths[level]
        return max(1, CACHED // a_row)

    def _check(self, rows: Tensor) -> None:
        if self._image.total is not None:
            raise InputError("the last rows were pushed already; make a new stream")
        n_channels = self.network.config.in_channels
        if (
            rows.ndim != len(self.inner) + 2
            or rows.shape[0] != n_channels
            or tuple(rows.shape[2:]) != self.inner
            or rows.shape[1] % self._multiple
        ):
            raise InputError(
                f"rows of shape {tuple(rows.shape)}: ({n_channels}, k,"
                f" {', '.join(map(str, self.inner))}) is needed, with k a multiple of"
                f" {self._multiple}"
            )


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What a stream takes, known before there is one.

    Attributes
    ----------
    rooms : tuple of int
        Rows of each of its maps, in the order in which they are made.
    n_bytes : int
        Memory of all of them.
    most_out : int
        Rows that come out together, at most.
    """

    rooms: tuple[int, ...]
    n_bytes: int
    most_out: int


class _Outline(Stream):
    """A stream that computes nothing and counts its rows."""

    def __init__(
        self,
        config: NetworkConfig,
        heads: tuple[int, ...],
        inner: tuple[int, ...],
        dtype: torch.dtype,
    ) -> None:
        self.all_rows: list[tuple[Rows, int, int]] = []  # rows together, their bytes
        self.most_out = 0
        super().__init__(NetworkOutline(config, heads, dtype), inner)

    def run(self, n_rows: int) -> None:
        """Push all rows of a region."""
        nothing = torch.empty((1, 1, n_rows, 0))
        for start in range(0, n_rows, self._block):
            n = min(self._block, n_rows - start)
            self._image.extend(n)
            if start + n == n_rows:
                self._image.close()
            self.most_out = max(self.most_out, self._advance(nothing))

    def _give(self, target: Tensor) -> None:
        for head in self._heads:
            head.pass_over(target.shape[2])

    def _planned(self, n_rows: int | None) -> Iterator[int]:
        return repeat(2)

    def _rows(self, level: int, n_channels: int) -> Rows:
        pixels = math.prod(self._levels[level][1:])
        rows = CountedRows()
        n_bytes = pixels * n_channels * self.network.dtype.itemsize
        self.all_rows.append((rows, self._most(level), n_bytes))
        return rows


def plan_stream(
    config: NetworkConfig,
    heads: tuple[int, ...],
    inner: tuple[int, ...],
    dtype: torch.dtype,
    n_rows: int | None = None,
) -> StreamPlan:
    """Return what a stream takes.

    Parameters
    ----------
    config : NetworkConfig
        That of the pruned network (`FusedNetwork.config`).
    heads : tuple of int
        Numbers of the heads that are wanted.
    inner : tuple of int
        Sizes of the region along all spatial axes but the first.
    dtype : torch.dtype
        Of the feature maps.
    n_rows : int, optional
        Rows of the region, if they are known.
    """
    reach, block = receptive_field(config, config.depth)[0], config.alignment()[0]
    enough = block * (-(-2 * reach // block)) + 3 * block_rows(config, inner, dtype)
    return _plan(config, heads, inner, dtype, min(enough, n_rows or enough))


@lru_cache(maxsize=256)
def _plan(
    config: NetworkConfig,
    heads: tuple[int, ...],
    inner: tuple[int, ...],
    dtype: torch.dtype,
    n_rows: int,
) -> StreamPlan:
    outline = _Outline(config, heads, inner, dtype)
    outline.run(n_rows)
    rooms = tuple(rows.most for rows, _, _ in outline.all_rows)
    n_bytes = sum(
        rows_taken(rows.most, together) * a_row
        for rows, together, a_row in outline.all_rows
    )
    return StreamPlan(rooms, n_bytes, outline.most_out)


def stream_bytes(
    config: NetworkConfig,
    inner: tuple[int, ...],
    dtype: torch.dtype,
    rows: int,
    heads: tuple[int, ...] = (),
    n_rows: int | None = None,
) -> int:
    """Return the memory that a stream takes at most, in bytes, before there is one.

    Parameters
    ----------
    config : NetworkConfig
        That of the pruned network (`FusedNetwork.config`).
    inner : tuple of int
        Sizes of the region along all spatial axes but the first.
    dtype : torch.dtype
        Of the feature maps.
    rows : int
        Rows pushed at a time.
    heads : tuple of int
        Numbers of the heads that are wanted; all by default.
    n_rows : int, optional
        Rows of the region, where `Stream` is told too.
    """
    if not heads:
        last = config.depth
        first = 1 if config.architecture == "unetpp" else last
        heads = tuple(range(first, last + 1))
    plan = plan_stream(config, heads, inner, dtype, n_rows)
    pixels = math.prod(inner)
    out = (plan.most_out + rows) * pixels * len(heads) * config.out_channels
    return plan.n_bytes + _FLOAT * out + _TEMPORARY * _FLOAT * CACHED


_FLOAT = 4
_TEMPORARY = 8
"""Maps of the size that is computed together which kernels make for themselves."""
