"""What is kept of the probabilities of a tile, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.tiling import Tile


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """What is written of a tile.

    Attributes
    ----------
    values : mapping of str to ndarray
        By the name of the array that takes it, (..., *core).
    record : bytes
        What later stages want to know without reading the tile.
    """

    values: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    record: bytes = b""


class Sink(Protocol):
    """Where tiles go. One thread encodes and writes, tile after tile."""

    def encode(
        self,
        probabilities: FloatArray,
        inside: npt.NDArray[np.bool_] | None = None,
        *,
        preview: bool = False,
    ) -> EncodedTile:
        """Return what is written of (H, K, *core), what the heads say about a core.

        Outside of `inside`, (*core), there is nothing. A preview has head 1 alone.
        """

    def write(self, tile: Tile, encoded: EncodedTile) -> None:
        """Keep what `encode` has made for the core of `tile`."""

    def skip(self, tile: Tile) -> None:
        """Note that there is nothing in the core of `tile`."""
