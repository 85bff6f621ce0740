"""Arrays on disk that are read piece by piece, safe under threads and processes.

Dask copies every array that has a ``copy`` method, a whole memory map too, so the
arrays it is given here have none.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_unetpp.errors import ImageError, ImageGoneError
from napari_unetpp.io._retry import UNREADABLE, unreadable

if TYPE_CHECKING:
    import numpy.typing as npt

_CHUNK_BYTES = 4 * 2**20


class ArraySource:
    """An array in memory, in a memory map or in zarr, without a copy method."""

    def __init__(self, array: Any, name: str) -> None:
        self._array = array
        self._name = name
        self._metadata = _metadata_file(array)
        self.shape = tuple(int(size) for size in array.shape)
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]:
        try:
            found = np.asarray(self._array[key])
        except UNREADABLE as error:
            self._check_there()
            raise ImageError(unreadable(self._name, error)) from error
        self._check_there()  # zarr reads what is not there as empty
        return found

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.asarray(self[...], dtype)

    def _check_there(self) -> None:
        """Refuse to go on with a zarr array whose folder has gone."""
        if self._metadata is not None and not self._metadata.exists():
            raise ImageGoneError(
                f"{self._name} is no longer there; bring it back, then start again"
            )

    @property
    def storage_chunks(self) -> tuple[int, ...] | None:
        """Shape of what is stored, and so read, in one piece."""
        return getattr(self._array, "chunks", None)


def _metadata_file(array: Any) -> Path | None:
    """Return the file that says what a zarr array on this machine's disks is."""
    if not isinstance(array, zarr.Array) or not isinstance(array.store, LocalStore):
        return None
    name = "zarr.json" if array.metadata.zarr_format == 3 else ".zarray"
    return Path(array.store.root, array.path, name)


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
