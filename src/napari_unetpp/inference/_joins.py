"""Which pieces of neighbouring blocks are one: a union-find over the blocks' faces.

The nodes of a block are its seeds, numbered 1...n, and after them its pieces of
foreground; number 0 is where there is neither. In the graph of all blocks they stand
one block behind the other, each with its 0::

    block          0            1        3
    numbers    0 1 2 3 4    0 1 2    0 1 2 3
    graph      0 1 2 3 4    5 6 7    8 9 ...       starts = 0, 5, -1 (empty), 8
"""

from __future__ import annotations

import math
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

_SEEDLESS, _SEEDED, _SEED = range(3)  # kinds of nodes; number 0 of a block is _SEEDED


@dataclass(frozen=True, slots=True)
class Joined:
    """What the union-find found.

    Attributes
    ----------
    starts : ndarray of int64, (n_blocks,)
        Where the nodes of each block begin in `ids`; -1 for blocks without any.
    ids : ndarray of uint32
        Object of each node. Seeds come first; number 0 of a block and pieces with a
        seed, in this block or another, have id 0.
    n_objects : int
        Seeds, and pieces without a seed.
    """

    starts: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint32]
    n_objects: int


def block_record(
    tile: Tile, shape: tuple[int, ...], seeds: Nodes, pieces: Nodes, seeded: Nodes
) -> bytes:
    """Return what joining needs to know of a block.

    Parameters
    ----------
    tile : Tile
        The block.
    shape : tuple of int
        Of the plane or volume it lies in.
    seeds, pieces : ndarray of int, (*core)
        Number of the seed and of the piece of foreground at each pixel.
    seeded : ndarray of bool, (n_pieces,)
        For each piece whether it holds a seed.
    """
    n_seeds = int(seeds.max())
    faces = {}
    for axis, ((start, stop), size) in enumerate(zip(tile.core, shape, strict=True)):
        sides = {"low": (0, start > 0), "high": (-1, stop < size)}
        for side, (at, goes_on) in sides.items():
            if goes_on:
                of_seeds, of_pieces = (np.take(x, at, axis) for x in (seeds, pieces))
                of_pieces[of_pieces > 0] += n_seeds
                faces[f"{side} {axis}"] = np.stack([of_seeds, of_pieces])
    kinds = np.full(1 + n_seeds + len(seeded), _SEEDED, np.uint8)
    kinds[1 : 1 + n_seeds] = _SEED
    kinds[1 + n_seeds :][~seeded] = _SEEDLESS
    return pack(kinds=kinds, **faces)


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
        self._pairs = Rows(2)
        # High faces, for each axis, by the block that will touch them: those rise too.
        self._faces: list[deque[tuple[int, int, Nodes]]] = [deque() for _ in n_blocks]

    def add(self, index: int, block: dict[str, npt.NDArray[Any]]) -> None:
        """Add a block behind those that came before."""
        start = self._starts[index] = len(self._kinds)
        self._kinds += block["kinds"].tobytes()
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
        kinds = np.frombuffer(self._kinds, np.uint8)
        n = len(kinds)
        if n == 0:
            return Joined(self._starts, np.zeros(1, np.uint32), 0)
        first, second = self._pairs.columns()
        edges = coo_array((np.ones(len(first), bool), (first, second)), (n, n))
        n_groups, group = connected_components(edges, directed=False)
        is_seed, has_seed = np.zeros((2, n_groups), bool)
        is_seed[group[kinds == _SEED]] = True  # a group is all seeds or all pieces
        has_seed[group[kinds == _SEEDED]] = True
        seedless = ~is_seed & ~has_seed
        n_seeds = int(is_seed.sum())
        ids = np.cumsum(is_seed) * is_seed
        ids += (n_seeds + np.cumsum(seedless)) * seedless
        table = ids.astype(np.uint32)[group]
        return Joined(self._starts, table, n_seeds + int(seedless.sum()))
