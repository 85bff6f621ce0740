"""Where the results of a job grow: an OME-Zarr folder, written tile by tile.

::

    <job>/result.ome.zarr/   the result: mean, heads, uncertainty, labels
    <job>/work.zarr/         what objects are made from; goes with the job

Each tile, or block of labels, owns one shard of each array and of each level of its
pyramid up to some level, so writers share nothing and need no lock, in whatever
process they are. What has not been written, and what is 0 throughout, takes no room
and reads as 0; so a file that exists says nothing about what is done.
"""

from __future__ import annotations

import os
import uuid
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import dask.array as da
import numpy as np
import zarr

from napari_unetpp._types import slices
from napari_unetpp.errors import OutputError
from napari_unetpp.io._disk import disk_errors, remove
from napari_unetpp.io._pyramid import reduced
from napari_unetpp.io._result import Result
from napari_unetpp.io._result_view import LevelView
from napari_unetpp.io._write_shards import WholeChunks, write_shards
from napari_unetpp.io._zarr_arrays import (
    WORK_ARRAYS,
    create_ome_zarr,
    create_work,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.io._result import OutputKind
    from napari_unetpp.io._result_layout import ResultLayout, StoredImage
    from napari_unetpp.io._write_shards import Index
    from napari_unetpp.tiling import Tile

RESULT = "result.ome.zarr"
WORK = "work.zarr"
_BAND_BYTES = 32 * 2**20


class ResultStore:
    """Results of a job, made by `create` or `open`.

    Attributes
    ----------
    folder : Path
        Of the job.
    layout : ResultLayout
        What is kept, and how.
    """

    def __init__(self, folder: Path, layout: ResultLayout) -> None:
        self.folder = folder
        self.layout = layout
        self._images = layout.images()
        self._result = _arrays(
            folder / RESULT,
            [f"{i.place}/{n}" for i in self._images for n in range(len(i.levels))],
        )
        work = WORK_ARRAYS if layout.makes_objects else ()
        self._work = _arrays(folder / WORK, work) if work else {}

    @classmethod
    def create(cls, folder: Path, layout: ResultLayout) -> Self:
        """Return an empty store in `folder`; what a store left there is removed.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if layout.makes_objects:
                _complete(folder / WORK, lambda part: create_work(part, layout))
            _complete(folder / RESULT, lambda part: create_ome_zarr(part, layout))
        return cls(folder, layout)

    @classmethod
    def open(cls, folder: Path, layout: ResultLayout) -> Self:
        """Return the store that `create` made with this layout.

        Raises
        ------
        OutputError
            If it is not there, or not complete.
        """
        return cls(folder, layout)

    @property
    def foreground(self) -> Any:
        """Probability of not being background in steps of 1/255; zarr array, uint8."""
        return self._work["foreground"]

    @property
    def interior(self) -> Any:
        """Probability of the interior in steps of 1/255; zarr array of uint8."""
        return self._work["interior"]

    @property
    def nodes(self) -> WholeChunks:
        """Numbers of seeds and pieces in each block, uint32."""
        return WholeChunks(self._work["nodes"])

    @property
    def grown(self) -> tuple[WholeChunks, WholeChunks]:
        """Objects while they grow, two versions of them, uint32."""
        return WholeChunks(self._work["grown0"]), WholeChunks(self._work["grown1"])

    def write_tile(self, tile: Tile, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keep the results of a tile, on all levels that it owns.

        Parameters
        ----------
        tile : Tile
            Its core is that of the layout; no other writer may have the same tile.
        values : mapping of name to ndarray
            ``"mean"``, ``"heads"`` and ``"uncertainty"`` in the dtype of the layout,
            (*leading, *core); ``"foreground"`` and ``"interior"``, uint8 (*core);
            ``"labels"`` of class models, (*core). What the layout does not keep is
            left out. Heads that are missing, the last ones, become 0.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written.
        """
        with disk_errors(self.folder):
            for name, pixels in values.items():
                if name in self._work:
                    place: Index = (*tile.loop, *slices(tile.core))
                    write_shards(self._work[name], place, pixels)
            for image in self._images:
                if image.kind in values:
                    part = _of_image(image, values[image.kind], tile.core)
                    if part is not None:
                        self._write(image, tile, part)

    def write_labels(self, block: Tile, labels: npt.NDArray[Any]) -> None:
        """Keep the final labels of a block, on all levels that it owns.

        Parameters
        ----------
        block : Tile
            Its core is a block of the layout; no other writer may have the same one.
        labels : ndarray of uint32, (*core)
            Ids of objects, 0 between them.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written.
        """
        self.write_tile(block, {"labels": labels})

    def finish_pyramid(self) -> Iterator[tuple[int, int]]:
        """Make the levels that are too coarse for a tile to own.

        Doing it again changes nothing.

        Yields
        ------
        tuple of int
            How many pieces are done, and how many there are.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written.
        """
        pieces = [
            (image, number, loop, box)
            for image in self._images
            for number, level in enumerate(image.levels)
            if not level.owned
            for loop in np.ndindex(self.layout.shape[: len(self.layout.loop_axes)])
            for box in level.shards()
        ]
        for n_done, (image, number, loop, box) in enumerate(pieces, start=1):
            with disk_errors(self.folder):
                self._make_coarse(image, number, loop, box)
            yield n_done, len(pieces)

    def levels(
        self, kind: OutputKind, index: tuple[int, ...] = (), *, growing: bool = False
    ) -> list[LevelView]:
        """Return the levels of a result for a viewer, finest first.

        Parameters
        ----------
        kind : str
            Which result.
        index : tuple of int
            One entry for each axis that `ResultLayout.leading` names: head, class.
        growing : bool
            Only the levels that fill with the tiles; the coarsest ones stay empty
            until the end of the job.
        """
        image, channel = self._image(kind, index)
        return [
            LevelView(self._array(image, n), image.axes, self.layout.axes, channel)
            for n, level in enumerate(image.levels)
            if level.owned or not growing
        ]

    def results(self) -> list[Result]:
        """Return the results as they are exported, lazy: maps float32, 0...1."""
        kinds = dict.fromkeys(image.kind for image in self._images)
        return [self._result_of(kind) for kind in kinds]

    def _result_of(self, kind: OutputKind) -> Result:
        layout, leading = self.layout, self.layout.leading(kind)
        shape = tuple(map(len, leading))
        views = [
            _as_dask(self.levels(kind, index)[0])
            for index in product(*map(range, shape))
        ]
        data = da.stack(views).reshape(shape + layout.shape) if leading else views[0]
        n = len(leading)
        return Result(
            kind=kind,
            data=data,
            axes=("", "C", "HC")[n] + layout.axes,
            scale=(1.0,) * n + layout.scale,
            units=("pixel",) * n + layout.units,
            translate=(0.0,) * n + layout.translate,
            channel_names=leading[-1] if leading else (),
        )

    def _image(
        self, kind: OutputKind, index: tuple[int, ...]
    ) -> tuple[StoredImage, int]:
        """Return the image that holds a part of a result, and the channel there."""
        images = [image for image in self._images if image.kind == kind]
        if images[0].head is not None:
            return images[index[0]], (index[1] if len(index) > 1 else 0)
        return images[0], (index[0] if index else 0)

    def _write(self, image: StoredImage, tile: Tile, pixels: npt.NDArray[Any]) -> None:
        """Write (*channels, *core) and what it makes of each owned level."""
        for number, level in enumerate(image.levels):
            if not level.owned:
                return
            nearest = image.kind == "labels" or not pixels.any()  # 0 has no mean
            pixels = reduced(pixels, level.step, labels=nearest)
            where = self._index(image, tile.loop, level.box(tile.core))
            write_shards(self._array(image, number), where, pixels)

    def _make_coarse(
        self, image: StoredImage, number: int, loop: tuple[int, ...], box: Box
    ) -> None:
        """Make a part of a level from the one below it."""
        level, finer = image.levels[number], image.levels[number - 1]
        source = self._index(image, loop, level.below(box, finer.shape))
        pixels = np.asarray(self._array(image, number - 1)[source])
        pixels = reduced(pixels, level.step, labels=image.kind == "labels")
        write_shards(self._array(image, number), self._index(image, loop, box), pixels)

    def _array(self, image: StoredImage, number: int) -> Any:
        return self._result[f"{image.place}/{number}"]

    def _index(
        self, image: StoredImage, loop: tuple[int, ...], box: Box
    ) -> tuple[Any, ...]:
        """Return where a box of a plane lies in an array, all channels of it."""
        at: dict[str, Any] = dict(zip(self.layout.loop_axes, loop, strict=True))
        at |= dict(zip(self.layout.spatial_axes, slices(box), strict=True))
        return tuple(at.get(letter, slice(None)) for letter in image.axes)


def _of_image(
    image: StoredImage, pixels: npt.NDArray[Any], core: Box
) -> npt.NDArray[Any] | None:
    """Return (*channels, *core), the part of a result that an image holds, if any."""
    if image.head is not None:
        if image.head >= len(pixels):
            return None
        pixels = pixels[image.head]
    edges = tuple(stop - start for start, stop in core)
    n = len(image.channels)
    pixels = np.asarray(pixels, image.dtype).reshape((-1,) * (n > 0) + edges)
    if len(pixels) < n:
        missing = np.zeros((n - len(pixels), *edges), image.dtype)
        pixels = np.concatenate([pixels, missing])
    return pixels


def _arrays(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the arrays of the zarr folder `path`, to read and to write."""
    try:
        root = zarr.open_group(path, mode="r+")
        return {name: root[name] for name in names}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise OutputError(
            f"{path} does not hold the results that a job has begun ({error}); remove"
            f" {path.parent} and start the job anew"
        ) from error


def _complete(path: Path, make: Callable[[Path], None]) -> None:
    """Make a folder that is there only once it is complete."""
    part = path.with_name(f"{path.name}.part")
    remove(part)
    remove(path)
    make(part)
    os.replace(part, path)


def _as_dask(view: LevelView) -> da.Array:
    """Return a view as a dask array in chunks of whole rows."""
    band = view.shape[-1] * view.dtype.itemsize * view.chunks[-2]  # a row of chunks
    rows = view.chunks[-2] * max(_BAND_BYTES // band, 1)
    chunks = (1,) * (view.ndim - 2) + (min(rows, view.shape[-2]), view.shape[-1])
    name = f"result-{uuid.uuid4().hex}"  # dask would read all of it to name it
    meta = np.empty((0,) * view.ndim, view.dtype)
    return da.from_array(view, chunks, name=name, asarray=False, meta=meta)
