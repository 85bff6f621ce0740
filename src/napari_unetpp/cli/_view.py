"""The events of one image that is segmented, on a display."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_unetpp.inference import (
    BadPixels,
    BlockDone,
    MemoryLow,
    Rescaled,
    RunStarted,
    TileDone,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.cli._display import Display
    from napari_unetpp.inference import Event

MOST_BAD = 10
"""Unreadable pieces that are listed for a person; a broken disk has thousands."""


class RunView:
    """Draws the events of one run; it remembers what the bar stands for.

    Parameters
    ----------
    name : str
        Of the image.
    sizes : sequence of int
        Pixels of the image along Z, Y, X, those that it has.
    display : Display
        Where.
    """

    def __init__(self, name: str, sizes: Sequence[int], display: Display) -> None:
        self._name = name
        self._sizes = sizes
        self._display = display
        self._stage = ""
        self._n_bad = 0

    def show(self, event: Event) -> None:
        """Draw one event."""
        if isinstance(event, RunStarted):
            for line in self._plan(event):
                self._display.say(f"{self._name}: {line}")
            self._bar("predict", "tile", event.n_done, event.n_tiles)
        elif isinstance(event, TileDone):
            self._bar("predict", "tile", event.n_done, event.n_tiles)
        elif isinstance(event, BlockDone):
            self._bar(event.stage, "block", event.n_done, event.n_tiles)
        elif isinstance(event, BadPixels):
            self._bad(event)
        elif isinstance(event, MemoryLow):
            edges = " x ".join(map(str, event.largest))
            words = "do not fit the device; smaller ones are taken"
            self._display.say(f"{self._name}: tiles of {edges} {words}")
        elif isinstance(event, Rescaled):
            self._display.say(f"{self._name}: {event.size.text}")

    def _plan(self, event: RunStarted) -> list[str]:
        """Return what is told before the start."""
        core = " x ".join(map(str, event.core))
        tiles = "1 tile" if event.n_tiles == 1 else f"{event.n_tiles} tiles"
        sizes = self._sizes[-len(event.core) :]
        if event.store is not None:  # of an image that is rescaled these are others
            sizes = event.store.layout.spatial_shape
        more = recomputed(sizes, event.core, event.halo, streams=event.streams)
        lines = [
            f"{tiles} of {core} on {event.device}, up to {size(event.memory)} of"
            f" memory, {more:.0%} extra for context"
        ]
        if event.n_done:
            lines.append(f"goes on, {event.n_done} of {tiles} done by an earlier run")
        return lines

    def _bar(self, stage: str, unit: str, n_done: int, n_all: int) -> None:
        if stage != self._stage:
            self._stage = stage
            self._display.start(f"{self._name}: {stage}", unit, n_all, n_done)
        else:
            self._display.advance_to(n_done, n_all)

    def _bad(self, event: BadPixels) -> None:
        self._n_bad += 1
        if self._n_bad <= MOST_BAD:
            place = ", ".join(f"{start}:{stop}" for start, stop in event.box)
            self._display.say(f"{self._name}: [{place}] skipped: {event.reason}")
        elif self._n_bad == MOST_BAD + 1:
            self._display.say(f"{self._name}: more pieces are skipped")


def recomputed(
    sizes: Sequence[int],
    core: Sequence[int],
    halo: Sequence[int],
    *,
    streams: bool = False,
) -> float:
    """Return how many pixels are computed beyond those of the image, as its share.

    Tiles with their halo end where the image does. The axes are independent: the sum
    over tiles is the product of the sums along the axes.

    Parameters
    ----------
    sizes, core, halo : sequences of int
        Pixels of the image, of a tile's core, and of its context on each side, along
        the spatial axes.
    streams : bool
        Whether rows flow through the network: along the first axis none is computed
        twice then.
    """
    ratios = (
        sum(
            min(start + edge + context, n) - max(start - context, 0)
            for start in range(0, n, edge)
        )
        / n
        for n, edge, context in list(zip(sizes, core, halo, strict=True))[streams:]
    )
    return math.prod(ratios) - 1


def size(n_bytes: int) -> str:
    """Return a number of bytes as ``--memory`` takes it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes / 1000:.1f} kB"
