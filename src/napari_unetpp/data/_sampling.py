"""Training patches, taken where labels are and evenly over images and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import IGNORE
from napari_unetpp.data._augment import recolour, resize, turn
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray, LabelArray
    from napari_unetpp.config import AugmentConfig, Task

_PLACES = 4096
"""Places remembered for each image and class: a bound on memory, not on variety."""


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """One labelled image, normalised, in memory.

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
    """

    image: FloatArray
    labels: LabelArray
    name: str = ""
    weight: float = 1.0

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
        Makes class indices from a patch of labels.
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
        target: Callable[[LabelArray], npt.NDArray[np.int64]],
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
        self._places = [_places(pair, task, seed) for pair in self._pairs]
        weights = np.array(
            [pair.weight * bool(p) for pair, p in zip(pairs, self._places, strict=True)]
        )
        if weights.sum() == 0:
            raise LabelsError("no labelled pixel in any image: label some first")
        self._chances = weights / weights.sum()

    def batch(self, index: int, n: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Return patches (n, C, *S) and class indices (n, *S) of step `index`."""
        drawn = [self.patch(index * n + k) for k in range(n)]
        images, targets = zip(*drawn, strict=True)
        return np.stack(images), np.stack(targets)

    def patch(self, index: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Return patch `index` (C, *S) and its class indices (*S)."""
        rng = np.random.default_rng([self._seed, index])
        which = int(rng.choice(len(self._pairs), p=self._chances))
        pair = self._pairs[which]
        scale = float(np.exp(rng.uniform(*np.log(self._augment.scale))))
        box = self._place(pair.labels.shape, self._places[which], scale, rng)
        image, labels = resize(
            pair.image[(slice(None), *slices(box))],
            pair.labels[slices(box)],
            self._zoomed(box, scale),
        )
        at_border = [
            (start == 0, stop == n)
            for (start, stop), n in zip(box, pair.labels.shape, strict=True)
        ]
        target = self._mask_rim(self._target(labels), at_border)
        image, target = _fill(image, target, self._size)
        turned, truth = turn(image, target, self._augment, rng)
        return recolour(turned, self._augment, rng), np.ascontiguousarray(truth)

    def _place(
        self,
        shape: tuple[int, ...],
        places: list[npt.NDArray[np.int64]],
        scale: float,
        rng: np.random.Generator,
    ) -> Box:
        """Return a box around a labelled pixel of a random class."""
        of_class = places[rng.integers(len(places))]
        centre = of_class[rng.integers(len(of_class))]
        box = []
        for n, size, at in zip(shape, self._size, centre, strict=True):
            edge = min(n, max(1, round(size / scale)))
            # Any offset that keeps the pixel inside: centring would favour middles.
            low, high = max(0, at - edge + 1), min(at, n - edge)
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
        self, target: npt.NDArray[np.int64], at_border: list[tuple[bool, bool]]
    ) -> npt.NDArray[np.int64]:
        """Ignore the rim on every side that is not the image's own border."""
        target = target.copy()  # it may be a view of the labels themselves
        for axis, (first, last) in enumerate(at_border):
            rim = min(self._rim, target.shape[axis] // 4)
            view = np.moveaxis(target, axis, 0)
            if not first:
                view[:rim] = IGNORE
            if not last:
                view[view.shape[0] - rim :] = IGNORE
        return target


def _places(pair: TrainingPair, task: Task, seed: int) -> list[npt.NDArray[np.int64]]:
    """Return coordinates (n, S) of labelled pixels for each class that is present.

    Objects count as one class, background as another.
    """
    rng = np.random.default_rng(seed)
    found = []
    kinds = np.sign(pair.labels) if task == "instances" else pair.labels
    for value in np.unique(kinds[kinds >= 0]):
        flat = np.flatnonzero(kinds == value)
        some = rng.choice(flat, min(_PLACES, flat.size), replace=False)
        found.append(np.stack(np.unravel_index(some, kinds.shape), axis=1))
    return found


def _fill(
    image: FloatArray, target: npt.NDArray[np.int64], size: tuple[int, ...]
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Pad a patch that its image was too small for; what is added is ignored."""
    missing = [(0, n - m) for n, m in zip(size, target.shape, strict=True)]
    if not any(after for _, after in missing):
        return image, target
    padded = np.pad(image, [(0, 0), *missing], mode="edge")
    return padded, np.pad(target, missing, constant_values=IGNORE)
