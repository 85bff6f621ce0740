"""Which pieces of neighbouring blocks are one: a union-find over the blocks' faces.

The nodes of a block are its seeds, numbered 1...n, and after them its pieces of
foreground; number 0 is where there is neither. In the graph of all blocks they stand
one block behind the other, each with its 0::

    block          0            1        3
    numbers    0 1 2 3 4    0 1 2    0 1 2 3
    graph      0 1 2 3 4    5 6 7    8 9 ...       starts = 0, 5, -1 (empty), 8

Seeds join seeds and pieces join pieces, so that a piece is known over all blocks. If
it holds one seed, or none, all of it is one object, and that is known without growing
anything. Only pieces with several seeds are contested.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_unetpp.inference._stages import Rows, counted_pairs, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from napari_unetpp.tiling import Tile, TileGrid

    Nodes = npt.NDArray[np.integer[Any]]
    Counts = npt.NDArray[np.int64]

SEED, CONTESTED = 1, 2
"""Kinds of nodes: seeds and pieces without any; pieces with several. Others are 0."""
_PIECE, _NOTHING = 0, 3


@dataclass(frozen=True, slots=True)
class Joined:
    """What the union-find found.

    Attributes
    ----------
    starts : ndarray of int64, (n_blocks,)
        Where the nodes of each block begin in `ids`; -1 for blocks without any.
    ids : ndarray of uint32
        Object of each node. Seeds come first; number 0 of a block and contested pieces
        have id 0.
    kinds : ndarray of uint8
        Kind of each node.
    sizes : ndarray of int64, (n_objects + 1,)
        Pixels of each object, but for those of contested pieces.
    contested : ndarray of bool, (n_blocks,)
        Whether a block has contested pieces.
    """

    starts: Counts
    ids: npt.NDArray[np.uint32]
    kinds: npt.NDArray[np.uint8]
    sizes: Counts
    contested: npt.NDArray[np.bool_]


def block_record(
    tile: Tile,
    shape: tuple[int, ...],
    numbers: Nodes,
    pieces: Nodes,
    owners: Counts,
    sizes: Counts,
) -> bytes:
    """Return what joining needs to know of a block.

    Parameters
    ----------
    tile : Tile
        The block.
    shape : tuple of int
        Of the plane or volume it lies in.
    numbers : ndarray of int, (*core)
        Number of the node at each pixel: a seed, or a piece where no seed is.
    pieces : ndarray of int, (*core)
        Piece of foreground at each pixel, from 1 up.
    owners : ndarray of int, (n_seeds,)
        Piece in which each seed lies.
    sizes : ndarray of int, (1 + n_seeds + n_pieces,)
        Pixels of each node.
    """
    n_seeds = len(owners)
    faces = {}
    for axis, ((start, stop), size) in enumerate(zip(tile.core, shape, strict=True)):
        sides = {"low": (0, start > 0), "high": (-1, stop < size)}
        for side, (at, goes_on) in sides.items():
            if goes_on:
                of_nodes, of_pieces = (np.take(x, at, axis) for x in (numbers, pieces))
                of_seeds = np.where(of_nodes <= n_seeds, of_nodes, 0)
                of_pieces = np.where(of_pieces > 0, of_pieces + n_seeds, 0)
                faces[f"{side} {axis}"] = np.stack([of_seeds, of_pieces])
    return pack(owners=owners + n_seeds, sizes=sizes, **faces)


def join(grid: TileGrid, records: Iterable[tuple[int, bytes]]) -> Joined:
    """Give one id to all nodes that touch, directly or by way of others.

    Parameters
    ----------
    grid : TileGrid
        The blocks.
    records : iterable of (int, bytes)
        Blocks, rising, with their `block_record`, empty for blocks without nodes.
    """
    graph = _Graph(grid)
    for index, record in records:
        if record:
            graph.add(index, unpack(record))
    return graph.joined()


class _Graph:
    """Nodes of the blocks so far, and which of them touch."""

    def __init__(self, grid: TileGrid) -> None:
        n_blocks = grid.n_blocks
        self._steps = [math.prod(n_blocks[k + 1 :]) for k in range(len(n_blocks))]
        self._starts = np.full(len(grid), -1, np.int64)
        self._kinds = bytearray()
        self._sizes = array("q")
        self._pairs, self._owners = Rows(2), Rows(2)
        # High faces, for each axis, by the block that will touch them: those rise too.
        self._faces: list[deque[tuple[int, int, Nodes]]] = [deque() for _ in n_blocks]

    def add(self, index: int, block: dict[str, npt.NDArray[Any]]) -> None:
        """Add a block behind those that came before."""
        start = self._starts[index] = len(self._kinds)
        owners, sizes = block["owners"], block["sizes"]
        kinds = np.full(len(sizes), _PIECE, np.uint8)
        kinds[0] = _NOTHING
        kinds[1 : 1 + len(owners)] = SEED
        self._kinds += kinds.tobytes()
        self._sizes.frombytes(sizes.astype(np.int64).tobytes())
        self._owners.add(start + 1 + np.arange(len(owners)), start + owners)
        for axis, (faces, step) in enumerate(
            zip(self._faces, self._steps, strict=True)
        ):
            while faces and faces[0][0] < index:
                faces.popleft()
            if faces and faces[0][0] == index:
                _, start_before, before = faces.popleft()
                first, second, _ = counted_pairs(before, block[f"low {axis}"])
                self._pairs.add(first + start_before, second + start)
            if f"high {axis}" in block:
                faces.append((index + step, int(start), block[f"high {axis}"]))

    def joined(self) -> Joined:
        kinds = np.frombuffer(self._kinds, np.uint8).copy()
        n = len(kinds)
        if n == 0:
            none = np.zeros(len(self._starts), bool)
            one = np.zeros(1, np.int64)
            return Joined(self._starts, one.astype(np.uint32), kinds, one, none)
        first, second = self._pairs.columns()
        edges = coo_array((np.ones(len(first), bool), (first, second)), (n, n))
        n_groups, group = connected_components(edges, directed=False)
        ids, of_group = self._objects(kinds, group, n_groups)
        table, kinds = ids[group], of_group[group]
        sizes = np.zeros(int(ids.max()) + 1, np.int64)
        np.add.at(sizes, table, np.frombuffer(self._sizes, np.int64))
        sizes[0] = 0
        return Joined(self._starts, table, kinds, sizes, self._blocks_with(kinds))

    def _objects(
        self, kinds: Nodes, group: Nodes, n_groups: int
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
        """Return object and kind of each group."""
        is_seed, is_piece = np.zeros((2, n_groups), bool)
        is_seed[group[kinds == SEED]] = True  # a group is all seeds or all pieces
        is_piece[group[kinds == _PIECE]] = True
        ids = np.cumsum(is_seed) * is_seed
        n_seeds = int(is_seed.sum())
        seed, piece = (group[column] for column in self._owners.columns())
        lowest, highest = np.full(n_groups, n_seeds + 1), np.zeros(n_groups, np.int64)
        np.minimum.at(lowest, piece, ids[seed])
        np.maximum.at(highest, piece, ids[seed])
        seedless = is_piece & (highest == 0)
        ids += (n_seeds + np.cumsum(seedless)) * seedless
        ids += highest * (lowest == highest)
        found = (is_seed | seedless).astype(np.uint8) * np.uint8(SEED)
        found[lowest < highest] = CONTESTED
        return ids.astype(np.uint32), found

    def _blocks_with(self, kinds: Nodes) -> npt.NDArray[np.bool_]:
        """Return which blocks have contested pieces."""
        blocks = np.flatnonzero(self._starts >= 0)
        found = np.zeros(len(self._starts), bool)
        found[blocks] = np.logical_or.reduceat(kinds == CONTESTED, self._starts[blocks])
        return found
