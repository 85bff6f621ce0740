"""Thresholds of objects, chosen by how well held-out objects are found."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.nn._metrics import (
    AP_THRESHOLDS,
    average_precision,
    match_instances,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray, LabelArray
    from napari_unetpp.config import InstanceConfig
    from napari_unetpp.nn._metrics import InstanceMatch

    Scores = npt.NDArray[np.float64]
    ObjectFinder = Callable[[FloatArray, InstanceConfig], LabelArray]
    """Returns objects 1...n (*S) of mean probabilities (3, *S)."""

STEPS = 255
FOREGROUND = (0.3, 0.4, 0.5, 0.6, 0.7)
SEED = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
MIN_SIZES = (0, 4, 8, 16, 32, 64, 128, 256, 512)
"""Values that are tried, beside those that the model has."""

_SMALLEST_SHARE = 0.25
"""What is dropped as too small is at most this part of the median object."""
_CLEARLY = 1e-3
"""Gain of the mean AP below which other values are no better than those there are, and
neither are they where the gain is within its own standard error over the pieces."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A held-out piece: what the model shows of it, and the truth.

    Attributes
    ----------
    steps : ndarray of uint8, (3, *S)
        Mean probabilities in steps of 1/255, as objects are made from them.
    labels : ndarray of int, (*S)
        True objects 1...n on 0; -1 where a pixel does not count.
    """

    steps: npt.NDArray[np.uint8]
    labels: LabelArray


@dataclass(frozen=True, slots=True)
class Choice:
    """Thresholds and the smallest size, with what they reach on the held-out pieces.

    Attributes
    ----------
    instances : InstanceConfig
        The best that were tried.
    before, after : float
        Mean over IoU 0.5, 0.55 ... 0.9 of the average precision, averaged over the
        pieces, with the old values and with these.
    """

    instances: InstanceConfig
    before: float
    after: float


def choosing_thresholds(
    pieces: Sequence[Shown], present: InstanceConfig, find: ObjectFinder
) -> Iterator[Choice]:
    """Try thresholds, yielding the best so far after each pair of them.

    Of one threshold all values are tried while the other stays, by turns, until
    neither helps; every smallest size costs nothing beside them.

    Parameters
    ----------
    pieces : sequence of Shown
        With some objects in them.
    present : InstanceConfig
        Where the search starts, and what is kept unless something is clearly better.
    find : callable
        Finds the objects that runs would find.
    """
    search = _Search(pieces, present, find)
    yield search.choice
    axes = {"seed_threshold": SEED, "foreground_threshold": FOREGROUND}
    start = None
    while start != search.choice.instances:
        start = search.choice.instances
        for name, values in axes.items():
            here = search.choice.instances
            for value in values:
                if search.is_new(here, name, value):
                    search.look_at(here.model_copy(update={name: value}))
                    yield search.choice


class _Search:
    """The best so far, and what has been tried."""

    def __init__(
        self, pieces: Sequence[Shown], present: InstanceConfig, find: ObjectFinder
    ) -> None:
        self._pieces, self._find = pieces, find
        self._sizes = _sizes_to_try(pieces, present.min_size)
        self._tried: set[tuple[float, float]] = set()
        self._best = self._scores(present)[present.min_size]
        before = float(self._best.mean())
        self.choice = Choice(present, before, before)
        self.look_at(present)

    def is_new(self, at: InstanceConfig, name: str, value: float) -> bool:
        """Whether thresholds have not been tried yet."""
        return _pair(at.model_copy(update={name: value})) not in self._tried

    def look_at(self, instances: InstanceConfig) -> None:
        """Take thresholds with their best size if they are clearly better."""
        self._tried.add(_pair(instances))
        for size, scores in self._scores(instances).items():
            if _is_better(scores, self._best):
                best = instances.model_copy(update={"min_size": size})
                self._best = scores
                self.choice = Choice(best, self.choice.before, float(scores.mean()))

    def _scores(self, instances: InstanceConfig) -> dict[int, Scores]:
        """Return the mean AP of each piece by smallest size, the present one first."""
        every = instances.model_copy(update={"min_size": 0})
        found = [self._matched(piece, every) for piece in self._pieces]
        return {
            size: np.array([_mean_ap(_without_small(*each, size)) for each in found])
            for size in self._sizes
        }

    def _matched(
        self, piece: Shown, instances: InstanceConfig
    ) -> tuple[InstanceMatch, npt.NDArray[np.int64]]:
        """Return how objects match, and the sizes of those that were found."""
        mean = np.divide(piece.steps, STEPS, dtype=np.float32)
        found = self._find(mean, instances).astype(np.int64)
        match = match_instances(piece.labels, found)
        return match, np.bincount(found.ravel())[match.predicted_ids]


def _without_small(
    match: InstanceMatch, sizes: npt.NDArray[np.int64], smallest: int
) -> InstanceMatch:
    """Return the match as it is when objects below a size are dropped."""
    kept = np.flatnonzero(sizes >= smallest)
    return replace(
        match,
        predicted_ids=match.predicted_ids[kept],
        predicted_sizes=match.predicted_sizes[kept],
        shared=match.shared[:, kept],
        iou=match.iou[:, kept],
    )


def _mean_ap(match: InstanceMatch) -> float:
    scores = [average_precision([match], threshold) for threshold in AP_THRESHOLDS]
    return sum(scores) / len(scores)


def _is_better(scores: Scores, best: Scores) -> bool:
    """Whether pieces gain more than the luck of which pieces there are explains."""
    gain = scores - best
    error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return bool(gain.mean() > max(_CLEARLY, error))


def _sizes_to_try(pieces: Sequence[Shown], present: int) -> list[int]:
    """Return smallest sizes, the present one first."""
    areas = [np.bincount(p.labels[p.labels > 0])[1:] for p in pieces]
    every = np.concatenate(areas)
    most = _SMALLEST_SHARE * float(np.median(every[every > 0]))
    return [present, *(n for n in MIN_SIZES if n <= most and n != present)]


def _pair(instances: InstanceConfig) -> tuple[float, float]:
    return instances.foreground_threshold, instances.seed_threshold
