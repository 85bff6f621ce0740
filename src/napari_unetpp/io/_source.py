"""Arrays on disk that are read piece by piece, safe under threads and processes.

Dask copies every array that has a ``copy`` method, a whole memory map too, so the
arrays it is given here have none.
"""

from __future__ import annotations

import uuid
import zlib
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_unetpp.errors import ImageError

if TYPE_CHECKING:
    import numpy.typing as npt

_CHUNK_BYTES = 4 * 2**20


class ArraySource:
    """An array in memory, in a memory map or in zarr, without a copy method."""

    def __init__(self, array: Any, name: str) -> None:
        self._array = array
        self._name = name
        self.shape = tuple(int(size) for size in array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._array[key])
        except (OSError, ValueError, RuntimeError, zlib.error) as error:
            raise ImageError(
                f"{self._name}: the pixels cannot be read ({error}); the file is"
                " damaged or incomplete, copy or export it again"
            ) from error

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.asarray(self[...], dtype)

    @property
    def storage_chunks(self) -> tuple[int, ...] | None:
        """Shape of what is stored, and so read, in one piece."""
        return getattr(self._array, "chunks", None)


def lazy(source: ArraySource, axes: str) -> da.Array:
    """Return a dask array over `source`, cut into pieces that suit tiles.

    Pieces are some MiB of Y, X (and C, where it comes last); along other axes they are
    as stored.
    """
    stored = source.storage_chunks
    plane = axes[-3:] if axes.endswith("C") else axes[-2:]
    chunks = tuple(
        "auto" if letter in plane else (stored[at] if stored else 1)
        for at, letter in enumerate(axes)
    )
    sizes = da.core.normalize_chunks(
        chunks,
        source.shape,
        limit=_CHUNK_BYTES,
        dtype=source.dtype,
        previous_chunks=stored,
    )
    name = f"image-{uuid.uuid4().hex}"
    meta = np.empty((0,) * source.ndim, source.dtype)
    return da.from_array(source, sizes, name=name, asarray=False, meta=meta)
