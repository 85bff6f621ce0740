"""Read, predict, write: tiles flow through a run, as events.

::

    reader threads --a few batches ahead--> device --a few tiles behind--> writer thread

The device works in the thread that iterates. Memory is bounded because nothing is read
before its turn comes near. Closing the generator stops the run within one batch and
waits for the threads; an error in a thread comes out of the generator.

Where the network can take rows one after another, the tiles of a strip are one stream:
each goes on where the one above it ended, so that no row is read or computed twice. The
rest is the same: a tile is written, told of and marked as soon as its own rows are out.

Two kinds of tiles cost next to nothing: those in which the mask has no pixel, and those
whose pixels are all the same. The network answers such a tile as it answered the last
one of the same values, edges and crop, so its answer is taken again, exactly.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import ImageError
from napari_unetpp.inference._encoded import joined, placed
from napari_unetpp.inference._events import BadPixels, MemoryLow, TileDone
from napari_unetpp.inference._memory import BEHIND, KEPT, READERS, UNCODED
from napari_unetpp.inference._read_ahead import ReadAhead
from napari_unetpp.inference._stream_device import StreamDevice
from napari_unetpp.inference._tile_device import TileDevice

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterator

    from napari_unetpp._types import Box
    from napari_unetpp.inference._encoded import EncodedTile, Sink
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.inference._reading import LoadedTile
    from napari_unetpp.tiling import Tile

Answer = tuple["Future[EncodedTile] | None", bool]
"""What is written of a tile, if anything, and whether the network had nothing to do."""

_PATIENCE = 0.02  # share of a batch's time that a write is waited for, to show it soon


def predict_tiles(
    plan: Plan, sink: Sink, run_id: str
) -> Generator[TileDone | MemoryLow | BadPixels, None, None]:
    """Predict the tiles of a plan and write them to `sink`.

    Parameters
    ----------
    plan : Plan
        What, with what, in which tiles.
    sink : Sink
        Where the probabilities go.
    run_id : str
        Stands in the events.

    Yields
    ------
    TileDone
        After each tile, once it is written; also for previews, which do not count.
    MemoryLow
        When tiles did not fit and are cut smaller from now on.
    BadPixels
        Once for each piece of the image that cannot be read, if that is allowed.

    Raises
    ------
    ImageError
        If pixels cannot be read, or are not finite and must be.
    OutputError
        If the disk is full.
    DeviceMemoryError
        If not even the smallest tile fits on the device.
    """
    run = _Run(plan, sink, run_id)
    try:
        yield from run.go()
    finally:
        run.stop()


@dataclass(frozen=True, slots=True, eq=False)
class _Writing:
    """A tile on its way to the disk."""

    tile: Tile
    record: Future[bytes]
    preview: bool
    skipped: bool


class _Run:
    """The threads of a run, and what is on its way between them."""

    def __init__(self, plan: Plan, sink: Sink, run_id: str) -> None:
        self._plan, self._sink, self._run_id = plan, sink, run_id
        self._device: TileDevice | StreamDevice
        if plan.streams:
            self._device = StreamDevice(plan.predictor, plan.grid)
        else:
            self._device = TileDevice(plan.predictor, plan.grid)
        self._quick: TileDevice | None = None
        if plan.preview is not None:
            self._quick = TileDevice(plan.preview.predictor, plan.preview.grid)
        self._readers = ThreadPoolExecutor(READERS, "unetpp-read")
        self._writer = ThreadPoolExecutor(1, "unetpp-write")
        self._written: deque[_Writing] = deque()
        self._known = _Known()
        self._bad: set[Box] = set()
        self._n_done = 0
        self._start = time.monotonic()

    def go(self) -> Generator[TileDone | MemoryLow | BadPixels, None, None]:
        for batch in ReadAhead(self._plan, self._readers):
            try:
                loaded = batch.loaded.result()
            except ImageError:
                yield from self._done(0)  # what is complete is told of
                raise
            start = time.monotonic()
            yield from self._unreadable(loaded)
            device = self._device
            if batch.preview and self._quick is not None:
                device = self._quick
            largest = device.too_large
            encoded = self._answers(device, loaded, preview=batch.preview)
            if device.too_large != largest:
                yield MemoryLow(self._run_id, device.too_large)
            for one, (answer, skipped) in zip(loaded, encoded, strict=True):
                whole = self._plan.grid[one.tile.index]
                record = self._writer.submit(
                    _write, self._sink, whole, answer, one.tile.core
                )
                done = _Writing(one.tile, record, batch.preview, skipped)
                self._written.append(done)
            patience = _PATIENCE * (time.monotonic() - start)
            wait([done.record for done in self._written], patience)
            yield from self._done(BEHIND)
        yield from self._done(0)

    def stop(self) -> None:
        """End the threads; what has begun is finished, what has not is dropped."""
        self._readers.shutdown(cancel_futures=True)
        self._writer.shutdown(cancel_futures=True)

    def _answers(
        self,
        device: TileDevice | StreamDevice,
        loaded: list[LoadedTile],
        *,
        preview: bool,
    ) -> list[Answer]:
        """Return what is to be written of each tile, and whether it was for nothing."""
        if isinstance(device, StreamDevice):
            return [self._streamed(device, one) for one in loaded]
        keys = [_key(one, preview=preview) for one in loaded]
        found = [self._known.get(key) for key in keys]
        new = [
            one.pixels
            for one, known in zip(loaded, found, strict=True)
            if known is None and one.pixels is not None
        ]
        crop = loaded[0].tile.crop  # tiles of a batch have one
        heads = iter(device.predict(np.stack(new), crop) if new else ())
        answers: list[Answer] = []
        for one, key, known in zip(loaded, keys, found, strict=True):
            if known is not None or one.pixels is None:
                answers.append((known, True))
                continue
            encoded = self._writer.submit(
                self._sink.encode, next(heads), one.inside, preview=preview
            )
            self._known.keep(key, encoded)
            answers.append((encoded, False))
        return answers

    def _streamed(self, device: StreamDevice, one: LoadedTile) -> Answer:
        """Return what is to be written of the next tile of a stream."""
        key = device.key(one)
        known = self._known.get(key)
        if one.pixels is None:
            return None, True
        if known is not None:
            device.pass_over(one)
            return known, True
        parts: list[Future[EncodedTile]] = []
        for rows in device.predict(one):
            place = slice(rows.first, rows.stop)
            inside = None if one.inside is None else one.inside[place]
            encode = partial(self._sink.encode, depths=rows.depths)
            parts.append(self._writer.submit(encode, rows.heads, inside))
            wait(parts[: -UNCODED - 1])
        n_axes = len(one.tile.core)
        encoded = self._writer.submit(_joined, parts, n_axes)
        self._known.keep(key, encoded)
        return encoded, False

    def _done(self, n_waiting: int) -> Iterator[TileDone]:
        """Yield the tiles that are written; wait until at most `n_waiting` are not."""
        while self._written:
            done = self._written[0]
            if len(self._written) <= n_waiting and not done.record.done():
                return
            record = done.record.result()
            self._written.popleft()
            self._n_done += not done.preview
            yield TileDone(
                self._run_id,
                done.tile,
                self._plan.in_result(done.tile.loop, done.tile.core),
                self._n_done,
                len(self._plan.tiles),
                time.monotonic() - self._start,
                record=record,
                preview=done.preview,
                skipped=done.skipped,
                network_seconds=sum(device.seconds for device in self._devices),
                network_pixels=sum(device.n_pixels for device in self._devices),
                network_share=self._device.share,
            )

    @property
    def _devices(self) -> list[TileDevice | StreamDevice]:
        return [self._device, *([] if self._quick is None else [self._quick])]

    def _unreadable(self, loaded: list[LoadedTile]) -> Iterator[BadPixels]:
        """Yield the pieces that could not be read and have not been told of."""
        for box, reason in (bad for one in loaded for bad in one.bad):
            if box not in self._bad:
                self._bad.add(box)
                yield BadPixels(self._run_id, box, reason)


class _Known:
    """What is written of tiles of constant pixels, of those met last."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, Future[EncodedTile]] = {}

    def get(self, key: Hashable) -> Future[EncodedTile] | None:
        """Return what is known, which becomes the last to be forgotten."""
        found = self._answers.pop(key, None)
        if found is not None:
            self._answers[key] = found
        return found

    def keep(self, key: Hashable, encoded: Future[EncodedTile]) -> None:
        """Remember an answer, unless its key is ``None``, and forget the oldest."""
        if key is None:
            return
        self._answers[key] = encoded
        if len(self._answers) > KEPT:
            del self._answers[next(iter(self._answers))]


def _key(one: LoadedTile, *, preview: bool) -> Hashable:
    """Return what decides the answer for a constant tile; ``None`` for any other."""
    if one.constant is None or one.inside is not None:
        return None
    edges = tuple(stop - start for start, stop in one.tile.outer)
    core = tuple(stop - start for start, stop in one.tile.core)
    return one.constant, edges, one.tile.crop, core, preview


def _joined(parts: list[Future[EncodedTile]], n_axes: int) -> EncodedTile:
    """Return a tile of its parts, which are there when its turn comes."""
    return joined([part.result() for part in parts], n_axes)


def _write(
    sink: Sink, tile: Tile, encoded: Future[EncodedTile] | None, known: Box
) -> bytes:
    """Write a tile and return its record; the answer is there when its turn comes.

    Of a preview only a part of the core may be known.
    """
    if encoded is None:
        sink.skip(tile)
        return b""
    answer = placed(encoded.result(), known, tile.core)
    sink.write(tile, answer)
    return answer.record
