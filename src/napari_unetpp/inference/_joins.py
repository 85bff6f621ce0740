"""Which pieces of neighbouring blocks are one: a union-find over the blocks' faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp.tiling import Tile

    Nodes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Joined:
    """What the union-find found.

    Attributes
    ----------
    table : ndarray of uint32
        Object of each node; entry 0 stands for no node. Ids 1...n_seeds belong to
        seeds, those above to pieces without a seed; pieces with a seed have id 0.
    n_seeds, n_objects : int
        Seeds, and seeds with seedless pieces.
    """

    table: npt.NDArray[np.uint32]
    n_seeds: int
    n_objects: int


@dataclass(slots=True)
class Joins:
    """Nodes (seeds, and pieces of foreground, of each block) and which of them touch.

    Blocks are added in the order of their grid, planes apart from each other.
    """

    shape: tuple[int, ...]
    """Size of a plane or volume in pixels."""
    n: int = 0
    """Nodes so far; they count from 1."""
    _is_seed: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    _has_seed: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    _pairs: list[Nodes] = field(default_factory=list)
    _faces: dict[Any, Nodes] = field(default_factory=dict)

    def add(self, n_seeds: int, seeded: npt.NDArray[np.bool_]) -> tuple[int, int]:
        """Add the nodes of a block.

        Parameters
        ----------
        n_seeds : int
            Number of seeds.
        seeded : ndarray of bool, (n_pieces,)
            For each piece of foreground whether it holds a seed.

        Returns
        -------
        tuple of int
            Numbers of nodes before the first seed and before the first piece.
        """
        before = self.n
        self._is_seed.append(np.arange(n_seeds + len(seeded)) < n_seeds)
        self._has_seed.append(np.concatenate([np.zeros(n_seeds, bool), seeded]))
        self.n += n_seeds + len(seeded)
        return before, before + n_seeds

    def touch(self, tile: Tile, nodes: Nodes | None) -> None:
        """Note what touches the blocks before `tile`; keep what later blocks need.

        Parameters
        ----------
        tile : Tile
            The block.
        nodes : ndarray of int64, (2, *core), optional
            Node of each pixel's seed and of its piece, 0 for none; left out where the
            block is empty.
        """
        for axis, (start, stop) in enumerate(tile.core):
            rest = tile.core[:axis] + tile.core[axis + 1 :]
            before = self._faces.pop((tile.loop, axis, start, rest), None)
            if nodes is None:
                continue
            if before is not None:
                low = np.take(nodes, 0, axis + 1)
                both = (low > 0) & (before > 0)
                self._pairs.append(
                    np.unique(np.stack([before[both], low[both]]), axis=1)
                )
            if stop < self.shape[axis]:
                high = np.take(nodes, -1, axis + 1)
                self._faces[tile.loop, axis, stop, rest] = high

    def join(self) -> Joined:
        """Return one id for all nodes that touch, directly or by way of others."""
        if self.n == 0:
            return Joined(np.zeros(1, np.uint32), 0, 0)
        first, second = np.concatenate([np.zeros((2, 0), int), *self._pairs], axis=1)
        edges = coo_array(
            (np.ones(len(first), bool), (first - 1, second - 1)), (self.n, self.n)
        )
        n_groups, group = connected_components(edges, directed=False)
        is_seed = np.zeros(n_groups, bool)
        is_seed[group] = np.concatenate(self._is_seed)  # a group is all of one kind
        has_seed = np.bincount(group, np.concatenate(self._has_seed), n_groups) > 0
        seedless = ~is_seed & ~has_seed
        n_seeds = int(is_seed.sum())
        ids = np.cumsum(is_seed) * is_seed
        ids += (n_seeds + np.cumsum(seedless)) * seedless
        table = np.concatenate([[0], ids[group]]).astype(np.uint32)
        return Joined(table, n_seeds, n_seeds + int(seedless.sum()))
