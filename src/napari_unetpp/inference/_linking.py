"""Joining objects that were found plane by plane into objects of the stack.

Two objects of neighbouring planes are one if each is the other's best match and their
intersection over union is at least 0.25, as cellpose users know it from stitching::

    plane z      1 1 1 . 2 2        1-4: IoU 2/4, best for both: joined
    plane z + 1  . 4 4 4 5 5        2-5: IoU 1: joined

Two sweeps over blocks, one that counts and one that writes: memory is bounded by a
block and by the number of objects.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unetpp._types import slices
from napari_unetpp.inference._events import BlockDone
from napari_unetpp.tiling import TileGrid

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy.typing as npt

    from napari_unetpp.inference._instances import LabelStore
    from napari_unetpp.tiling import Tile

    Counts = npt.NDArray[np.int64]

MIN_IOU = 0.25
"""Intersection over union from which two objects can be sections of one."""


def link_planes(
    labels: LabelStore,
    axis: int,
    n_objects: int,
    run_id: str,
    edges: tuple[int, ...],
) -> Generator[BlockDone, None, int]:
    """Give one id to objects that go on from plane to plane.

    Parameters
    ----------
    labels : LabelStore, (*loops, Y, X)
        Ids 1...n, unique over all planes; changed in place.
    axis : int
        Loop axis whose neighbouring planes are joined.
    n_objects : int
        Number of ids.
    run_id : str
        Stands in the events.
    edges : tuple of int
        Edges of a block in pixels.

    Yields
    ------
    BlockDone
        After each block of each sweep.

    Returns
    -------
    int
        Number of objects after joining.
    """
    if n_objects == 0:
        return 0
    n, ones = len(edges), (1,) * len(edges)
    grid = TileGrid(labels.shape[-n:], edges, (0,) * n, ones, labels.shape[:-n])
    start, found = time.monotonic(), []
    sizes = np.zeros(n_objects + 1, np.int64)
    for n_done, tile in enumerate(grid, start=1):
        here = labels[(*tile.loop, *slices(tile.core))]
        sizes += np.bincount(here.ravel(), minlength=n_objects + 1)
        if tile.loop[axis] > 0:
            found.append(_shared_pixels(labels[_before(tile, axis)], here))
        yield BlockDone(
            run_id, "compare planes", n_done, len(grid), time.monotonic() - start
        )
    table, n_joined = _join(_sections(found, sizes), n_objects)
    for n_done, tile in enumerate(grid, start=1):
        index = (*tile.loop, *slices(tile.core))
        labels[index] = table[labels[index]]
        yield BlockDone(
            run_id, "join planes", n_done, len(grid), time.monotonic() - start
        )
    return n_joined


def _before(tile: Tile, axis: int) -> tuple[int | slice, ...]:
    """Return the index of the same block in the plane before."""
    loop = tuple(at - (k == axis) for k, at in enumerate(tile.loop))
    return (*loop, *slices(tile.core))


def _shared_pixels(
    before: npt.NDArray[np.uint32], here: npt.NDArray[np.uint32]
) -> Counts:
    """Return (3, n): pairs of ids that lie over each other, and their pixels."""
    both = (before > 0) & (here > 0)
    pairs = np.stack([before[both], here[both]]).astype(np.int64)
    unique, counts = np.unique(pairs, axis=1, return_counts=True)
    return np.concatenate([unique, counts[None]])


def _sections(found: list[Counts], sizes: Counts) -> Counts:
    """Return (2, n): the pairs of ids that are sections of one object."""
    n = len(sizes)
    first, second, pixels = np.concatenate([np.zeros((3, 0), np.int64), *found], axis=1)
    # Blocks count parts of a pair: adding them up is what a sparse matrix does.
    shared = coo_array((pixels, (first, second)), (n, n))
    shared.sum_duplicates()
    first, second = shared.coords
    iou = shared.data / (sizes[first] + sizes[second] - shared.data)
    best = np.zeros((2, n))
    np.maximum.at(best[0], first, iou)
    np.maximum.at(best[1], second, iou)
    mutual = (iou >= MIN_IOU) & (iou == best[0][first]) & (iou == best[1][second])
    return np.stack([first, second])[:, mutual].astype(np.int64)


def _join(pairs: Counts, n_objects: int) -> tuple[npt.NDArray[np.uint32], int]:
    """Return the new id of each old one, and how many there are."""
    edges = coo_array(
        (np.ones(pairs.shape[1], bool), (pairs[0] - 1, pairs[1] - 1)),
        (n_objects, n_objects),
    )
    n_joined, group = connected_components(edges, directed=False)
    return np.concatenate([[0], group + 1]).astype(np.uint32), int(n_joined)
