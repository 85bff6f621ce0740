"""How much memory a run takes, known before it starts.

Everything that grows with a tile is counted with the largest tile, everything that
waits with the longest queue. The figure is an upper bound: a run stays below it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp.inference._reading import MOST_KEPT
from napari_unetpp.inference._scratch import IN_MEMORY
from napari_unetpp.inference._stream_device import rows_at_once
from napari_unetpp.io._sample import sample_bytes
from napari_unetpp.nn._adaptive_size import adaptive_bytes
from napari_unetpp.nn._stream import stream_bytes

if TYPE_CHECKING:
    from napari_unetpp.arrays import Canonical, Rescaling
    from napari_unetpp.inference._predictor import Predictor
    from napari_unetpp.tiling import TileGrid

READERS = 2
AHEAD = 2
"""Batches read while one is on the device."""
BEHIND = 2
"""Tiles waiting for the disk."""
UNCODED = 2
"""Parts of a tile waiting to be encoded."""
KEPT = 4
"""Results of constant tiles that are remembered."""

_PROGRAM = 448 * 2**20  # Python with torch, dask, zarr and scipy: 300 MiB as measured
_FLOAT = 4
_CODED = 2  # bytes a value as stored, at most (half-precision floats)


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Main memory that a run takes at most, in bytes.

    Attributes
    ----------
    program : int
        The program itself, without any image.
    network : int
        The network at work on a batch of tiles; 0 where it works on a GPU.
    tiles : int
        Pixels on their way to the network.
    results : int
        Probabilities on their way to the store, and the store if it is in memory.
    sample : int
        Pixels from which the range of intensities is found, before the first tile.
    labels : int
        A window of pixels while labels are made, after the last tile.
    """

    program: int
    network: int
    tiles: int
    results: int
    sample: int = 0
    labels: int = 0

    @property
    def total(self) -> int:
        """The most that is taken at a time."""
        busiest = max(self.network + self.tiles, self.sample, self.labels)
        return self.program + self.results + busiest


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """What memory a run takes, as a function of its tiles.

    Attributes
    ----------
    predictor : Predictor
        The network on its device.
    canonical : Canonical
        What is read.
    batch : int
        Tiles that go through the network together.
    sampled : bool
        Whether the image's intensities are still to be found.
    in_memory : bool
        Whether small results stay in memory.
    labels : int
        Bytes that making labels takes.
    rescaling : Rescaling, optional
        To the grid of the tiles, where it is not that of the image.
    streams : bool
        Whether rows flow from tile to tile of a strip.
    """

    predictor: Predictor
    canonical: Canonical
    batch: int
    sampled: bool
    in_memory: bool
    labels: int
    rescaling: Rescaling | None = None
    streams: bool = False

    def network(self, grid: TileGrid) -> int:
        """Return the bytes that a batch of tiles, or a stream, takes on the device."""
        fused = self.predictor.fused
        if self.streams and fused is not None:
            n_rows, *inner = grid.padded_shape[0], *grid.largest_outer[1:]
            plain = stream_bytes(
                fused.config,
                tuple(inner),
                fused.dtype,
                rows_at_once(grid),
                fused.heads,
                n_rows,
            )
            if self.predictor.adaptive is None:
                return plain
            return adaptive_bytes(fused.config, tuple(inner), fused.dtype, plain)
        return self.batch * self.predictor.tile_bytes(grid.largest_outer)

    def need(self, grid: TileGrid) -> MemoryNeed:
        """Return what a run over these tiles takes."""
        on_host = self.predictor.device.type == "cpu"
        return MemoryNeed(
            program=_PROGRAM + 2 * self.predictor.n_bytes,
            network=self.network(grid) if on_host else 0,
            tiles=self._tiles(grid.largest_outer),
            results=self._results(grid),
            sample=sample_bytes(self.canonical) if self.sampled else 0,
            labels=self.labels,
        )

    def _tiles(self, outer: tuple[int, ...]) -> int:
        """Return the bytes of tiles read ahead, and of those that are being read."""
        data, n_channels = self.canonical.data, self.canonical.n_channels
        pixels = n_channels * math.prod(outer)
        batch = 1 if self.streams else self.batch
        waiting = (2 * AHEAD + 2) * batch * pixels * _FLOAT
        read = self._read(outer)
        found = n_channels * math.prod(read)
        working = found * (2 * data.dtype.itemsize + 3 * 2 * _FLOAT)
        if self.rescaling is not None:  # axis after axis: what was, is and is added
            between = math.prod(map(max, read, outer)) * n_channels
            working += 3 * between * _FLOAT
        kept = min(MOST_KEPT, self._pieces(read)) if self.streams else 0
        return waiting + READERS * (working + self._pieces(read)) + kept

    def _read(self, outer: tuple[int, ...]) -> tuple[int, ...]:
        """Return the edges, in pixels of the image, of what is read for a tile."""
        if self.rescaling is None:
            return outer
        return tuple(
            min(math.ceil((edge + 2) * step) + 2, size)
            for edge, step, size in zip(
                outer, self.rescaling.steps, self.rescaling.shape, strict=True
            )
        )

    def _pieces(self, outer: tuple[int, ...]) -> int:
        """Return the bytes of all pieces of the file that a tile may meet."""
        data = self.canonical.data
        chunks = getattr(data, "chunks", None)
        if chunks is None:
            return 0
        n_loops, size = len(self.canonical.loop_shape), data.dtype.itemsize
        n_bytes = math.prod(max(spans) for spans in chunks[:n_loops]) * size
        n_bytes *= self.canonical.n_channels
        for edge, spans in zip(outer, chunks[n_loops + 1 :], strict=True):
            n_bytes *= min(edge + 2 * (max(spans) - 1), sum(spans))
        return int(n_bytes)

    def _results(self, grid: TileGrid) -> int:
        """Return the bytes of probabilities that wait, are encoded and are kept."""
        n_classes = self.predictor.config.out_channels
        n_maps = len(self.predictor.head_names) * n_classes
        pixels, coded = math.prod(grid.core), _FLOAT if self.in_memory else _CODED
        encoding = (2 * n_maps + 4 * n_classes) * _FLOAT
        encoded = (KEPT + BEHIND + 1) * (n_maps + n_classes + 4) * _CODED
        if self.streams:
            results = self._parts(grid, n_maps * _FLOAT, encoding)
            results += pixels * (KEPT + BEHIND + 2) * (n_maps + n_classes + 4) * coded
        else:
            waiting = (BEHIND + self.batch + 1) * n_maps * _FLOAT
            results = pixels * (waiting + encoding + encoded)
        kept = 0
        if self.in_memory:
            shape = grid.loop_shape + grid.shape
            kept = math.prod(shape) * (n_maps + n_classes)
        return results + min(kept * _FLOAT, IN_MEMORY)

    def _parts(self, grid: TileGrid, maps: int, encoding: int) -> int:
        """Return the bytes of rows that are out of a stream, before they are encoded.

        Parameters
        ----------
        grid : TileGrid
            The tiles.
        maps, encoding : int
            Bytes of a pixel's probabilities, and of what encoding takes beside them.
        """
        inner, rows = math.prod(grid.largest_outer[1:]), rows_at_once(grid)
        early = rows + grid.halo[0]  # rows of the next tile that are out already
        waiting = min((UNCODED + 2) * rows + early, grid.padded_shape[0])
        return inner * (waiting * maps + rows * encoding)
