"""From probabilities to objects, block by block, with ids that hold everywhere.

Objects start from seeds: connected pixels (along the axes, not diagonally) whose
probability of the interior passes a threshold. They grow by a seeded watershed over
the foreground, where the interior is likeliest first. A piece of foreground without a
seed is one object. Sweeps go over blocks of fixed size, so that memory stays bounded
and neither blocks nor the network's tiles show in the result::

    find     number seeds and seedless pieces in each block; note which touch at faces
    join     union-find over what touches; write one id for each seed
    grow     watershed in block + halo, the halo enlarged until the block is proved
    number   drop objects below the smallest size, close the gaps in the ids

Objects up to 512 pixels (3-D: 64) beyond a block's face are exactly those of a single
block as large as the image; larger ones are complete, but their border to another
object as large may lie elsewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import ndimage

from napari_unetpp._types import slices
from napari_unetpp.config import INSTANCE_CLASSES
from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._joins import Joins
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._watershed import UNSURE, grow
from napari_unetpp.tiling import TileGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import numpy.typing as npt

    from napari_unetpp._types import LazyArray
    from napari_unetpp.config import InstanceConfig
    from napari_unetpp.inference._joins import Joined
    from napari_unetpp.tiling import Tile

_BACKGROUND = INSTANCE_CLASSES.index("background")
_INTERIOR = INSTANCE_CLASSES.index("interior")
_STEPS = 255  # probabilities are compared in the steps in which they are stored


@dataclass(frozen=True, slots=True)
class Blocks:
    """How large blocks are.

    Attributes
    ----------
    edges : tuple of int
        Edges of a block in pixels, one for each spatial axis.
    halos : tuple of int
        Context on each side in pixels; the next is taken where one proves too small.
    """

    edges: tuple[int, ...]
    halos: tuple[int, ...]


BLOCKS = {2: Blocks((1024, 1024), (128, 512)), 3: Blocks((64, 192, 192), (32, 64))}
"""Blocks for 2-D and 3-D; a window stays below a gigabyte of memory."""


class LabelStore(Protocol):
    """Where labels go: a NumPy or zarr array of uint32, (*loops, *spatial)."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...

    def __setitem__(self, key: Any, value: Any, /) -> None: ...


def segment_instances(
    mean: LazyArray,
    config: InstanceConfig,
    labels: LabelStore,
    run_id: str,
    blocks: Blocks,
) -> Generator[BlockDone, None, int]:
    """Write the objects that probabilities show, every plane on its own.

    Parameters
    ----------
    mean : LazyArray, (3, *loops, *spatial)
        Probabilities of background, interior and boundary.
    config : InstanceConfig
        Thresholds and the smallest object kept.
    labels : LabelStore, (*loops, *spatial)
        Array of zeros that is filled with ids 1...n, unique over all planes.
    run_id : str
        Stands in the events.
    blocks : Blocks
        How large blocks are; their number of edges is that of the spatial axes.

    Yields
    ------
    BlockDone
        After each block of each sweep.

    Returns
    -------
    int
        Number of objects.
    """
    sweeps = _Sweeps(mean, config, labels, blocks)
    yield from _over(run_id, "find objects", sweeps.grids[0], sweeps.find)
    joined = sweeps.number_nodes()
    yield from _over(run_id, "join objects", sweeps.busy, sweeps.join)
    yield from _over(run_id, "grow objects", sweeps.busy, sweeps.grow)
    while sweeps.unfinished:
        again, sweeps.unfinished = sweeps.unfinished, []
        yield from _over(run_id, "grow large objects", again, sweeps.grow_on)
    sizes = sweeps.sizes
    kept = sizes >= max(config.min_size, 1)
    if kept.sum() < joined.n_objects:
        sweeps.table = (np.cumsum(kept) * kept).astype(np.uint32)
        yield from _over(run_id, "number objects", sweeps.busy, sweeps.join)
    return int(kept.sum())


