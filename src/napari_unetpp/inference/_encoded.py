"""What is kept of the probabilities of a tile, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.tiling import Tile


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """What is written of a tile.

    Attributes
    ----------
    values : mapping of str to ndarray
        By the name of the array that takes it, (..., *core).
    record : bytes
        What later stages want to know without reading the tile; the larger of those
        of two parts is that of both.
    """

    values: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    record: bytes = b""


def joined(parts: Sequence[EncodedTile], n_axes: int) -> EncodedTile:
    """Return a tile of parts that lie one below the other.

    Parameters
    ----------
    parts : sequence of EncodedTile
        From the top to the bottom.
    n_axes : int
        Number of spatial axes, the last ones of each array; the first of these grows.
    """
    if len(parts) == 1:
        return parts[0]
    return EncodedTile(
        {
            name: np.concatenate([part.values[name] for part in parts], axis=-n_axes)
            for name in parts[0].values
        },
        max(part.record for part in parts),
    )


def placed(part: EncodedTile, box: Box, core: Box) -> EncodedTile:
    """Return a tile of which only a part is known; the rest is 0, as if not done.

    Parameters
    ----------
    part : EncodedTile
        What is known.
    box, core : Box
        The part, and the tile's core.
    """
    if box == core:
        return part
    shape = tuple(stop - start for start, stop in core)
    inner = zip(box, core, strict=True)
    index: Any = (..., *(slice(a - first, b - first) for (a, b), (first, _) in inner))
    values = {}
    for name, known in part.values.items():
        leading = known.shape[: known.ndim - len(shape)]
        values[name] = np.zeros(leading + shape, known.dtype)
        values[name][index] = known
    return EncodedTile(values, part.record)


def told_depths(
    depths: npt.NDArray[np.uint8] | None,
    shape: tuple[int, ...],
    inside: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.uint8]:
    """Return the deepest levels computed, (*core), 0 where nothing tells of them."""
    if depths is None:
        return np.zeros(shape, np.uint8)
    return depths if inside is None else depths * inside


class Sink(Protocol):
    """Where tiles go. One thread encodes and writes, tile after tile."""

    def encode(
        self,
        probabilities: FloatArray,
        inside: npt.NDArray[np.bool_] | None = None,
        *,
        preview: bool = False,
        depths: npt.NDArray[np.uint8] | None = None,
    ) -> EncodedTile:
        """Return what is written of (H, K, *core), what the heads say about a core.

        Outside of `inside`, (*core), there is nothing. A preview has head 1 alone.
        `depths`, (*core), are the deepest levels computed, where they differ.
        """

    def write(self, tile: Tile, encoded: EncodedTile) -> None:
        """Keep what `encode` has made for the core of `tile`."""

    def skip(self, tile: Tile) -> None:
        """Note that there is nothing in the core of `tile`."""
