"""Whether tiles show: a part of the user's own image, predicted on two grids.

The borders of the tiles of one grid lie in the middle of tiles of the other, so that
a border that showed would differ between the two.
"""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.inference._events import BlockDone, RunStarted, TileDone
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._request import as_read
from napari_unetpp.inference._sample_region import MOST, cut_out, sample_region
from napari_unetpp.io import image_range

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.arrays import Image, IntensityRange
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.nn import Model

ROUNDING = 1e-4
"""Difference of probabilities that is no seam: sums in another order round so."""

_TILES = {2: (9, 14), 3: (3, 5)}
"""Edges of the tiles of both grids in steps of the poolings, without common factor."""
_STEP = {2: 16, 3: 8}
"""Such a step is not shorter than this, also where there is but one pooling."""
_STAGES = ("predict on one grid", "predict on another grid")


@dataclass(frozen=True, slots=True)
class SeamCheck:
    """What came of a check for seams.

    Attributes
    ----------
    axes : str
        The spatial axes, ``"YX"`` or ``"ZYX"``.
    box : Box
        The part of the image that was predicted twice, one interval for each of them.
    tiles : tuple of (tuple of int)
        Edges of the tiles of both grids, in pixels.
    n_borders : int
        Borders between tiles that lie in the part, of both grids together.
    largest : float
        Largest difference of a probability of any class, 0...1.
    place : tuple of int
        Where that is: loop and spatial axes, in pixels of the image.
    share : float
        Share of the pixels that would get another class.
    device : str
        What computed.
    seconds : float
        How long it took.
    """

    axes: str
    box: Box
    tiles: tuple[tuple[int, ...], ...]
    n_borders: int
    largest: float
    place: tuple[int, ...]
    share: float
    device: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether no tile shows: nothing differs by more than rounding does."""
        return self.largest <= ROUNDING

    @property
    def text(self) -> str:
        """The same in words."""
        size = " x ".join(str(stop - start) for start, stop in self.box)
        grids = " and of ".join(" x ".join(map(str, edges)) for edges in self.tiles)
        if not self.n_borders:
            return f"No tile ends in these {size} pixels: there can be no seam."
        what = f"{size} pixels with tiles of {grids}, {self.n_borders} borders"
        if self.passed:
            return (
                f"No seam: the largest difference of a probability is"
                f" {self.largest:.2g} ({what}, on {self.device})."
            )
        where = ", ".join(map(str, self.place))
        return (
            f"Tiles show: probabilities differ by up to {self.largest:.2g} (at"
            f" {where}), and {self.share:.2%} of the pixels get another class"
            f" ({what}, on {self.device}). This network sees farther than its halo, or"
            " norms over what it is given; use tiles as large as the image, or another"
            " model."
        )


def check_seams(
    image: Image,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    *,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
) -> Generator[BlockDone, None, SeamCheck]:
    """Predict a part of an image on two grids of tiles, and compare.

    The part is taken as an image of its own that is predicted whole, in the way in
    which the image would be, with its intensities. A diameter is left out: the image is
    read at its own size.

    Parameters
    ----------
    image, model, settings : Image, Model, PredictionConfig
        What is segmented, by what and how.
    run_id : str
        Stands in the events.
    region : Box, optional
        The part along the spatial axes from whose middle a piece is taken, in pixels;
        all by default.
    loop : tuple of int, optional
        Index along each loop axis; the middle ones by default.

    Yields
    ------
    BlockDone
        After each tile.

    Returns
    -------
    SeamCheck
        How much the two differ.

    Raises
    ------
    AxesError, ImageError, SettingsError, DeviceError
        As in `make_plan`.
    """
    start = time.monotonic()
    whole = as_read(image, model)
    dims = len(whole.spatial_axes)
    box = sample_region(whole, MOST[dims], region)
    part = cut_out(whole, box, loop)
    how, skip_bad = settings.nonfinite, settings.skip_bad
    intensity = image_range(whole, model.config.intensity, how, skip_bad=skip_bad)
    step = max(_STEP[dims], *model.config.network.alignment(settings.level))
    runs: list[_Run] = []
    for steps, stage in zip(_TILES[dims], _STAGES, strict=True):
        changes = {"tile": steps * step, "diameter": None}
        one = settings.model_copy(update=changes)
        runs.append((yield from _predicted(part, model, one, run_id, stage, intensity)))
    at = loop or tuple(size // 2 for size in whole.loop_shape)
    return _compared(runs, at, box, whole.spatial_axes, time.monotonic() - start)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A part, predicted."""

    mean: FloatArray  # (K, *loops, *spatial)
    core: tuple[int, ...]
    device: str


def _predicted(
    part: Image,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    stage: str,
    intensity: IntensityRange,
) -> Generator[BlockDone, None, _Run]:
    """Predict a part as a whole image is predicted."""
    core: tuple[int, ...] = ()
    device = ""
    run = predict_image(
        part, model, settings, run_id, keep_heads=False, intensity=intensity
    )
    with closing(run) as events:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                mean = end.value.mean.compute(scheduler="synchronous")
                return _Run(mean, core, device)
            if isinstance(event, RunStarted):
                core, device = event.core, event.device
            elif isinstance(event, TileDone):
                done, seconds = (event.n_done, event.n_tiles), event.seconds
                yield BlockDone(run_id, stage, *done, seconds)


def _compared(
    runs: list[_Run], loop: tuple[int, ...], box: Box, axes: str, seconds: float
) -> SeamCheck:
    """Return how much two predictions of the same part differ."""
    one, other = (run.mean for run in runs)
    difference = np.abs(one - other).max(axis=0)
    place = np.unravel_index(int(difference.argmax()), difference.shape)
    first = (*(0 for _ in loop), *(start for start, _ in box))
    found = tuple(int(i) + n for i, n in zip(place, first, strict=True))[len(loop) :]
    sizes = [stop - start for start, stop in box]
    return SeamCheck(
        axes=axes,
        box=box,
        tiles=tuple(run.core for run in runs),
        n_borders=sum(_borders(sizes, run.core) for run in runs),
        largest=float(difference.max()),
        place=(*loop, *found),
        share=float(np.mean(_classes(one) != _classes(other))),
        device=runs[0].device,
        seconds=seconds,
    )


def _borders(sizes: list[int], core: tuple[int, ...]) -> int:
    """Return how often a line, or plane, of borders cuts through a part."""
    return sum(
        math.ceil(size / edge) - 1 for size, edge in zip(sizes, core, strict=True)
    )


def _classes(mean: FloatArray) -> np.ndarray:
    """Return the likeliest class of each pixel; of one class, where it is."""
    if len(mean) == 1:
        return np.asarray(mean[0] > 0.5)
    return np.asarray(mean.argmax(axis=0))
