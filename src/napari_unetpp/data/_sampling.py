"""Training patches, taken where labels are and evenly over classes and places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import IGNORE
from napari_unetpp.data._augment import recolour, resize, turn
from napari_unetpp.data._places import Places
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray, LabelArray, TargetArray
    from napari_unetpp.config import AugmentConfig, Task

_MOST_RIM = {2: 4, 3: 8}
"""The rim takes at most this part of a patch's edge on each side, by dimension: less in
3-D, where a rim of a quarter would leave an eighth of the patch to learn from."""


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """One labelled image or a part of one, normalised, in memory.

    Attributes
    ----------
    image : ndarray of float32
        Shape (C, *S), normalised with the statistics of the whole image.
    labels : ndarray of int
        Shape (*S): objects 1...n on 0, or class indices; negative is not labelled.
    name : str
        Where it came from, for messages.
    weight : float
        How often it is drawn, relative to the others.
    counts : ndarray of bool, optional
        Shape (*S): where labels count; elsewhere they only say what lies beside them,
        so that an object which is cut by a place has its own boundary and no other.
    border : tuple of pairs of bool, optional
        For each spatial axis whether its first and last side are the image's own
        border; ``None`` if all are.
    """

    image: FloatArray
    labels: LabelArray
    name: str = ""
    weight: float = 1.0
    counts: npt.NDArray[np.bool_] | None = None
    border: tuple[tuple[bool, bool], ...] | None = None

    def __post_init__(self) -> None:
        if self.image.shape[1:] != self.labels.shape:
            raise LabelsError(
                f"{self.name}: the image has the size {self.image.shape[1:]} and its"
                f" labels {self.labels.shape}; both must cover the same pixels"
            )


class PatchSampler:
    """Draws augmented patches and their targets; patch k is always the same.

    Parameters
    ----------
    pairs : sequence of TrainingPair
        What to draw from.
    size : tuple of int
        Size of a patch in pixels, one for each spatial axis.
    target : callable
        Makes what is learnt from a patch of labels: class indices, or the shares of
        `distance_target`.
    augment : AugmentConfig
        What is changed at random.
    task : {"instances", "classes"}
        Whether labels number objects or classes; patches are drawn evenly over classes.
    rim : int
        Pixels along a patch's inner borders that are ignored: there the network sees
        padding where at prediction time it sees the image.
    seed : int
        Start of the random numbers.
    """

    def __init__(
        self,
        pairs: Sequence[TrainingPair],
        size: tuple[int, ...],
        target: Callable[[LabelArray], TargetArray],
        augment: AugmentConfig,
        *,
        task: Task,
        rim: int = 0,
        seed: int = 0,
    ) -> None:
        self._pairs = list(pairs)
        self._size = size
        self._target = target
        self._augment = augment
        self._rim = rim
        self._seed = seed
        self._places = Places(self._pairs, task, seed)

    def batch(self, index: int, n: int) -> tuple[FloatArray, TargetArray]:
        """Return patches (n, C, *S) and targets (n, *S) of step `index`."""
        drawn = [self.patch(index * n + k) for k in range(n)]
        images, targets = zip(*drawn, strict=True)
        return np.stack(images), np.stack(targets)

    def patch(self, index: int) -> tuple[FloatArray, TargetArray]:
        """Return patch `index` (C, *S) and its target (*S)."""
        rng = np.random.default_rng([self._seed, index])
        which, centre = self._places.draw(rng)
        pair = self._pairs[which]
        scale = float(np.exp(rng.uniform(*np.log(self._augment.scale))))
        box = self._around(centre, pair.labels.shape, scale, rng)
        index_ = slices(box)
        image, labels, counts = resize(
            pair.image[(slice(None), *index_)],
            pair.labels[index_],
            None if pair.counts is None else pair.counts[index_],
            self._zoomed(box, scale),
        )
        target = np.array(self._target(labels))  # a copy: it may be the labels' own
        if counts is not None:
            target[~counts] = IGNORE
        self._mask_rim(target, _at_border(box, pair))
        image, target = _fill(image, target, self._size)
        turned, truth = turn(image, target, self._augment, rng)
        return recolour(turned, self._augment, rng), np.ascontiguousarray(truth)

    def _around(
        self,
        centre: npt.NDArray[np.int64],
        shape: tuple[int, ...],
        scale: float,
        rng: np.random.Generator,
    ) -> Box:
        """Return a box around a pixel, which lies off its rim where it can."""
        box = []
        for n, size, at in zip(shape, self._size, centre, strict=True):
            edge = min(n, max(1, round(size / scale)))
            rim = min(round(self._rim / scale), edge // _MOST_RIM[len(shape)])
            # Any offset that learns the pixel: centring would favour middles.
            low = min(max(0, int(at) - edge + 1 + rim), n - edge)
            high = max(min(int(at) - rim, n - edge), 0)
            start = int(rng.integers(low, high + 1))
            box.append((start, start + edge))
        return tuple(box)

    def _zoomed(self, box: Box, scale: float) -> tuple[int, ...]:
        """Return the size to which a box is resampled, at most the patch's."""
        return tuple(
            min(size, max(1, round((stop - start) * scale)))
            for (start, stop), size in zip(box, self._size, strict=True)
        )

    def _mask_rim(
        self,
        target: TargetArray,
        at_border: Sequence[tuple[bool, bool]],
    ) -> None:
        """Ignore the rim on every side that is not the image's own border."""
        for axis, (first, last) in enumerate(at_border):
            rim = min(self._rim, target.shape[axis] // _MOST_RIM[target.ndim])
            view = np.moveaxis(target, axis, 0)
            if not first:
                view[:rim] = IGNORE
            if not last:
                view[view.shape[0] - rim :] = IGNORE


def _at_border(box: Box, pair: TrainingPair) -> list[tuple[bool, bool]]:
    """Return which sides of a box lie at the border of the image itself."""
    shape = pair.labels.shape
    own = pair.border or ((True, True),) * len(shape)
    return [
        (start == 0 and first, stop == n and last)
        for (start, stop), n, (first, last) in zip(box, shape, own, strict=True)
    ]


def _fill(
    image: FloatArray, target: TargetArray, size: tuple[int, ...]
) -> tuple[FloatArray, TargetArray]:
    """Pad a patch that its image was too small for; what is added is ignored."""
    missing = [(0, n - m) for n, m in zip(size, target.shape, strict=True)]
    if not any(after for _, after in missing):
        return image, target
    padded = np.pad(image, [(0, 0), *missing], mode="edge")
    return padded, np.pad(target, missing, constant_values=IGNORE)
