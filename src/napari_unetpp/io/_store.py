"""Where a prediction grows tile by tile, and the lazy arrays that look into it.

One zarr array ``probabilities[head, class, *loops, *spatial]``. Its chunks are the
cores of the tiles, so that each chunk has one writer and needs no lock. What has not
been predicted yet reads as 0.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import zarr
from zarr.codecs import BloscCodec

from napari_unetpp._types import slices
from napari_unetpp.arrays import entropy_of_mean
from napari_unetpp.io._disk import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.tiling import Tile

_LEVELS = 255
_NAME = "probabilities"


@dataclass(frozen=True, slots=True, eq=False)
class PredictionStore:
    """Probabilities of every head and class, in memory or on disk.

    Attributes
    ----------
    array : zarr.Array
        ``(head, class, *loops, *spatial)``: float32 in memory; on disk uint8, in steps
        of 1/255, which is a quarter of the size and far finer than the heads agree.
    head_names : tuple of str
        ``("head 1", ...)``, ``("mean",)`` or the one head that was computed.
    class_names : tuple of str
        Of the network's output channels.
    path : Path, optional
        Folder of the store, ``None`` in memory.
    """

    array: Any
    head_names: tuple[str, ...]
    class_names: tuple[str, ...]
    path: Path | None = None

    @classmethod
    def create(
        cls,
        shape: tuple[int, ...],
        core: tuple[int, ...],
        head_names: tuple[str, ...],
        class_names: tuple[str, ...],
        where: Path | None = None,
    ) -> PredictionStore:
        """Return an empty store.

        Parameters
        ----------
        shape : tuple of int
            Of the result, ``(*loops, *spatial)``.
        core : tuple of int
            Edges of a tile's core along the spatial axes.
        head_names, class_names : tuple of str
            Names of the heads and classes that are kept.
        where : Path, optional
            Folder that is made for the store; without it the store is in memory.

        Raises
        ------
        OutputError
            If the folder cannot be written, or holds something already.
        """
        edges = tuple(map(min, core, shape[len(shape) - len(core) :]))
        chunks = (1,) * (2 + len(shape) - len(core)) + edges
        settings: dict[str, Any] = {
            "name": _NAME,
            "shape": (len(head_names), len(class_names), *shape),
            "chunks": chunks,
            "dtype": "float32" if where is None else "uint8",
            "compressors": None if where is None else BloscCodec(cname="lz4", clevel=1),
            "attributes": {"heads": list(head_names), "classes": list(class_names)},
        }
        if where is None:
            group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
            return cls(group.create_array(**settings), head_names, class_names)
        with disk_errors(where):
            group = zarr.open_group(where, mode="w-", zarr_format=3)
            array = group.create_array(**settings)
        return cls(array, head_names, class_names, where)

    def encode(self, probabilities: FloatArray) -> npt.NDArray[Any]:
        """Return probabilities 0...1 as they are stored."""
        if self.array.dtype != np.uint8:
            return np.ascontiguousarray(probabilities)
        return np.rint(np.clip(probabilities, 0, 1) * _LEVELS).astype(np.uint8)

    def write(self, tile: Tile, values: npt.NDArray[Any]) -> None:
        """Keep what the network says about the core of `tile`.

        Parameters
        ----------
        tile : Tile
            Where it belongs; no other writer may have the same tile.
        values : ndarray of shape (H, K, *core)
            What `encode` has made of the probabilities of each head and class.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written.
        """
        where = (slice(None), slice(None), *tile.loop, *slices(tile.core))
        if self.path is None:
            self.array[where] = values
            return
        with disk_errors(self.path):
            self.array[where] = values

    def heads(self) -> da.Array:
        """Return a view (H, K, *loops, *spatial) of all heads, float32, 0...1."""
        return self._view((1, 1)).map_blocks(_as_float, dtype=np.float32, meta=_META)

    def mean(self) -> da.Array:
        """Return a view (K, *loops, *spatial) of the mean of the heads, float32."""
        blocks = self._view((len(self.head_names), 1))
        return blocks.map_blocks(_mean, drop_axis=0, dtype=np.float32, meta=_META)

    def uncertainty(self, *, objects: bool) -> da.Array:
        """Return a view (*loops, *spatial) of how unsure the mean is, float32, 0...1.

        See `entropy_of_mean`.
        """
        blocks = self._view((len(self.head_names), len(self.class_names)))
        return blocks.map_blocks(
            _unsure, objects=objects, drop_axis=[0, 1], dtype=np.float32, meta=_META
        )

    def _view(self, leading: tuple[int, int]) -> da.Array:
        """Return the stored array in chunks of a tile and `leading` heads, classes."""
        chunks = leading + self.array.chunks[2:]
        # Named by hand: dask would read all of a store in memory to name it.
        name = f"{_NAME}-{uuid.uuid4().hex}"
        return da.from_array(self.array, chunks, name=name, meta=_META)


_META = np.empty((0,), np.float32)


def _as_float(block: npt.NDArray[Any]) -> FloatArray:
    """Return stored values as probabilities 0...1."""
    if block.dtype == np.uint8:
        return np.asarray(block * np.float32(1 / _LEVELS))
    return np.asarray(block, np.float32)


def _mean(block: npt.NDArray[Any]) -> FloatArray:
    """Return the mean (K, ...) over the heads of (H, K, ...)."""
    return np.asarray(_as_float(block).mean(axis=0, dtype=np.float32))


def _unsure(block: npt.NDArray[Any], *, objects: bool) -> FloatArray:
    """Return the uncertainty (...) of the mean of heads (H, K, ...)."""
    return entropy_of_mean(_mean(block), objects=objects)
