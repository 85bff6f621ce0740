"""Joining objects that were found plane by plane into objects of the stack.

Two objects of neighbouring planes are one if each is the other's best match and their
intersection over union is at least 0.25, as cellpose users know it from stitching::

    plane z      1 1 1 . 2 2        1-4: IoU 2/4, best for both: joined
    plane z + 1  . 4 4 4 5 5        2-5: IoU 1: joined

Blocks count the pixels that pairs of objects share; what is joined follows from these
counts, and the ids are written together with everything else that changes them: memory
is bounded by a block and by the number of objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unetpp.inference._stages import Rows, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Counts = npt.NDArray[np.int64]
    Table = npt.NDArray[np.uint32]

MIN_IOU = 0.25
"""Intersection over union from which two objects can be sections of one."""


def link_planes(
    records: Iterable[tuple[int, bytes]], table: Table, sizes: Counts
) -> tuple[Table, int]:
    """Give one id to objects that go on from plane to plane.

    Parameters
    ----------
    records : iterable of (int, bytes)
        Blocks with the pixels shared with the plane before: packed ``first``,
        ``second`` (ids) and ``pixels``.
    table : ndarray of uint32, (n_ids + 1,)
        For each id in the records the number of the object, 1...n without gaps, or 0
        for those that are dropped.
    sizes : ndarray of int64, (n_ids + 1,)
        Pixels of each id.

    Returns
    -------
    ndarray of uint32, (n + 1,)
        The new id of each object; 0 stays 0.
    int
        Number of objects after joining.
    """
    shared = Rows(3)
    for _, record in records:
        block = unpack(record)
        first, second = table[block["first"]], table[block["second"]]
        kept = (first > 0) & (second > 0)
        shared.add(first[kept], second[kept], block["pixels"][kept])
    pixels = np.concatenate([[0], sizes[table > 0]])
    return _join(_sections(shared.columns(), pixels), len(pixels) - 1)


def _sections(found: Counts, sizes: Counts) -> Counts:
    """Return (2, n): the pairs of ids that are sections of one object."""
    n = len(sizes)
    first, second, pixels = found
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


def _join(pairs: Counts, n_objects: int) -> tuple[Table, int]:
    """Return the new id of each old one, and how many there are."""
    if n_objects == 0:
        return np.zeros(1, np.uint32), 0
    edges = coo_array(
        (np.ones(pairs.shape[1], bool), (pairs[0] - 1, pairs[1] - 1)),
        (n_objects, n_objects),
    )
    n_joined, group = connected_components(edges, directed=False)
    return np.concatenate([[0], group + 1]).astype(np.uint32), int(n_joined)
