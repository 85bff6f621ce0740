"""The steps of a node, and how many rows go through them together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn._graph import Node
    from napari_unetpp.nn._steps import Step

BLOCK_BYTES = 2**21
"""Size of a map of level 0 that goes through the network together: deep levels have
few pixels of it, and each call of a kernel has a price."""

CACHED = 2**18
"""Values of a map that are computed together, so that the cache has them when read."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The steps that compute a node.

    Attributes
    ----------
    node : Node
        What is computed.
    steps : tuple of Step
        The change of level, unless the node reads the image, and two convolutions.
    most : int
        Rows that a step computes before the next one goes on with them.
    """

    node: Node
    steps: tuple[Step, ...]
    most: int

    def advance(self, limit: int | None = None) -> bool:
        """Compute up to `limit` rows of what there can be; say whether there were any.

        By default all that can be are computed.
        """
        target = self.steps[-1].target
        begun = target.stop
        goes_on = True
        while goes_on:
            left = self.most if limit is None else limit - (target.stop - begun)
            goes_on = False
            for step in self.steps:
                goes_on |= left > 0 and step.advance(min(left, self.most))
        return target.stop > begun


def block_rows(
    config: NetworkConfig, inner: tuple[int, ...], dtype: torch.dtype
) -> int:
    """Return how many rows go through the network together."""
    multiple = config.alignment()[0]
    a_row = math.prod(inner) * config.widths[0] * dtype.itemsize
    return multiple * max(1, BLOCK_BYTES // (a_row * multiple))


def level_sizes(
    config: NetworkConfig, size: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """Return the size of the maps of every level for a region of `size` pixels."""
    sizes = [size]
    for stride in config.level_strides:
        sizes.append(tuple(n // s for n, s in zip(sizes[-1], stride, strict=True)))
    return tuple(sizes)
