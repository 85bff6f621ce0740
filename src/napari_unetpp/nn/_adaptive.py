"""A stream in which blocks go only as deep as their answer needs.

The nodes of a level are a part of those of the next, so a block that goes on computes
nothing again. All blocks have level 1 and the whole encoder, whose maps reach so far
that nearly all of them are read wherever anything goes on. ::

    X[0,0] ── X[0,1] ┐gate        every block
    X[1,1] ── X[0,2] ┐gate        what blocks depend on that level 1 has not settled
    X[2,1] ── X[1,2] ── X[0,3] ┐  and so on

Where a block goes on, its answer is that of the whole network; where it stays, deeper
heads repeat the answer of the last one that it has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from napari_unetpp.errors import SettingsError
from napari_unetpp.nn._activity import (
    Activity,
    Region,
    needs,
    round_up,
)
from napari_unetpp.nn._adaptive_size import edges_at, rows_at_once, waiting_rows
from napari_unetpp.nn._answers import Answer
from napari_unetpp.nn._fused import FusedNetwork
from napari_unetpp.nn._gated import Chunks, GatedConvolve, GatedTransposed
from napari_unetpp.nn._gates import Gate
from napari_unetpp.nn._receptive_field import receptive_field
from napari_unetpp.nn._rows import Rows
from napari_unetpp.nn._stage import Stage
from napari_unetpp.nn._steps import Convolve
from napari_unetpp.nn._stream import Stream
from napari_unetpp.nn._unetpp import build_network

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp._types import Box
    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn._graph import Node
    from napari_unetpp.nn._steps import Step

_UP = 4
"""Pixels by which a node's first step is ahead of its last one, at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of an adaptive stream.

    Attributes
    ----------
    heads : tuple of int
        Numbers of the heads that come out.
    temperatures : tuple of float
        What the logits of all heads 1...L are divided by to be probabilities.
    tolerance : float
        What another level may still change of a probability, as far as levels tell:
        see `Gate`. With 0 all blocks go to the end.
    """

    heads: tuple[int, ...]
    temperatures: tuple[float, ...]
    tolerance: float


class AdaptiveStream(Stream):
    """A pass over a region whose blocks stop at the level that settles them.

    Parameters
    ----------
    network : FusedNetwork
        UNet++ with all its heads.
    inner : tuple of int
        As of `Stream`.
    wanted : Wanted
        Which heads, and how sure.
    n_rows : int, optional
        As of `Stream`.

    Raises
    ------
    SettingsError
        If the network has one head only, or not all of its heads.
    InputError
        If a size does not fit.
    """

    def __init__(
        self,
        network: FusedNetwork,
        inner: tuple[int, ...],
        wanted: Wanted,
        n_rows: int | None = None,
    ) -> None:
        config, depth = network.config, network.config.depth
        if network.heads != tuple(range(1, depth + 1)):
            raise SettingsError(
                f"adaptive={wanted.tolerance}: the network has the heads"
                f" {network.heads}, but all of 1 to {depth} are needed; use a UNet++"
                " model"
            )
        self._wanted = wanted
        # Tiles begin on multiples of the alignment, so all of them have these blocks.
        self._edges = config.alignment()
        self._needs = needs(config, self._edges)
        self._back = 1 + max(  # rows of blocks above a row of a map that ask for it
            (need[0][1] + _UP) // edges_at(config, i)[0]
            for (i, _), need in self._needs.items()
        )
        blocks = tuple(-(-n // e) for n, e in zip(inner, self._edges[1:], strict=True))
        self._activities = {k: Activity(blocks) for k in range(2, depth + 1)}
        self._answers: list[Answer] = []
        self._begun = self._given = 0  # rows that had come out before the last push
        super().__init__(network, inner, n_rows=n_rows)

    @property
    def n_bytes(self) -> int:
        """Memory of all rows that are kept."""
        return super().n_bytes + sum(each.kept.n_bytes for each in self._answers)

    def push(self, rows: Tensor, *, last: bool = False) -> Tensor:
        """Take the next rows in and return those that are complete; see `Stream`."""
        self._begun = self._given
        return super().push(rows, last=last)

    @property
    def work(self) -> tuple[int, int]:
        """Products of convolutions so far: those computed, and those of all levels."""
        done = most = 0
        for stage in self._stages:
            pixels = math.prod(self._levels[stage.node.level][1:])
            for step in stage.steps:
                if not isinstance(step, Convolve):
                    continue
                a_pixel = pixels * self.network.dtype.itemsize
                n_in = sum(source.row_bytes for source in step.sources) // a_pixel
                products = n_in * (step.target.row_bytes // a_pixel)
                whole = step.target.stop * pixels
                most += whole * products
                if isinstance(step, GatedConvolve):
                    whole = step.n_computed
                done += whole * products
        return done, most

    def depths(self) -> Tensor:
        """Return the level at which pixels stopped, of the rows that came out last.

        Returns
        -------
        Tensor of uint8, (m, *inner)
        """
        start, edge = self._begun, self._edges[0]
        first, stop = start // edge, -(-self._given // edge)
        blocks = zip(self.inner, self._edges[1:], strict=True)
        shape = (stop - first, *(-(-n // e) for n, e in blocks))
        levels = np.ones(shape, np.uint8)
        for activity in self._activities.values():
            levels += activity.rows(first, stop)
        found = torch.from_numpy(levels)
        for axis, each in enumerate(self._edges):
            found = found.repeat_interleave(each, dim=axis)
        rows = slice(start - first * edge, self._given - first * edge)
        return found[(rows, *(slice(n) for n in self.inner))]

    def _advance(self, target: Tensor) -> int:
        """Let every node compute what it can; write the rows that all heads have."""
        given, goes_on = 0, True
        while goes_on:  # a block at a time, also of what the last rows let go
            goes_on = False
            for stage in self._stages:
                goes_on |= stage.advance(self._limit(stage.node.level))
                if stage.node.head is not None:
                    self._answers[stage.node.head - 1].advance()
            given += self._give_answers(target[:, :, given:])
        return given

    def _limit(self, level: int) -> int:
        """Return how many rows of a node are computed before the next node goes on."""
        chunk = rows_at_once(self.network.config, level)
        return round_up(self._levels[level][0], chunk) + chunk

    def _give_answers(self, target: Tensor) -> int:
        """Write the rows that all heads have, and forget them."""
        start, stop = self._given, min(each.kept.stop for each in self._answers)
        for at, head in enumerate(self._wanted.heads):
            target[at, :, : stop - start] = self._answers[head - 1].kept.rows(
                start, stop
            )
        for each in self._answers:
            each.kept.drop(stop)
        for activity in self._activities.values():
            activity.drop(self._begun // self._edges[0] - self._back)
        self._given = stop
        return stop - start

    def _room(self, n_pushed: int) -> Tensor:
        """Return memory for the most rows that can come out once more are pushed."""
        most = self._image.stop + n_pushed - self._given
        n_classes = self.network.config.out_channels
        return torch.empty((len(self._wanted.heads), n_classes, most, *self.inner))

    def _add(self, node: Node) -> None:
        """Add the stage that computes a node, and what follows from its head."""
        gated = node.place[1] > 0 and node.depth > 1
        steps = self._gated(node) if gated else self._steps(node)
        most = self._most(node.level)
        if gated:
            most = max(most, rows_at_once(self.network.config, node.level))
        self._stages.append(Stage(node, tuple(steps), most))
        self._maps[node.place] = steps[-1].target
        if node.head is not None:
            self._answers.append(self._answer(node.head))

    def _steps(self, node: Node) -> list[Step]:
        """Return the steps of a node that is computed everywhere."""
        network, i = self.network, node.level
        kernels, weights = network.kernels, network.weights[node.place]
        width, before = network.config.widths[i], self._before(node)
        sources = [self._maps[place] for place in node.skips]
        sources.append(before.target if before else self._image)
        first = Convolve(kernels, sources, self._rows(i, width), weights.first)
        middle, target = [first.target], self._held(node)
        second = Convolve(kernels, middle, target, weights.second)
        return [first, second] if before is None else [before, first, second]

    def _gated(self, node: Node) -> list[Step]:
        """Return the steps of a node that is computed where blocks need it."""
        network, i = self.network, node.level
        kernels, weights = network.kernels, network.weights[node.place]
        width = network.config.widths[i]
        before = self._gated_up(node)
        sources = [*(self._maps[place] for place in node.skips), before.target]
        first = GatedConvolve(
            kernels,
            sources,
            self._brief(i, width),
            weights.first,
            self._chunks(node, 1),
        )
        second = GatedConvolve(
            kernels,
            [first.target],
            self._held(node),
            weights.second,
            self._chunks(node, 0),
        )
        return [before, first, second]

    def _brief(self, level: int, n_channels: int) -> Rows:
        """Return the rows of a map that is read at once, with room for some chunks."""
        chunks = 4 * (rows_at_once(self.network.config, level) + _UP)
        inner, dtype = tuple(self._levels[level][1:]), self.network.dtype
        return Rows(inner, n_channels, dtype, max(next(self._rooms), chunks))

    def _held(self, node: Node) -> Rows:
        """Return the rows of a node, with room for those that wait for decisions."""
        config, i = self.network.config, node.level
        inner = tuple(self._levels[i][1:])
        room = 3 * (next(self._rooms) + waiting_rows(config, node)) // 2
        return Rows(inner, config.widths[i], self.network.dtype, room)

    def _gated_up(self, node: Node) -> Step:
        """Return the up-sampling of a node; without weights it is made everywhere."""
        network, i = self.network, node.level
        weights = network.weights[node.place].up
        if weights is None or node.lower is None:
            return cast("Step", self._before(node))
        stride = network.config.level_strides[i]
        return GatedTransposed(
            network.kernels,
            self._maps[node.lower],
            self._brief(i, network.config.widths[i]),
            weights,
            stride,
            self._chunks(node, 2, stride),
        )

    def _chunks(
        self, node: Node, context: int, stride: tuple[int, ...] = (1, 1)
    ) -> Chunks:
        """Return what must be computed of a step, `context` pixels before the node."""
        need: Box = tuple(
            (a - context, b + context) for a, b in self._needs[node.place]
        )
        region = Region(
            self._activities[node.depth],
            edges_at(self.network.config, node.level),
            need,
            tuple(self._levels[node.level][1:]),
            stride[1],
        )
        phase = round_up(context, stride[0])
        return Chunks(region, rows_at_once(self.network.config, node.level), phase)

    def _answer(self, head: int) -> Answer:
        """Return what follows from a head."""
        network, depth = self.network, self.network.config.depth
        gate = None
        if head < depth:
            gate = Gate(
                self._wanted.tolerance,
                self._edges,
                self._activities.get(head),
                self._activities[head + 1],
                self.inner,
            )
        region = None
        if head > 1:
            exactly = tuple((0, edge - 1) for edge in self._edges)
            region = Region(self._activities[head], self._edges, exactly, self.inner)
        return Answer(
            network.kernels,
            self._maps[0, head],
            network.head_weights[head],
            self._wanted.temperatures[head - 1],
            (network.config.out_channels, *self.inner),
            self._answers[-1] if self._answers else None,
            region,
            gate,
        )


@lru_cache(maxsize=64)
def adaptive_lag(config: NetworkConfig) -> int:
    """Return how many rows go in, at most, before the first of them comes out.

    Parameters
    ----------
    config : NetworkConfig
        That of the pruned network; only its strides and up-sampling matter.
    """
    # Found by trying, with a network that is as thin as can be.
    thin = config.model_copy(
        update={
            "widths": (1,) * len(config.widths),
            "in_channels": 1,
            "out_channels": 1,
        }
    )
    every = tuple(range(1, config.depth + 1))
    with torch.random.fork_rng(devices=[]):
        network = FusedNetwork(build_network(thin).eval(), heads=every)
    step, *inner = config.alignment()
    wanted = Wanted(every, (1.0,) * config.depth, 0.0)
    stream = AdaptiveStream(network, tuple(inner), wanted)
    rows, lag, n_in, n_out = torch.zeros(1, step, *inner), 0, 0, 0
    for _ in range(6 * receptive_field(config, config.depth)[0] // step + 32):
        n_in += step
        n_out += stream.push(rows).shape[2]
        lag = max(lag, n_in - n_out)
    return lag