class _Sweeps:
    """What the sweeps share: arrays, blocks, and what is known so far."""

    def __init__(
        self,
        mean: LazyArray,
        config: InstanceConfig,
        labels: LabelStore,
        blocks: Blocks,
    ) -> None:
        n, ones = len(blocks.edges), (1,) * len(blocks.edges)
        loops, shape = labels.shape[:-n], labels.shape[-n:]
        self.mean, self.labels = mean, labels
        self.grids = [
            TileGrid(shape, blocks.edges, (halo,) * n, ones, loops)
            for halo in blocks.halos
        ]
        self.busy: list[Tile] = []
        self.unfinished: list[Tile] = []
        self.sizes = np.zeros(1, np.int64)
        self.table = np.zeros(1, np.uint32)
        self._joins = Joins(shape)
        self._n_seeds = 0
        self._foreground = config.foreground_threshold * _STEPS
        self._seed = config.seed_threshold * _STEPS

    def find(self, tile: Tile) -> None:
        """Number the seeds and the seedless pieces of a block."""
        interior, mask = self._read((*tile.loop, *slices(tile.core)))
        if not mask.any():
            self._joins.touch(tile, None)
            return
        self.busy.append(tile)
        seeds, n_seeds = ndimage.label(mask & (interior > self._seed))
        pieces, n_pieces = ndimage.label(mask)
        seeded = np.zeros(n_pieces + 1, bool)
        seeded[pieces[seeds > 0]] = True
        before = self._joins.add(n_seeds, seeded[1:])
        nodes = np.stack([seeds, pieces]).astype(np.int64)
        for kind, offset in zip(nodes, before, strict=True):
            kind[kind > 0] += offset
        self._joins.touch(tile, nodes)
        index = (*tile.loop, *slices(tile.core))
        self.labels[index] = np.where(seeded[pieces], nodes[0], nodes[1]).astype(
            np.uint32
        )

    def number_nodes(self) -> Joined:
        """Give one id to what touches."""
        joined = self._joins.join()
        self.table, self._n_seeds = joined.table, joined.n_seeds
        self.sizes = np.zeros(joined.n_objects + 1, np.int64)
        return joined

    def join(self, tile: Tile) -> None:
        """Write the entries of the table in place of what a block holds."""
        index = (*tile.loop, *slices(tile.core))
        self.labels[index] = self.table[self.labels[index]]

    def grow(self, tile: Tile) -> None:
        """Grow the seeds of a block, in the smallest window that proves the result."""
        for grid in self.grids:
            window = grid[tile.index]
            interior, mask, ids = self._window(window)
            seeds = np.where((interior > self._seed) | (ids > self._n_seeds), ids, 0)
            cut = [
                (start > 0, stop < size)
                for (start, stop), size in zip(window.outer, grid.shape, strict=True)
            ]
            grown = grow(_STEPS - interior, mask, seeds, cut)[slices(window.crop)]
            if not (grown == UNSURE).any():
                break
        else:
            grown = grow(_STEPS - interior, mask, seeds, ())[slices(window.crop)]
        self._write(tile, mask[slices(window.crop)], grown, grown)

    def grow_on(self, tile: Tile) -> None:
        """Grow what has reached the window of a block from farther away."""
        window = self.grids[-1][tile.index]
        interior, mask, ids = self._window(window)
        crop = slices(window.crop)
        grown = grow(_STEPS - interior, mask, ids, ())[crop]
        self._write(tile, mask[crop], grown, grown[ids[crop] == 0])

    def _write(self, tile: Tile, mask: Any, grown: Any, fresh: Any) -> None:
        """Write a block, count the pixels in `fresh`, remember what is unfinished."""
        self.labels[(*tile.loop, *slices(tile.core))] = grown.astype(np.uint32)
        self.sizes += np.bincount(fresh[fresh > 0], minlength=len(self.sizes))
        if (mask & (grown == 0)).any():
            self.unfinished.append(tile)

    def _window(self, window: Tile) -> tuple[Any, Any, npt.NDArray[np.int32]]:
        """Read interior, mask and ids of a block with its halo."""
        index = (*window.loop, *slices(window.outer))
        return *self._read(index), self.labels[index].astype(np.int32)

    def _read(self, index: tuple[Any, ...]) -> tuple[Any, npt.NDArray[np.bool_]]:
        """Return the interior in steps (uint8) and the mask of the foreground."""
        wanted = slice(0, max(_BACKGROUND, _INTERIOR) + 1)
        steps = np.rint(read(self.mean, (wanted, *index)) * _STEPS).astype(np.uint8)
        return steps[_INTERIOR], _STEPS - steps[_BACKGROUND] > self._foreground


def _over(
    run_id: str, stage: str, tiles: Any, work: Callable[[Tile], None]
) -> Generator[BlockDone, None, None]:
    """Do `work` on each of `tiles` and say so."""
    start = time.monotonic()
    for n_done, tile in enumerate(tiles, start=1):
        work(tile)
        seconds = time.monotonic() - start
        yield BlockDone(run_id, stage, n_done, len(tiles), seconds)
