"""Where results grow: in memory while small, else in folders that go with them."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import zarr
from zarr.codecs import BloscCodec

from napari_unetpp._types import slices
from napari_unetpp.arrays import mean_of_heads
from napari_unetpp.inference._encoded import EncodedTile, told_depths
from napari_unetpp.io._disk import disk_errors
from napari_unetpp.io._store import PredictionStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.tiling import Tile

IN_MEMORY = 256 * 2**20
"""Bytes up to which results stay in memory."""


class Stores:
    """The mean of the heads, from which labels are made, and each head if wanted.

    Labels come from a mean that was rounded once, so they are the same whether the
    heads are kept or not, in memory or on disk.

    Parameters
    ----------
    shape : tuple of int
        (*loops, *spatial)
    core : tuple of int
        Edges of a tile's core.
    head_names, class_names : tuple of str
        Heads and classes that come out of the predictor.
    keep_heads : bool
        Whether each head is kept.
    folder : Path, optional
        Folder that takes the stores; without it they are in memory if they are small
        and in the system's temporary folder if not.
    head_weights : tuple of float
        Shares of the heads in their mean; equal by default.
    background : int, optional
        The class of what lies outside a mask; without one no class has it.
    depths : bool
        Whether the deepest levels computed are kept.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        core: tuple[int, ...],
        head_names: tuple[str, ...],
        class_names: tuple[str, ...],
        *,
        keep_heads: bool,
        folder: Path | None,
        head_weights: tuple[float, ...] = (),
        background: int | None = None,
        depths: bool = False,
    ) -> None:
        several = len(head_names) > 1
        mean_name = ("mean",) if several else head_names
        kept = (1 + len(head_names)) if several and keep_heads else 1
        n_bytes = kept * len(class_names) * math.prod(shape) * 4
        on_disk = folder is not None or n_bytes > IN_MEMORY
        self.mean = _prediction_store(
            shape, core, mean_name, class_names, on_disk, folder
        )
        self.heads = self.mean
        if several and keep_heads:
            self.heads = _prediction_store(
                shape, core, head_names, class_names, on_disk, folder
            )

        self._folder = folder
        self.depths: Any = None
        if depths:
            chunks = (*(1,) * (len(shape) - len(core)), *core)
            self.depths = new_labels(shape, np.uint8, chunks, folder)
        self._n_heads, self._n_classes = len(head_names), len(class_names)
        self._background = background
        self._head_weights = head_weights

    def encode(
        self,
        probabilities: FloatArray,
        inside: npt.NDArray[np.bool_] | None = None,
        *,
        preview: bool = False,
        depths: npt.NDArray[np.uint8] | None = None,
    ) -> EncodedTile:
        """Return what is kept of (H, K, *core), what the heads say about a core."""
        if inside is not None:
            nothing = self._nothing(probabilities.shape[2:])
            probabilities = np.where(inside, probabilities, nothing)
        mean = mean_of_heads(probabilities, self._head_weights)
        values = {"mean": self.mean.encode(mean[None])}
        if self.heads is not self.mean:
            heads = self.heads.encode(probabilities)
            if preview:  # the other heads are not known yet
                missing = np.zeros((self._n_heads - 1, *heads.shape[1:]), heads.dtype)
                heads = np.concatenate([heads, missing])
            values["heads"] = heads
        if self.depths is not None:
            values["depth"] = told_depths(depths, probabilities.shape[2:], inside)
        return EncodedTile(values)

    def write(self, tile: Tile, encoded: EncodedTile) -> None:
        """Keep what `encode` has made for the core of `tile`."""
        self.mean.write(tile, encoded.values["mean"])
        if self.heads is not self.mean:
            self.heads.write(tile, encoded.values["heads"])
        if self.depths is not None:
            with disk_errors(scratch_parent(self._folder)):
                self.depths[(*tile.loop, *slices(tile.core))] = encoded.values["depth"]

    def skip(self, tile: Tile) -> None:
        """Note that there is nothing in the core of `tile`."""
        if self._background is None:
            return
        nothing = self._nothing(tuple(stop - start for start, stop in tile.core))
        self.write(tile, self.encode(np.stack([nothing] * self._n_heads)))

    def _nothing(self, core: tuple[int, ...]) -> FloatArray:
        """Return the probabilities (K, *core) of what lies outside a mask."""
        nothing = np.zeros((self._n_classes, *core), np.float32)
        if self._background is not None:
            nothing[self._background] = 1
        return nothing


def new_labels(
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
    chunks: tuple[int, ...],
    folder: Path | None,
) -> Any:
    """Return an array of zeros to write labels to.

    Parameters
    ----------
    shape : tuple of int
        Of the labels.
    dtype : dtype
        Unsigned integers.
    chunks : tuple of int
        What is written at once, if it comes to lie on disk.
    folder : Path, optional
        Folder that takes it; without it the array is in memory if it is small and in
        the system's temporary folder if not.

    Returns
    -------
    ndarray or zarr.Array
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if folder is None and n_bytes <= IN_MEMORY:
        return np.zeros(shape, dtype)
    with _new_folder(folder) as scratch, disk_errors(scratch):
        labels = zarr.create_array(
            scratch / "labels.zarr",
            shape=shape,
            dtype=np.dtype(dtype),
            chunks=tuple(map(min, chunks, shape)),
            compressors=BloscCodec(cname="lz4", clevel=1),
        )
        _remove_with(labels.store, scratch)
    return labels


def finished_labels(labels: Any) -> Any:
    """Return labels as the user gets them: an ndarray, or a dask array over zarr."""
    if isinstance(labels, np.ndarray):
        return labels
    return da.from_array(labels, labels.chunks, meta=np.empty((0,), labels.dtype))


def _prediction_store(
    shape: tuple[int, ...],
    core: tuple[int, ...],
    head_names: tuple[str, ...],
    class_names: tuple[str, ...],
    on_disk: bool,
    folder: Path | None,
) -> PredictionStore:
    if not on_disk:
        return PredictionStore.create(shape, core, head_names, class_names)
    with _new_folder(folder) as scratch:
        where = scratch / "probabilities.zarr"
        store = PredictionStore.create(shape, core, head_names, class_names, where)
        _remove_with(store.array.store, scratch)
    return store


def scratch_parent(folder: Path | None) -> Path:
    """Return the folder in which scratch is made: `folder`, or the system's."""
    return folder or Path(tempfile.gettempdir())


@contextmanager
def _new_folder(parent: Path | None) -> Iterator[Path]:
    """Make a folder of a name that nobody has, in `parent`, which is made if needed.

    It is deleted if what is to lie in it cannot be made.
    """
    parent = scratch_parent(parent)
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="napari-unetpp-", dir=parent))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_with(owner: object, folder: Path) -> None:
    """Delete `folder` when the last array that reads from `owner` is gone."""
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
