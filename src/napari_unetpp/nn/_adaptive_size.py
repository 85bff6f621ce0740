"""How large the blocks and rows of an adaptive stream are, and what memory it takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_unetpp.nn._graph import graph_of
from napari_unetpp.nn._receptive_field import receptive_field
from napari_unetpp.nn._stage import level_sizes

if TYPE_CHECKING:
    import torch

    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn._graph import Node

_LEAST_ROWS = {2: 8, 3: 2}
"""Rows of a map for which it is asked together what must be computed, at least."""


def edges_at(config: NetworkConfig, level: int) -> tuple[int, ...]:
    """Return the edges of a block in pixels of a level."""
    edges = config.alignment()
    for stride in config.level_strides[:level]:
        edges = tuple(n // s for n, s in zip(edges, stride, strict=True))
    return edges


def rows_at_once(config: NetworkConfig, level: int) -> int:
    """Return for how many rows of a level it is asked together what is wanted."""
    edge = edges_at(config, level)[0]
    return edge * max(1, _LEAST_ROWS[config.spatial_dims] // edge)


def waiting_rows(config: NetworkConfig, node: Node) -> int:
    """Return how many more rows of a node are kept, until all gates have decided."""
    n_gates = config.depth - max(node.depth, 1)
    least = rows_at_once(config, node.level)
    return n_gates * (4 * edges_at(config, node.level)[0] + least) + least


def adaptive_bytes(
    config: NetworkConfig, inner: tuple[int, ...], dtype: torch.dtype, plain: int
) -> int:
    """Return the memory that a stream takes at most, in bytes, before there is one.

    Parameters
    ----------
    config : NetworkConfig
        That of the pruned network (`FusedNetwork.config`).
    inner : tuple of int
        Sizes of the region along all spatial axes but the first.
    dtype : torch.dtype
        Of the feature maps.
    plain : int
        What a stream of all levels takes (`stream_bytes`).
    """
    total, pixels = 3 * plain // 2, math.prod(inner)
    sizes = level_sizes(config, (1, *inner))
    for node in graph_of(config, range(1, config.depth + 1)):
        a_row = math.prod(sizes[node.level][1:]) * config.widths[node.level]
        brief = 8 * (rows_at_once(config, node.level) + 4)  # of the steps before it
        kept = 3 * waiting_rows(config, node) // 2 + 2 * brief
        total += kept * a_row * dtype.itemsize
    lag = receptive_field(config, config.depth)[0] + 8 * config.alignment()[0]
    lag += (config.depth - 1) * 4 * config.alignment()[0]
    return total + 4 * 4 * config.depth * config.out_channels * lag * pixels
