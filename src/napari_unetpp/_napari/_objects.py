"""Objects of a part of an image, found as in a run over all of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unetpp._types import slices
from napari_unetpp.config import InstanceConfig
from napari_unetpp.inference._instances import BlockWork, segment_instances
from napari_unetpp.inference._stages import LocalStages, blocks_for
from napari_unetpp.io import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp.tiling import Tile

    Bytes = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]
    Ids = npt.NDArray[np.uint32]

_THERE_ALREADY = 0.2
"""Share of an object that is labelled, from which on it is taken for labelled."""


@dataclass(frozen=True, slots=True, eq=False)
class NewObjects:
    """Objects that can be taken over.

    Attributes
    ----------
    ids : ndarray of uint32
        1...n, 0 elsewhere.
    left_out : ndarray of bool
        Foreground of no new object: what is there belongs to objects that the window
        cuts, or that are labelled already.
    n, n_cut, n_there : int
        Objects, those that the window cuts, those that are labelled already.
    """

    ids: Ids
    left_out: Mask
    n: int
    n_cut: int
    n_there: int


def new_objects(
    found: Bytes, known: Mask, free: Mask, open_sides: Sequence[tuple[bool, bool]]
) -> NewObjects:
    """Return the objects of a window that are whole and not labelled yet.

    Parameters
    ----------
    found : ndarray of uint8, (2, *S)
        Interior and foreground in steps of 1/255.
    known : ndarray of bool, (*S)
        Where something is predicted; an object that goes on where nothing is, is cut.
    free : ndarray of bool, (*S)
        Pixels that are not labelled.
    open_sides : sequence of (bool, bool)
        For each axis, whether the image goes on before and after the window.
    """
    ids = _objects(found)
    n_all = int(ids.max(initial=0))
    cut = np.zeros(n_all + 1, bool)
    cut[ids[_rim(known, open_sides)]] = True
    sizes = np.bincount(ids.ravel(), minlength=n_all + 1)
    taken = np.bincount(ids[~free], minlength=n_all + 1)
    there = taken > _THERE_ALREADY * sizes
    kept = (sizes > 0) & ~cut & ~there
    kept[0] = False
    table = (np.cumsum(kept) * kept).astype(np.uint32)
    return NewObjects(
        ids=table[ids],
        left_out=(ids > 0) & ~kept[ids],
        n=int(kept.sum()),
        n_cut=int((cut & ~there)[1:].sum()),
        n_there=int(there[1:].sum()),
    )


def _rim(known: Mask, open_sides: Sequence[tuple[bool, bool]]) -> Mask:
    """Return the pixels beside which the image goes on unseen."""
    rim: Mask = ndimage.binary_dilation(~known) & known
    for axis, (before, after) in enumerate(open_sides):
        face = np.moveaxis(rim, axis, 0)
        face[0] |= before
        face[-1] |= after
    return rim


def _objects(found: Bytes) -> Ids:
    """Return the objects 1...n of a window."""
    blocks = blocks_for(found.ndim - 1)
    config = InstanceConfig()
    arrays = _Window(found, *np.zeros((3, *found.shape[1:]), np.uint32))
    work = BlockWork(arrays, config, blocks)
    with Ledger.in_memory() as ledger:
        stages = LocalStages(ledger, work, "accept")
        deque(segment_instances(arrays, config, blocks, stages), maxlen=0)
    return arrays.nodes


class _Window:
    """What the stages read and write, all of it in memory."""

    def __init__(self, found: Bytes, nodes: Ids, one: Ids, other: Ids) -> None:
        self._found = found
        self.nodes = nodes
        self.grown = (one, other)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.nodes.shape

    def planes(self, index: tuple[int | slice, ...]) -> tuple[Bytes, Bytes]:
        return self._found[(0, *index)], self._found[(1, *index)]

    def write(self, tile: Tile, labels: npt.NDArray[Any]) -> None:
        # Nobody reads nodes any more when labels are written.
        place: tuple[int | slice, ...] = (*tile.loop, *slices(tile.core))
        self.nodes[place] = labels
