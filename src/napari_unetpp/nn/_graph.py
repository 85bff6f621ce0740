"""Which nodes a network has, what each reads, and in which order they are computed.

UNet++ and U-Net are one kind of graph: node X[i, j] reads nodes of its own level and
one of the level below, or the node above it. What no wanted head depends on is left
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.config import NetworkConfig

Place = tuple[int, int]
"""Level i and place j of the node X[i, j]."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node X[i, j] and what it reads.

    Attributes
    ----------
    place : tuple of int
        (i, j).
    skips : tuple of tuple of int
        Nodes of the same level whose maps are read, in the order of the channels.
    lower : tuple of int, optional
        Node of level i + 1 that is up-sampled and read after the skips.
    upper : tuple of int, optional
        Node of level i - 1 that is pooled and read; with none, X[0, 0] reads the image.
    head : int, optional
        Number of the head on this node that is wanted.
    """

    place: Place
    skips: tuple[Place, ...] = ()
    lower: Place | None = None
    upper: Place | None = None
    head: int | None = None

    @property
    def level(self) -> int:
        """How many times the node's maps were pooled."""
        return self.place[0]

    @property
    def depth(self) -> int:
        """Deepest level that the node depends on, i + j."""
        return sum(self.place)


def graph_of(config: NetworkConfig, heads: Sequence[int]) -> tuple[Node, ...]:
    """Return the nodes that some heads need, each after all that it reads.

    Parameters
    ----------
    config : NetworkConfig
        The whole network.
    heads : sequence of int
        Numbers of the heads, in rising order; a U-Net has only the last, L.

    Raises
    ------
    SettingsError
        If there is no such head, or none is named.
    """
    last = config.depth
    there = (
        range(last, last + 1) if config.architecture == "unet" else range(1, last + 1)
    )
    if not heads or list(heads) != sorted(set(heads)) or not set(heads) <= set(there):
        raise SettingsError(
            f"heads={tuple(heads)}: name one or more of {tuple(there)}, each once, in"
            " rising order"
        )
    if config.architecture == "unet":
        return _unet(last)
    return _unetpp(heads)


def _unetpp(heads: Sequence[int]) -> tuple[Node, ...]:
    """Order the nodes diagonal by diagonal: shallow heads are done before deep ones."""
    nodes = []
    for depth in range(max(heads) + 1):
        for j in range(depth + 1):
            i = depth - j
            if j == 0:
                nodes.append(Node((i, 0), upper=(i - 1, 0) if i else None))
                continue
            nodes.append(
                Node(
                    (i, j),
                    skips=tuple((i, q) for q in range(j)),
                    lower=(i + 1, j - 1),
                    head=j if i == 0 and j in heads else None,
                )
            )
    return tuple(nodes)


def _unet(depth: int) -> tuple[Node, ...]:
    """Order encoder and decoder; the decoder's node of level i is X[i, L - i]."""
    nodes = [Node((i, 0), upper=(i - 1, 0) if i else None) for i in range(depth + 1)]
    for i in reversed(range(depth)):
        nodes.append(
            Node(
                (i, depth - i),
                skips=((i, 0),),
                lower=(i + 1, depth - i - 1),
                head=depth if i == 0 else None,
            )
        )
    return tuple(nodes)
