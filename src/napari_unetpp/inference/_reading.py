"""Tiles as they come from the file: pixels, mask, and what cannot be read.

Reading is the same whatever the tiles are. Pieces that cannot be read are dark as a
whole, the way they are stored, so that no tile sees pixels there that another does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import normalise
from napari_unetpp.errors import ImageError, ImageGoneError
from napari_unetpp.inference._lazy import read
from napari_unetpp.io._retry import read_again

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.tiling import Tile

Bad = tuple["Box", str]
"""Where pixels cannot be read, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedTile:
    """A tile as it goes to the network.

    Attributes
    ----------
    tile : Tile
        Where it lies.
    pixels : ndarray of float32, (C, *outer), or None
        Normalised; ``None`` if the mask has no pixel in the core.
    inside : ndarray of bool, (*core), or None
        Where the mask is; ``None`` if that is everywhere.
    constant : bytes or None
        The values of the channels, if each has one value only.
    bad : tuple of (Box, str)
        What could not be read, by the axes of the whole image without channels.
    """

    tile: Tile
    pixels: FloatArray | None
    inside: npt.NDArray[np.bool_] | None = None
    constant: bytes | None = None
    bad: tuple[Bad, ...] = ()


class TileReader:
    """Reads the tiles of a plan; several threads may use it.

    A piece that could not be read is not tried again, and is dark for all tiles.

    Parameters
    ----------
    plan : Plan
        What is read, and where.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._bad: dict[Box, str] = {}

    def load(self, tiles: Sequence[Tile]) -> list[LoadedTile]:
        """Read tiles, as far as the mask has pixels in them.

        Raises
        ------
        ImageError
            If pixels cannot be read, or are not finite and must be.
        """
        return [self._load(tile) for tile in tiles]

    def pixels(self, tile: Tile) -> FloatArray:
        """Return the normalised pixels (C, *outer) of a tile.

        Beyond the image's end its last pixels are repeated, up to the alignment.
        """
        return self._prepared(tile, self._raw(tile)[0])

    def _load(self, tile: Tile) -> LoadedTile:
        inside = self._inside(tile)
        if inside is not None and not inside.any():
            return LoadedTile(tile, None)
        found, bad = self._raw(tile)  # (C, *S)
        first = found[(slice(None), *(slice(1),) * len(tile.outer))]  # (C, 1, ...)
        constant = first.tobytes() if _is_constant(found, first) else None
        if constant is None:
            pixels = self._prepared(tile, found)
        else:
            shape = tuple(stop - start for start, stop in tile.outer)
            pixels = np.broadcast_to(self._normalised(first), (len(first), *shape))
        if inside is not None and inside.all():
            inside = None
        return LoadedTile(tile, pixels, inside, constant, bad)

    def _inside(self, tile: Tile) -> npt.NDArray[np.bool_] | None:
        """Return where the mask is in the core of a tile; ``None`` without a mask."""
        mask = self._plan.mask
        if mask is None:
            return None
        box = self._plan.in_whole(tile.loop, tile.core)
        core, rescaling = box[-len(tile.core) :], self._plan.rescaling
        under = core if rescaling is None else rescaling.under(core)
        index = (*slices(box[: -len(core)]), *slices(under))[-mask.ndim :]
        found = read_again(lambda: read(mask, index), "mask")
        inside = np.asarray(found.reshape(found.shape[-len(core) :]) != 0)
        if rescaling is None:
            return inside
        return rescaling.nearest(inside, [start for start, _ in under], core)

    def _prepared(self, tile: Tile, found: npt.NDArray[Any]) -> FloatArray:
        """Return pixels normalised, rescaled and padded to the alignment."""
        pixels, rescaling = self._normalised(found), self._plan.rescaling
        if rescaling is not None:
            wanted = self._within(tile)[len(tile.loop) :]
            origin = [start for start, _ in rescaling.needed(wanted)]
            pixels = rescaling.linear(pixels, origin, wanted)
        missing = [
            (0, stop - start - size)
            for (start, stop), size in zip(tile.outer, pixels.shape[1:], strict=True)
        ]
        return np.pad(pixels, [(0, 0), *missing], mode="edge")

    def _within(self, tile: Tile) -> Box:
        """Return what of a tile lies within the image, as it lies in the whole."""
        outer = tuple(
            (start, min(stop, end))
            for (start, stop), end in zip(
                tile.outer, self._plan.grid.shape, strict=True
            )
        )
        return self._plan.in_whole(tile.loop, outer)

    def _normalised(self, found: npt.NDArray[Any]) -> FloatArray:
        plan = self._plan
        return normalise(
            found,
            plan.intensity,
            plan.model.intensity,
            plan.settings.nonfinite,
            plan.whole.image.name,
        )

    def _raw(self, tile: Tile) -> tuple[npt.NDArray[Any], tuple[Bad, ...]]:
        """Return the pixels (C, *S) that a tile is made of, as found.

        They are those of the tile within the image, unless the image is rescaled.
        """
        plan, n, box = self._plan, len(tile.loop), self._within(tile)
        spatial = box[n:]
        if plan.rescaling is not None:
            spatial = plan.rescaling.needed(spatial)
        box = (*box[:n], (0, plan.whole.n_channels), *spatial)
        bad: list[Bad] = []
        if plan.settings.skip_bad and hasattr(plan.whole.data, "chunks"):
            found, bad = self._read_pieces(box)
        else:
            found = self._read(box)
        told = tuple((piece[:n] + piece[n + 1 :], why) for piece, why in bad)
        return found.reshape(found.shape[n:]), told

    def _read(self, box: Box) -> npt.NDArray[Any]:
        """Return a part of the whole image, all its axes kept."""
        whole = self._plan.whole
        return read_again(lambda: read(whole.cut(box), ()), whole.image.name)

    def _read_pieces(self, box: Box) -> tuple[npt.NDArray[Any], list[Bad]]:
        """Return a part of the whole image, dark where a piece cannot be read.

        Pieces are always read as a whole: of a bad one some parts might be readable,
        which would be seen by some tiles and not by others.
        """
        data: Any = self._plan.whole.data
        spans = [_pieces(c, *span) for c, span in zip(data.chunks, box, strict=True)]
        around = tuple((pieces[0][0], pieces[-1][1]) for pieces in spans)
        inner = slices(_shifted(box, around))
        pieces = list(product(*spans))
        if not any(piece in self._bad for piece in pieces):
            try:
                return self._read(around)[inner], []
            except ImageGoneError:
                raise
            except ImageError:
                pass  # which piece it is shows below
        found = np.empty([stop - start for start, stop in around], data.dtype)
        for piece in pieces:
            found[slices(_shifted(piece, around))] = self._piece(piece)
        bad = [(piece, self._bad[piece]) for piece in pieces if piece in self._bad]
        return found[inner], bad

    def _piece(self, piece: Box) -> npt.NDArray[Any]:
        """Return a piece as it is stored, or the dark that stands for it."""
        if piece not in self._bad:
            try:
                return self._read(piece)
            except ImageGoneError:
                raise
            except ImageError as error:
                self._bad[piece] = str(error)
        plan = self._plan
        low = np.asarray(plan.intensity.low).reshape(-1, *(1,) * len(plan.grid.shape))
        channels = slice(*piece[len(plan.whole.loop_axes)])
        return low[channels].astype(plan.whole.data.dtype)


def _is_constant(found: npt.NDArray[Any], first: npt.NDArray[Any]) -> bool:
    """Return whether every channel has one value.

    Of most tiles a few pixels tell that it has not.
    """
    few = found[(slice(None), *(slice(None, None, 61),) * (found.ndim - 1))]
    return bool((few == first).all() and (found == first).all())


def _pieces(chunks: Sequence[int], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the intervals of the chunks that meet an interval."""
    ends = np.cumsum(chunks).tolist()
    begins = [0, *ends[:-1]]
    return [(a, b) for a, b in zip(begins, ends, strict=True) if a < stop and b > start]


def _shifted(box: Box, origin: Box) -> Box:
    """Return `box` as it lies within `origin`."""
    return tuple(
        (start - first, stop - first)
        for (start, stop), (first, _) in zip(box, origin, strict=True)
    )
