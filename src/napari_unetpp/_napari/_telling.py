"""The core's events as a panel tells them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari._messages import Note, Progress
from napari_unetpp.inference import (
    BadPixels,
    BlockDone,
    MemoryLow,
    Rescaled,
    TileDone,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unetpp._napari._results import Layout
    from napari_unetpp._types import Box
    from napari_unetpp.inference import RunStarted

PAUSE = 0.03
"""Seconds for which a panel is left alone between two tiles, at least."""
SHARE = 0.1
"""Most of a run's time that goes into telling."""


class Teller:
    """Tells a panel what happens, but not more often than it can listen.

    Tiles that are skipped come by the thousand in a second; what they changed is told
    together.

    Parameters
    ----------
    n_pixels : int
        Pixels of the result.
    """

    def __init__(self, n_pixels: int) -> None:
        self._n_pixels = n_pixels
        self._n_before = 0
        self._box: Box | None = None
        self._not_before = 0.0

    def started(self, event: RunStarted) -> str:
        """Return the plan in words, and remember what was done before."""
        self._n_before = event.n_done
        return plan_text(event)

    def tell(self, event: Any) -> Iterator[Progress | Note]:
        """Yield what there is to tell of an event of the core."""
        if isinstance(event, TileDone):
            self._box = event.box if self._box is None else _hull(self._box, event.box)
            yield from self._progress(event, self._n_before, self._n_pixels)
        elif isinstance(event, BlockDone):
            yield from self._progress(event)
        elif isinstance(event, MemoryLow):
            edges = " x ".join(map(str, event.largest))
            yield Note(f"Tiles of {edges} do not fit into memory; going on with halves")
        elif isinstance(event, BadPixels):
            yield Note(f"A piece of the image is taken as dark: {event.reason}")
        elif isinstance(event, Rescaled):
            yield Note(sentence(event.size.text))

    def _progress(
        self, event: TileDone | BlockDone, n_before: int = 0, n_pixels: int = 0
    ) -> Iterator[Progress]:
        now = time.monotonic()
        if now < self._not_before and event.n_done < event.n_tiles:
            return
        box, self._box = self._box, None
        yield Progress(
            event.stage,
            event.n_done,
            event.n_tiles,
            event.seconds,
            n_before,
            n_pixels,
            box,
        )
        told = time.monotonic()
        self._not_before = told + max(PAUSE, (told - now) / SHARE)


def _hull(one: Box, other: Box) -> Box:
    """Return the smallest box that holds both."""
    return tuple(
        (min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True)
    )


def sentence(text: str) -> str:
    """Return words as a sentence begins."""
    return text[:1].upper() + text[1:]


def plan_text(started: RunStarted) -> str:
    """Return device, tiles and memory in words."""
    core = " x ".join(map(str, started.core))
    text = f"{started.n_tiles:,} tiles of {core}" if started.n_tiles > 1 else "one tile"
    text += f" on {started.device}"
    if started.memory:
        text += f", at most {started.memory / 2**30:.1f} GiB of memory"
    if started.n_done:
        text += f"; {started.n_done:,} tiles are done already"
    return text


def found_text(n_objects: int | None, layout: Layout, linked: bool) -> str:
    """Return what was found in words."""
    text = "Classes painted"
    if n_objects is not None:
        text = f"{n_objects:,} object{'s' * (n_objects != 1)}"
    n_loops = len(layout.loop_axes)
    n_planes = math.prod(layout.result_shape[:n_loops])
    if n_planes > 1:
        how = "joined" if linked and "Z" in layout.loop_axes else "each on its own"
        text += f" in {n_planes} planes, {how}"
    return text
