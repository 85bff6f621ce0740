"""Which labelled pixel a patch is drawn around: class, then image, place and pixel.

Each is drawn evenly, so that neither a common class nor an image with many strokes nor
one long stroke takes the patches from the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp.config import Task
    from napari_unetpp.data._sampling import TrainingPair

    Cell = npt.NDArray[np.int64]
    """Coordinates (n, S) of the pixels of one class in one place."""

_EDGE = {2: 64, 3: 24}
"""Edge of a place in pixels."""
_CELLS = 1024
_PIXELS = 64
"""Places of each image and class, and pixels of each, that are remembered: bounds on
memory, not on variety, for a patch lies anywhere around its pixel."""


class Places:
    """Draws labelled pixels of images.

    Parameters
    ----------
    pairs : sequence of TrainingPair
        Images and labels.
    task : {"instances", "classes"}
        Whether labels number objects, which count as one class, or classes.
    seed : int
        Which pixels are remembered of more than are needed.

    Raises
    ------
    LabelsError
        If no pixel is labelled.
    """

    def __init__(self, pairs: Sequence[TrainingPair], task: Task, seed: int) -> None:
        cells: dict[int, list[tuple[int, list[Cell]]]] = {}
        for which, pair in enumerate(pairs):
            if pair.weight > 0:
                for value, of_pair in _cells(pair, task, seed).items():
                    cells.setdefault(value, []).append((which, of_pair))
        if not cells:
            raise LabelsError("no labelled pixel in any image: label some first")
        self._cells = [cells[value] for value in sorted(cells)]
        self._chances = []
        for of_class in self._cells:
            weights = np.array([pairs[which].weight for which, _ in of_class])
            self._chances.append(weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> tuple[int, npt.NDArray[np.int64]]:
        """Return the number of a pair and a labelled pixel (S,) of it."""
        kind = int(rng.integers(len(self._cells)))
        of_class = self._cells[kind]
        at = int(rng.choice(len(of_class), p=self._chances[kind]))
        which, cells = of_class[at]
        cell = cells[rng.integers(len(cells))]
        return which, cell[rng.integers(len(cell))]


def _cells(pair: TrainingPair, task: Task, seed: int) -> dict[int, list[Cell]]:
    """Return the places that hold pixels of each class."""
    rng = np.random.default_rng(seed)
    kinds = np.sign(pair.labels) if task == "instances" else pair.labels
    if pair.counts is not None:
        kinds = np.where(pair.counts, kinds, -1)
    return {
        int(value): _places_of(kinds == value, rng)
        for value in np.unique(kinds[kinds >= 0])
    }


def _places_of(mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[Cell]:
    """Return the pixels of a mask by place, no more than are remembered."""
    flat = np.flatnonzero(mask)
    most = _CELLS * _PIXELS
    if flat.size > most:
        flat = np.sort(rng.choice(flat, most, replace=False))
    pixels = np.stack(np.unravel_index(flat, mask.shape), axis=1)
    edge = _EDGE.get(mask.ndim, min(_EDGE.values()))
    grid = tuple(-(-n // edge) for n in mask.shape)
    cell = np.ravel_multi_index(tuple((pixels // edge).T), grid)
    order = rng.permutation(len(cell))  # so that the first few of a place are random
    order = order[np.argsort(cell[order], kind="stable")]
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    parts = [part[:_PIXELS] for part in np.split(pixels[order], starts[1:])]
    if len(parts) > _CELLS:
        parts = [parts[k] for k in rng.choice(len(parts), _CELLS, replace=False)]
    return parts
