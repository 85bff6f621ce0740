"""From probabilities to objects, block by block, with ids that hold everywhere.

Objects start from seeds: connected pixels (along the axes, not diagonally) whose
probability of the interior passes a threshold. A piece of foreground with one seed or
none is one object; where it has several they grow by a seeded watershed, where the
interior is likeliest first. Stages go over blocks of fixed size, so that memory stays
bounded and neither blocks nor the network's tiles show in the result::

    find     number seeds and pieces in each block; note what lies at its faces
    (join)   union-find over what touches: the id of each seed, and of each piece with
             at most one
    grow 0   in blocks with other pieces: watershed, the halo enlarged until proved
    grow 1.. go on where objects are larger, from what the blocks around hold by now
    compare  count which objects lie over which of the plane before (planes linked)
    number   drop objects below the smallest size, close the gaps in the ids

Objects up to 512 pixels (3-D: 64) beyond a block's face are exactly those of a single
block as large as the image; larger ones are complete, but their border to another
object as large, in the same piece, may lie elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_unetpp._types import slices
from napari_unetpp.inference._growing import STEPS, Growing
from napari_unetpp.inference._joins import block_record, join
from napari_unetpp.inference._linking import link_planes
from napari_unetpp.inference._stages import (
    COMPARE,
    FIND,
    NUMBER,
    counted,
    counted_pairs,
    grow_stage,
    pack,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    import numpy.typing as npt

    from napari_unetpp.config import InstanceConfig
    from napari_unetpp.inference._events import BlockDone
    from napari_unetpp.inference._joins import Joined
    from napari_unetpp.inference._stages import (
        Blocks,
        Bytes,
        Integers,
        LabelArrays,
        Stages,
        State,
    )
    from napari_unetpp.tiling import Tile, TileGrid

    Ids = npt.NDArray[np.integer[Any]]
    Mask = npt.NDArray[np.bool_]


def segment_instances(
    arrays: LabelArrays,
    config: InstanceConfig,
    blocks: Blocks,
    stages: Stages,
    *,
    empty: npt.NDArray[np.bool_] | None = None,
    link_axis: int | None = None,
) -> Generator[BlockDone, None, int]:
    """Have the objects found that probabilities show, every plane on its own.

    What has been done by an earlier run is not done again: called once more with the
    same arguments after it was stopped, the result is that of a run in one go.

    Parameters
    ----------
    arrays : LabelArrays
        What `stages` read and write.
    config : InstanceConfig
        Thresholds and the smallest object kept.
    blocks : Blocks
        How large blocks are; their number of edges is that of the spatial axes.
    stages : Stages
        Has `BlockWork` done for the same arguments.
    empty : ndarray of bool, (n_blocks,), optional
        Blocks known to hold no foreground; they are neither read nor written.
    link_axis : int, optional
        Loop axis whose neighbouring planes are joined (see `link_planes`).

    Yields
    ------
    BlockDone
        After each block of each stage.

    Returns
    -------
    int
        Number of objects; the labels hold ids 1...n, unique over all planes.
    """
    grid = blocks.grid(arrays.shape)
    wanted = np.arange(len(grid)) if empty is None else np.flatnonzero(~empty)
    yield from stages.run(FIND, wanted, {})
    joined = join(grid, stages.records(FIND))
    sizes, versions = yield from _grow(stages, joined, _Nearness(grid, blocks))
    busy = joined.starts >= 0
    known: State = {"starts": joined.starts, "ids": joined.ids, "versions": versions}
    kept = sizes >= max(config.min_size, 1)
    table, n_objects = (np.cumsum(kept) * kept).astype(np.uint32), int(kept.sum())
    if link_axis is not None:
        above = _blocks_above(busy.reshape(*grid.loop_shape, -1), link_axis)
        state = {**known, "axis": np.array(link_axis)}
        yield from stages.run(COMPARE, above, state)
        joins, n_objects = link_planes(stages.records(COMPARE), table, sizes)
        table = joins[table]
    state = {**known, "table": table}
    yield from stages.run(NUMBER, np.flatnonzero(busy), state)
    return n_objects


def _grow(
    stages: Stages, joined: Joined, nearness: _Nearness
) -> Generator[BlockDone, None, tuple[Integers, npt.NDArray[np.int32]]]:
    """Grow until all foreground is labelled; return sizes and versions.

    A block is grown again while pixels of it are left, whenever something has changed
    within its reach. Blocks without contested pieces are not grown: no version.
    """
    sizes = joined.sizes.copy()
    versions = np.full(len(joined.starts), -1, np.int32)  # the last of each block
    unfinished, changed = np.zeros((2, len(versions)), bool)
    active = np.flatnonzero(joined.contested)
    tables: State = {"starts": joined.starts, "ids": joined.ids}
    state: State = {**tables, "kinds": joined.kinds}
    turn = 0
    while len(active):
        yield from stages.run(grow_stage(turn), active, state)
        changed[:] = False
        for index, record in stages.records(grow_stage(turn)):
            found = unpack(record)
            sizes[found["ids"]] += found["sizes"]
            changed[index] = len(found["ids"]) > 0
            unfinished[index] = bool(found["unfinished"])
        versions[active] += 1
        active = np.flatnonzero(unfinished & nearness.to(changed))
        state = {**tables, "versions": versions.copy()}
        turn += 1
    return sizes, versions


class _Nearness:
    """Which blocks see which others in their largest window."""

    def __init__(self, grid: TileGrid, blocks: Blocks) -> None:
        halo = max(blocks.halos)
        self._shape = grid.loop_shape + grid.n_blocks
        reach = [2 * -(-halo // edge) + 1 for edge in blocks.edges]
        self._reach = [1] * len(grid.loop_shape) + reach

    def to(self, chosen: Mask) -> Mask:
        """Return the blocks, (n_blocks,), whose window meets one of those `chosen`."""
        placed = chosen.reshape(self._shape).view(np.uint8)
        near: Bytes = ndimage.maximum_filter(placed, self._reach, mode="constant")
        return near.ravel() > 0


def _blocks_above(busy: Mask, axis: int) -> Integers:
    """Return the busy blocks over busy ones of the plane before along a loop axis."""
    both = np.zeros_like(busy)
    here, before = np.moveaxis(both, axis, 0)[1:], np.moveaxis(busy, axis, 0)
    here[:] = before[1:] & before[:-1]
    return np.flatnonzero(both)


class BlockWork:
    """What is done at a block in each stage: ``work(stage, index, state)``.

    A piece may be done in any process, whenever the stages before are complete, and
    done again: it depends on `state` and on what those stages left, on nothing else.

    Parameters
    ----------
    arrays : LabelArrays
        What is read and written.
    config : InstanceConfig
        Thresholds.
    blocks : Blocks
        How large blocks are.
    """

    def __init__(
        self, arrays: LabelArrays, config: InstanceConfig, blocks: Blocks
    ) -> None:
        self._arrays = arrays
        self._grid = blocks.grid(arrays.shape)
        self._foreground = config.foreground_threshold * STEPS
        self._seed = config.seed_threshold * STEPS
        self._growing = Growing(arrays, self._grid, blocks.halos, self._foreground)

    def __call__(self, stage: str, index: int, state: State) -> bytes:
        """Do a piece.

        Parameters
        ----------
        stage : str
            What.
        index : int
            At which block.
        state : mapping of str to ndarray
            What was decided before this stage, the same for all its pieces.

        Returns
        -------
        bytes
            What later stages need to know of it.
        """
        if stage == FIND:
            return self._find(self._grid[index])
        if stage == COMPARE:
            return self._compare(self._grid[index], state)
        if stage == NUMBER:
            return self._number(self._grid[index], state)
        return self._grow(self._grid[index], stage, state)

    def _find(self, tile: Tile) -> bytes:
        """Number the seeds and the pieces of a block."""
        interior, foreground = self._arrays.planes(_place(tile))
        mask = foreground > self._foreground
        if not mask.any():
            return b""
        is_seed = mask & (interior > self._seed)
        seeds, n_seeds = ndimage.label(is_seed)
        pieces, n_pieces = ndimage.label(mask)
        inside, beside = np.flatnonzero(is_seed), np.flatnonzero(mask & ~is_seed)
        numbers = seeds.ravel()[inside], pieces.ravel()[beside] + n_seeds
        owners = np.zeros(n_seeds + 1, np.int64)
        owners[numbers[0]] = pieces.ravel()[inside]
        sizes = np.bincount(numbers[0], minlength=1 + n_seeds + n_pieces)
        sizes += np.bincount(numbers[1], minlength=len(sizes))
        seeds.ravel()[beside] = numbers[1]  # from here on all nodes
        self._arrays.nodes[_place(tile)] = seeds.view(np.uint32)
        shape = self._grid.shape
        return block_record(tile, shape, seeds, pieces, owners[1:], sizes)

    def _grow(self, tile: Tile, stage: str, state: State) -> bytes:
        """Grow objects in a block: its own, and in later turns those around it."""
        if stage == grow_stage(0):
            version, (grown, left) = 0, self._growing.first(tile, state)
        else:
            version = int(state["versions"][tile.index]) + 1
            grown, left = self._growing.further(tile, state)
        self._arrays.grown[version % 2][_place(tile)] = grown.view(np.uint32)
        ids, sizes = counted(grown[left])
        return pack(ids=ids[ids > 0], sizes=sizes[ids > 0], unfinished=(ids == 0).any())

    def _compare(self, tile: Tile, state: State) -> bytes:
        """Count which objects of a block lie over which of the plane before."""
        axis = int(state["axis"])
        loop = tuple(at - (k == axis) for k, at in enumerate(tile.loop))
        (before,) = self._grid.tiles_meeting(tile.core, loop)
        first, second, pixels = counted_pairs(
            self._growing.ids(before, _place(before), state),
            self._growing.ids(tile, _place(tile), state),
        )
        return pack(first=first, second=second, pixels=pixels)

    def _number(self, tile: Tile, state: State) -> bytes:
        """Write the final labels of a block."""
        ids = self._growing.ids(tile, _place(tile), state)
        self._arrays.write(tile, state["table"].take(ids))
        return b""


def _place(tile: Tile) -> tuple[Any, ...]:
    """Return the index of a block in arrays of (*loops, *spatial)."""
    return (*tile.loop, *slices(tile.core))
