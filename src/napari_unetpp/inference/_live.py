"""A network that still learns, and the images it learns from, as predictions need them.

What is predicted here equals what the run over a whole image gives: the tiles lie on
the pooling grid of the image, with the halo of the receptive field, and intensities
are those of the whole image. Only where the memory forbids it, in 3-D, is the halo cut:
then pixels near the border of a tile differ a little.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._predictor import (
    Predictor,
    bytes_per_pixel,
    temperatures_of,
)
from napari_unetpp.inference._turns import AS_IT_IS
from napari_unetpp.io import image_range
from napari_unetpp.io._retry import read_again
from napari_unetpp.nn import UNetPlusPlus
from napari_unetpp.tiling import Tile, halo_for, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.arrays import Canonical, Image, IntensityRange
    from napari_unetpp.config import ModelConfig, Nonfinite
    from napari_unetpp.nn import Model

EDGES = {2: (512, 256, 128), 3: (64, 48, 32)}
"""Edges of a tile's core in pixels, the largest first."""

_TILE_BYTES = 2**30
"""Memory that a tile may take beside the training."""


class LivePredictor(Predictor):
    """All heads of a network that goes on learning: it is used as it is, not copied.

    It may be used between two events of the training alone, by the thread that drives
    it. Neither weights nor mode of the network are different afterwards.

    Parameters
    ----------
    model : Model
        The model, on the device where it learns.
    precision : {"float32", "bfloat16"}
        That of the training.
    """

    def __init__(self, model: Model, precision: str = "float32") -> None:
        network = model.network
        self.device = next(network.parameters()).device
        self.level = network.config.depth
        heads = range(1, self.level + 1)
        if not isinstance(network, UNetPlusPlus):
            heads = range(self.level, self.level + 1)
        self.head_names = tuple(f"head {j}" for j in heads)
        self._temperatures = temperatures_of(model, heads)
        self.head_weights = model.head_weights(self.level)
        self.config = network.config
        self.turns = (AS_IT_IS,)
        self.radius = network.receptive_field()
        self.n_bytes = sum(p.numel() * p.element_size() for p in network.parameters())
        self._bfloat16 = precision == "bfloat16"
        self._network = network
        self._largest_batch = None
        self._lock = threading.Lock()

    def heads(self, x: FloatArray, crop: Box) -> FloatArray:
        """Return the probabilities (H, K, *crop) of a tile (C, *outer)."""
        found: FloatArray = self.predict_batch(x[None], crop)[0]
        return found

    def _forward(self, x: FloatArray, crop: Box | None) -> FloatArray:
        network = self._network
        learns = network is not None and network.training
        if network is not None and learns:
            network.eval()  # else the norms would take these pixels for a batch
        try:
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self._bfloat16
            ):
                return super()._forward(x, crop)
        finally:
            if network is not None and learns:
                network.train()


@dataclass(frozen=True, slots=True, eq=False)
class LiveImage:
    """An image as a network reads it, piece by piece.

    Attributes
    ----------
    canonical : Canonical
        The image.
    intensity : IntensityRange
        Of the whole image.
    model : ModelConfig
        With the intensity rule.
    nonfinite : {"error", "background"}
        What becomes of pixels that are not finite.
    """

    canonical: Canonical
    intensity: IntensityRange
    model: ModelConfig
    nonfinite: Nonfinite

    @classmethod
    def of(cls, image: Image, model: ModelConfig, nonfinite: Nonfinite) -> LiveImage:
        """Return an image with its intensities, which are found here.

        Raises
        ------
        AxesError, ImageError
            If the model does not take it, or it cannot be read.
        """
        network = model.network
        found = canonical(
            image, network.spatial_dims, model.channels, network.in_channels
        )
        return cls(
            found, image_range(found, model.intensity, nonfinite), model, nonfinite
        )

    @property
    def finds_objects(self) -> bool:
        """Whether the model that reads it finds objects."""
        return self.model.task == "instances"

    def pixels(self, tile: Tile) -> FloatArray:
        """Return the normalised pixels (C, *outer) of a tile.

        Beyond the image's end its last pixels are repeated, up to the alignment.
        """
        image, n = self.canonical, len(tile.loop)
        inner = tuple(
            (start, min(stop, size))
            for (start, stop), size in zip(tile.outer, image.spatial_shape, strict=True)
        )
        box = (*((at, at + 1) for at in tile.loop), (0, image.n_channels), *inner)
        found = read_again(lambda: read(image.cut(box), ()), image.image.name)
        found = found.reshape(found.shape[n:])
        pixels = normalise(
            found,
            self.intensity,
            self.model.intensity,
            self.nonfinite,
            image.image.name,
        )
        missing = [
            (0, stop - start - size)
            for (start, stop), size in zip(tile.outer, pixels.shape[1:], strict=True)
        ]
        return np.pad(pixels, [(0, 0), *missing], mode="edge")


