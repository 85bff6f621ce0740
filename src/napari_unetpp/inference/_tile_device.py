"""The network over tiles of any size, cut smaller where its memory is too small."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import DeviceMemoryError
from napari_unetpp.inference._predictor import TileTooLargeError
from napari_unetpp.tiling import round_up

if TYPE_CHECKING:
    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.inference._predictor import Predictor
    from napari_unetpp.tiling import TileGrid


class TileDevice:
    """A predictor, with tiles cut into halves where its memory is too small.

    Parameters
    ----------
    predictor : Predictor
        The network on its device.
    grid : TileGrid
        With the halo and alignment of that network.

    Attributes
    ----------
    too_large : tuple of int
        Edges of the smallest tile, halo included, that did not fit; empty so far.
    seconds : float
        Time that the network has taken.
    share : float
        1: tiles are computed as a whole.
    n_pixels : int
        Pixels that have gone through it.
    """

    def __init__(self, predictor: Predictor, grid: TileGrid) -> None:
        self.too_large: tuple[int, ...] = ()
        self.seconds = 0.0
        self.n_pixels = 0
        self.share = 1.0
        self._predictor = predictor
        self._grid = grid

    def predict(self, batch: FloatArray, crop: Box) -> FloatArray:
        """Return the probabilities (N, H, K, *crop) of tiles (N, C, *outer)."""
        start = time.perf_counter()
        heads = self._whole(batch, crop)
        if heads is None:
            heads = np.stack([self._halves(x, crop) for x in batch])
        self.seconds += time.perf_counter() - start
        return heads

    def _whole(self, batch: FloatArray, crop: Box) -> FloatArray | None:
        """Return the probabilities (N, H, K, *crop), or ``None`` if they do not fit."""
        shape = batch.shape[2:]
        if self.too_large and math.prod(shape) >= math.prod(self.too_large):
            return None
        try:
            heads = self._predictor.predict_batch(batch, crop)
        except TileTooLargeError:
            self.too_large = shape
            return None
        self.n_pixels += len(batch) * math.prod(shape)
        return heads

    def _part(self, x: FloatArray, crop: Box) -> FloatArray:
        """Return the probabilities (H, K, *crop) of a tile (C, *outer)."""
        heads = self._whole(x[None], crop)
        return self._halves(x, crop) if heads is None else heads[0]

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
