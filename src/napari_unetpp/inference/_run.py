"""Read, predict, write: tiles flow through a run, as events.

::

    reader threads --a few batches ahead--> device --a few tiles behind--> writer thread

The device works in the thread that iterates. Memory is bounded because nothing is read
before its turn comes near. Closing the generator stops the run within one batch and
waits for the threads; an error in a thread comes out of the generator.
"""

from __future__ import annotations

import math
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import normalise
from napari_unetpp.errors import DeviceMemoryError
from napari_unetpp.inference._events import MemoryLow, TileDone
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._predictor import TileTooLargeError
from napari_unetpp.tiling import round_up

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._scratch import Stores
    from napari_unetpp.tiling import Tile

_READERS = 2
_AHEAD = 2  # batches read while one is on the device
_BEHIND = 2  # tiles waiting for the disk
_PATIENCE = 0.02  # share of a batch's time that a write is waited for, to show it soon


def predict_tiles(
    plan: Plan, stores: Stores, run_id: str
) -> Generator[TileDone | MemoryLow, None, None]:
    """Predict the tiles of a plan and write them to `stores`.

    Parameters
    ----------
    plan : Plan
        What, with what, in which tiles.
    stores : Stores
        Where the probabilities go.
    run_id : str
        Stands in the events.

    Yields
    ------
    TileDone
        After each tile, once it is written.
    MemoryLow
        When tiles did not fit and are cut smaller from now on.

    Raises
    ------
    ImageError
        If pixels cannot be read, or are not finite and must be.
    OutputError
        If the disk is full.
    DeviceMemoryError
        If not even the smallest tile fits on the device.
    """
    run = _Run(plan, stores, run_id)
    try:
        yield from run.go()
    finally:
        run.stop()


class _Run:
    """The threads of a run, and what is on its way between them."""

    def __init__(self, plan: Plan, stores: Stores, run_id: str) -> None:
        self._plan, self._stores, self._run_id = plan, stores, run_id
        self._device = _TileDevice(plan)
        self._readers = ThreadPoolExecutor(_READERS, "unetpp-read")
        self._writer = ThreadPoolExecutor(1, "unetpp-write")
        self._written: deque[tuple[Tile, Future[None]]] = deque()
        self._n_done = 0
        self._start = time.monotonic()

    def go(self) -> Generator[TileDone | MemoryLow, None, None]:
        for tiles, loaded in self._loaded():
            batch = loaded.result()
            start = time.monotonic()
            largest = self._device.too_large
            cores = self._device.predict(tiles, batch)
            if self._device.too_large != largest:
                yield MemoryLow(self._run_id, self._device.too_large)
            yield from self._done(_BEHIND)
            for tile, core in zip(tiles, cores, strict=True):
                future = self._writer.submit(self._stores.write, tile, core)
                self._written.append((tile, future))
            patience = _PATIENCE * (time.monotonic() - start)
            wait([future for _, future in self._written], patience)
            yield from self._done(_BEHIND)
        yield from self._done(0)

    def stop(self) -> None:
        """End the threads; what has begun is finished, what has not is dropped."""
        self._readers.shutdown(cancel_futures=True)
        self._writer.shutdown(cancel_futures=True)

    def _loaded(self) -> Iterator[tuple[list[Tile], Future[FloatArray]]]:
        """Yield batches of tiles, a few being read ahead of the one in hand."""
        ahead: deque[tuple[list[Tile], Future[FloatArray]]] = deque()
        tiles = (self._plan.grid[index] for index in self._plan.tiles)
        for batch in _batches(tiles, self._plan.settings.batch):
            future = self._readers.submit(_read_batch, self._plan, batch)
            ahead.append((batch, future))
            if len(ahead) > _AHEAD:
                yield ahead.popleft()
        yield from ahead

    def _done(self, n_waiting: int) -> Iterator[TileDone]:
        """Yield the tiles that are written; wait until at most `n_waiting` are not."""
        while self._written:
            tile, future = self._written[0]
            if len(self._written) <= n_waiting and not future.done():
                return
            future.result()
            self._written.popleft()
            self._n_done += 1
            yield TileDone(
                self._run_id,
                tile,
                self._plan.in_result(tile.loop, tile.core),
                self._n_done,
                len(self._plan.tiles),
                time.monotonic() - self._start,
            )