class LiveImages:
    """The images of a training; each is opened when it is first asked for.

    Parameters
    ----------
    images : sequence of Image
        As they were given.
    model : ModelConfig
        How they are read.
    nonfinite : {"error", "background"}
        What becomes of pixels that are not finite.
    """

    def __init__(
        self,
        images: Sequence[Image],
        model: ModelConfig,
        nonfinite: Nonfinite = "error",
    ) -> None:
        self._images, self._model, self._nonfinite = images, model, nonfinite
        self._open: dict[int, LiveImage] = {}

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> LiveImage:
        if index not in self._open:
            image = self._images[index]
            self._open[index] = LiveImage.of(image, self._model, self._nonfinite)
        return self._open[index]


@dataclass(frozen=True, slots=True)
class Cut:
    """How a view is cut into tiles.

    Attributes
    ----------
    core, halo, alignment : tuple of int
        Largest edges of a core, context on each side and what both are multiples of, in
        pixels.
    """

    core: tuple[int, ...]
    halo: tuple[int, ...]
    alignment: tuple[int, ...]

    @classmethod
    def fitting(
        cls,
        predictor: LivePredictor,
        shape: Sequence[int],
        edges: Sequence[int],
        max_pixels: float = math.inf,
    ) -> Cut:
        """Return the largest tiles that take neither too much memory nor time.

        Parameters
        ----------
        predictor : LivePredictor
            The network.
        shape : sequence of int
            Size of the image along its spatial axes in pixels.
        edges : sequence of int
            Edges of a core to choose from, the largest first.
        max_pixels : float
            Pixels of a tile, halo included, that there is time for; the smallest edge
            is taken in any case.
        """
        alignment = predictor.config.alignment()
        halo = halo_for(predictor.radius, alignment)
        room = _TILE_BYTES / bytes_per_pixel(predictor.config)
        for edge in edges:
            cut = cls(tuple(round_up(edge, a) for a in alignment), halo, alignment)
            if cut.n_pixels(shape) <= min(room, max_pixels):
                return cut
        while cut.n_pixels(shape) > room and any(cut.halo):
            less = zip(cut.halo, alignment, strict=True)
            cut = cls(cut.core, tuple(max(h - a, 0) for h, a in less), alignment)
        return cut

    def n_pixels(self, shape: Sequence[int]) -> int:
        """Return the pixels of the largest tile in an image of this shape."""
        edges = zip(self.core, self.halo, shape, self.alignment, strict=True)
        return math.prod(min(c + 2 * h, round_up(n, a)) for c, h, n, a in edges)

    def tiles(
        self, region: Box, loop: tuple[int, ...], shape: Sequence[int]
    ) -> list[Tile]:
        """Return tiles whose cores partition a region of an image, middle first.

        Parameters
        ----------
        region : Box
            (start, stop) in pixels for each spatial axis, within the image.
        loop : tuple of int
            Index along each other axis.
        shape : sequence of int
            Size of the image along its spatial axes in pixels.
        """
        spans = [
            list(_spans(*span, edge, align))
            for span, edge, align in zip(region, self.core, self.alignment, strict=True)
        ]
        counts = tuple(len(of_axis) for of_axis in spans)
        middle = [(start + stop) / 2 for start, stop in region]
        cores = [
            tuple(of_axis[k] for of_axis, k in zip(spans, at, strict=True))
            for at in np.ndindex(counts)
        ]
        cores.sort(key=lambda core: _off(core, middle))
        return [
            self._tile(number, loop, core, region, shape)
            for number, core in enumerate(cores)
        ]

    def _tile(
        self,
        number: int,
        loop: tuple[int, ...],
        core: Box,
        region: Box,
        shape: Sequence[int],
    ) -> Tile:
        """Return the tile around a core, which is cut at the region's border."""
        outer = tuple(
            (max(start - halo, 0), min(stop + halo, round_up(size, align)))
            for (start, stop), halo, size, align in zip(
                core, self.halo, shape, self.alignment, strict=True
            )
        )
        kept = tuple(
            (max(start, low), min(stop, high))
            for (start, stop), (low, high) in zip(core, region, strict=True)
        )
        crop = tuple(
            (start - first, stop - first)
            for (start, stop), (first, _) in zip(kept, outer, strict=True)
        )
        return Tile(number, loop, kept, outer, crop)


def _spans(start: int, stop: int, edge: int, align: int) -> Iterator[tuple[int, int]]:
    """Yield intervals of about one size that cover another, on the pooling grid."""
    first = start // align * align
    n = -(-(stop - first) // edge)
    step = round_up(-(-(stop - first) // n), align)
    for begin in range(first, stop, step):
        yield begin, min(begin + step, round_up(stop, align))


def _off(core: Box, middle: Sequence[float]) -> float:
    """Return how far the middle of a core lies from another, squared."""
    return sum(
        ((start + stop) / 2 - at) ** 2
        for (start, stop), at in zip(core, middle, strict=True)
    )
