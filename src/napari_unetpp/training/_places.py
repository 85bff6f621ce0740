"""Which places are held out: decided once for each, and kept while labels are added.

Held out are whole images where several are labelled, else blocks of a grid that is laid
over the images::

    . . . . . .     . nothing labelled
    . L L . H .     L labelled, learnt
    . L . . L L     H labelled, held out
    . . . H . .

A block has the same side in all planes and time points of an image: what lies at the
same place in the next one looks nearly the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

FEW_IMAGES = 4
"""With fewer labelled images than this, blocks within them are held out instead."""

EDGES = {2: (128, 64, 32), 3: (32, 16, 8)}
"""Edges of a block in pixels, of which the first is taken that gives enough blocks."""

_ENOUGH = 10
"""Labelled blocks that a validation needs to have a choice of."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Which places are held out.

    Attributes
    ----------
    held : mapping of str to bool
        By place: ``"3"`` is image 3, ``"3:64:2,5"`` its block (2, 5) of 64 pixels.
    edge : int, optional
        Edge of a block in pixels; ``None`` where places are whole images.
    words : str
        How it was done, for people.
    """

    held: Mapping[str, bool]
    edge: int | None
    words: str

    def blocks(
        self, index: int, grid: Sequence[int], edge: int
    ) -> npt.NDArray[np.bool_]:
        """Return whether each block of `edge` pixels (*grid) of an image is held out.

        `edge` divides that of the places.
        """
        if self.edge is None:
            return np.full(grid, self.held.get(str(index), False))
        step = self.edge // edge
        coarse = np.zeros([-(-n // step) for n in grid], bool)
        prefix = f"{index}:{self.edge}:"
        for key, side in self.held.items():
            if side and key.startswith(prefix):
                coarse[tuple(map(int, key.removeprefix(prefix).split(",")))] = True
        return coarse[np.ix_(*(np.arange(n) // step for n in grid))]


def choose_sides(
    counts: Sequence[npt.NDArray[np.int64]],
    edge: int,
    fraction: float,
    seed: int,
    known: Mapping[str, bool],
) -> Sides:
    """Return the side of every labelled place, that of a known one as it was.

    Parameters
    ----------
    counts : sequence of ndarray of int
        For each image the labelled pixels of each class in each block, (K, *grid).
    edge : int
        Edge of these blocks in pixels; places are blocks of a multiple of it.
    fraction : float
        Share of the labelled pixels of each class that is held out; 0 holds out none.
    seed : int
        The order in which places are looked at.
    known : mapping of str to bool
        Places that have a side already.
    """
    size = _place_edge(counts, edge, known)
    if size is None:
        places = {
            str(k): one.sum(axis=tuple(range(1, one.ndim)))
            for k, one in enumerate(counts)
        }
    else:
        places = _blocks(counts, edge, size)
    places = {key: counts for key, counts in places.items() if counts.any()}
    held = dict(known)
    if fraction > 0:
        held = _share_out(places, fraction, seed, known)
    held = {key: held.get(key, False) for key in (*known, *places)}
    return Sides(held, size, _words(held, places, size, counts[0].ndim - 1, seed))


def _place_edge(
    counts: Sequence[npt.NDArray[np.int64]], edge: int, known: Mapping[str, bool]
) -> int | None:
    """Return the edge of a place, or None where places are whole images."""
    if known:
        first = next(iter(known))
        return int(first.split(":")[1]) if ":" in first else None
    axes = tuple(range(1, counts[0].ndim))
    labelled = np.array([one.sum(axis=axes) > 0 for one in counts])
    spread = labelled.sum(axis=0)  # images that have each class
    if labelled.any(axis=1).sum() >= FEW_IMAGES and (spread[spread > 0] > 1).all():
        return None
    sizes = EDGES[len(axes)]
    for size in sizes:
        if sum(_coarser(one, size // edge).any(0).sum() for one in counts) >= _ENOUGH:
            return size
    return sizes[-1]


def _coarser(counts: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.int64]:
    """Return counts (K, *grid) of blocks that are `step` times as large."""
    for axis in range(1, counts.ndim):
        starts = np.arange(0, counts.shape[axis], step)
        counts = np.add.reduceat(counts, starts, axis=axis)
    return counts


def _blocks(
    counts: Sequence[npt.NDArray[np.int64]], edge: int, size: int
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the labelled pixels (K,) of every block of `size` that has some."""
    blocks = {}
    for index, one in enumerate(counts):
        coarse = _coarser(one, size // edge)
        for place in map(tuple, np.argwhere(coarse.any(axis=0)).tolist()):
            blocks[_key(index, size, place)] = np.moveaxis(coarse, 0, -1)[place]
    return blocks


def _key(index: int, edge: int, place: Sequence[int]) -> str:
    return f"{index}:{edge}:{','.join(str(int(n)) for n in place)}"


def _share_out(
    places: Mapping[str, npt.NDArray[np.int64]],
    fraction: float,
    seed: int,
    known: Mapping[str, bool],
) -> dict[str, bool]:
    """Return sides with about `fraction` of every class held out.

    A place is held out if it brings more of what is wanted than of what is too much;
    of every class some is learnt, and where it lies in two places some is held out.
    """
    total = np.sum(list(places.values()), axis=0)
    wanted = np.maximum(fraction * total, 1)
    out = np.zeros_like(total)
    for key, side in known.items():
        if side and key in places:
            out = out + places[key]
    sides = dict(known)
    new = [key for key in places if key not in known]
    order = [new[k] for k in np.random.default_rng(seed).permutation(len(new))]
    for key in order:
        counts = places[key]
        short = np.clip(wanted - out, 0, None)
        gain = (np.minimum(counts, short) / wanted).sum()
        excess = (np.clip(counts - short, 0, None) / wanted).sum()
        sides[key] = bool(gain > excess and _some_left(total, out, counts))
        if sides[key]:
            out = out + counts
    for kind in np.flatnonzero((out == 0) & (total > 0)):
        smallest = sorted(
            (key for key in order if places[key][kind] and not sides[key]),
            key=lambda key: int(places[key].sum()),
        )
        for key in smallest:
            if _some_left(total, out, places[key]):
                sides[key], out = True, out + places[key]
                break
    return sides


def _some_left(
    total: npt.NDArray[np.int64],
    out: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> bool:
    """Return whether every class is still learnt if `counts` are held out too."""
    return bool((total - out - counts > 0)[counts > 0].all())


def _words(
    held: Mapping[str, bool],
    places: Mapping[str, object],
    size: int | None,
    ndim: int,
    seed: int,
) -> str:
    n = sum(held[key] for key in places)
    if n == 0:
        return "nothing is held out"
    if size is None:
        return f"{n} of {len(places)} images, chosen at random (seed {seed})"
    shape = " x ".join([str(size)] * ndim)
    return f"{n} of {len(places)} labelled blocks of {shape} pixels"