class _TileDevice:
    """The predictor, with tiles cut into halves where its memory is too small.

    Attributes
    ----------
    too_large : tuple of int
        Edges of the smallest tile, halo included, that did not fit; empty so far.
    """

    def __init__(self, plan: Plan) -> None:
        self.too_large: tuple[int, ...] = ()
        self._predictor = plan.predictor
        self._grid = plan.grid

    def predict(self, tiles: list[Tile], batch: FloatArray) -> list[FloatArray]:
        """Return the probabilities (H, K, *core) of each tile of (N, C, *outer)."""
        if self._may_fit(batch.shape[2:]):
            try:
                heads = self._predictor.predict_batch(batch)  # (N, H, K, *outer)
            except TileTooLargeError:
                self.too_large = batch.shape[2:]
            else:
                return [h[_within(t.crop)] for h, t in zip(heads, tiles, strict=True)]
        return [self._halves(x, t.crop) for x, t in zip(batch, tiles, strict=True)]

    def _may_fit(self, shape: tuple[int, ...]) -> bool:
        return not self.too_large or math.prod(shape) < math.prod(self.too_large)

    def _part(self, x: FloatArray, crop: Box) -> FloatArray:
        """Return the probabilities (H, K, *crop) of a tile (C, *outer)."""
        if self._may_fit(x.shape[1:]):
            try:
                heads = self._predictor.predict_batch(x[None])
            except TileTooLargeError:
                self.too_large = x.shape[1:]
            else:
                return np.asarray(heads[0][_within(crop)])
        return self._halves(x, crop)

    def _halves(self, x: FloatArray, crop: Box) -> FloatArray:
        """Cut a tile across its longest axis, each half with the same halo.

        What a half needs lies within the tile: halo and alignment stay the same, so
        the result does too.
        """
        alignment = self._grid.alignment
        steps = [-(-(b - a) // n) for (a, b), n in zip(crop, alignment, strict=True)]
        edges = [k * n * (k > 1) for k, n in zip(steps, alignment, strict=True)]
        axis = edges.index(max(edges))
        if steps[axis] == 1:
            raise DeviceMemoryError(
                f"a tile of {' x '.join(map(str, x.shape[1:]))} pixels, the smallest"
                f" there is, does not fit into the memory of {self._predictor.device};"
                " choose a lower level, another device or a smaller model"
            )
        start, stop = crop[axis]
        middle = start + steps[axis] // 2 * alignment[axis]
        halves = []
        for span in ((start, middle), (middle, stop)):
            first = max(span[0] - self._grid.halo[axis], 0)
            end = round_up(span[1], alignment[axis]) + self._grid.halo[axis]
            part = x[(slice(None),) * (axis + 1) + (slice(first, end),)]
            inner = (span[0] - first, span[1] - first)
            halves.append(self._part(part, (*crop[:axis], inner, *crop[axis + 1 :])))
        return np.concatenate(halves, axis=axis + 2)


def _batches(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    """Yield up to `size` tiles in a row that have one shape."""
    batch: list[Tile] = []
    for tile in tiles:
        if batch and (len(batch) == size or _shape(tile) != _shape(batch[0])):
            yield batch
            batch = []
        batch.append(tile)
    if batch:
        yield batch


def _shape(tile: Tile) -> tuple[int, ...]:
    return tuple(stop - start for start, stop in tile.outer)


def _read_batch(plan: Plan, tiles: list[Tile]) -> FloatArray:
    """Return the normalised pixels (N, C, *outer) of tiles of one shape."""
    return np.stack([read_tile(plan, tile) for tile in tiles])


def read_tile(plan: Plan, tile: Tile) -> FloatArray:
    """Return the normalised pixels (C, *outer) of a tile.

    Beyond the image's end its last pixels are repeated, up to the alignment.
    """
    size = plan.grid.shape
    inside = tuple(
        (start, min(stop, end))
        for (start, stop), end in zip(tile.outer, size, strict=True)
    )
    found = read(plan.canonical.data, (*tile.loop, slice(None), *slices(inside)))
    pixels = normalise(
        found,
        plan.intensity,
        plan.model.intensity,
        plan.settings.nonfinite,
        plan.canonical.image.name,
    )
    missing = [
        (0, stop - end) for (_, stop), (_, end) in zip(tile.outer, inside, strict=True)
    ]
    return np.pad(pixels, [(0, 0), *missing], mode="edge")


def _within(crop: Box) -> tuple[slice, ...]:
    """Return the index of a crop behind the axes of heads and classes."""
    return (slice(None), slice(None), *slices(crop))
