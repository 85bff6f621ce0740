"""How long each level of a network takes on this machine."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.tiling import round_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn import Model

_EDGES = {2: (64, 128, 256), 3: (16, 32, 48)}
"""Edges of the tiles that may be measured, in pixels; the largest there is time for."""
_SECONDS = 1.5
_ROUNDS = 5
"""Time for all levels together, and how often each is measured at most."""
_LEVELS = 4.0
"""What all levels together take, in passes of the whole network, at most about."""


@dataclass(frozen=True, slots=True)
class LevelsMeasured:
    """Times of the levels of a network, measured.

    Attributes
    ----------
    run_id : str
        The run.
    seconds_per_mpx : tuple of float
        Seconds for a million pixels (voxels in 3-D) of each level alone (fast mode),
        level 1 first.
    accurate : float
        The same of all heads together.
    """

    run_id: str
    seconds_per_mpx: tuple[float, ...]
    accurate: float


def measure_levels(model: Model, device: torch.device, run_id: str) -> LevelsMeasured:
    """Measure how long a model takes at each of its levels, in about two seconds.

    A tile is measured with its halo, as it goes through the network; what cuts and
    reads tiles comes on top of it.

    Parameters
    ----------
    model : Model
        Of any weights; it is copied.
    device : torch.device
        Where.
    run_id : str
        Stands in the result.
    """
    network = model.config.network
    # A U-Net has one head, and no level but its depth.
    first = 1 if network.n_heads > 1 else network.depth
    predictors = [
        *(Predictor(model, device, j, "fast") for j in range(first, network.depth + 1)),
        Predictor(model, device),
    ]
    try:
        *alone, together = _medians(predictors)
    finally:
        for predictor in predictors:
            predictor.close()
    return LevelsMeasured(run_id, tuple(alone), together)


def _medians(predictors: Sequence[Predictor]) -> list[float]:
    """Return seconds for a million pixels by each, the last one being the slowest.

    They take turns, so that whatever else the machine does slows all of them.
    """
    end = time.monotonic() + _SECONDS
    tile = _tile(predictors[-1])
    times: list[list[float]] = []
    while len(times) < _ROUNDS and (not times or time.monotonic() < end):
        times.append([_seconds(predictor, tile) for predictor in predictors])
    mpx = math.prod(tile.shape[2:]) / 1e6
    rounds = times[1:] or times  # in the first one kernels are made ready
    return [statistics.median(of_one) / mpx for of_one in zip(*rounds, strict=True)]


def _tile(predictor: Predictor) -> FloatArray:
    """Return the largest tile (1, C, *S) that all levels have time for."""
    config = predictor.config
    rng = np.random.default_rng(0)
    tiles = [
        rng.random(
            (1, config.in_channels, *(round_up(edge, a) for a in config.alignment())),
            np.float32,
        )
        for edge in _EDGES[config.spatial_dims]
    ]
    _seconds(predictor, tiles[0])  # kernels are made ready
    chosen, seconds = tiles[0], _seconds(predictor, tiles[0])
    for larger in tiles[1:]:
        if seconds * larger.size / chosen.size * _LEVELS * 2 > _SECONDS:
            break
        chosen, seconds = larger, _seconds(predictor, larger)
    return chosen


def _seconds(predictor: Predictor, tile: FloatArray) -> float:
    """Return how long a tile takes, of which only the middle comes back."""
    crop = tuple((n // 4, n - n // 4) for n in tile.shape[2:])
    start = time.perf_counter()
    predictor.predict_batch(tile, crop)
    return time.perf_counter() - start
