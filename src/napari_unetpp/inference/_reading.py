"""Tiles as they come from the file: pixels, mask, and what cannot be read.

Reading is the same whatever the tiles are. Pieces that cannot be read are dark as a
whole, the way they are stored, so that no tile sees pixels there that another does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
    from concurrent.futures import Future

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.tiling import Tile

MOST_KEPT = 2**26
"""Bytes of pixels that are kept because they were decoded with others."""

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
    even : int
        The last so many rows have one value only in every channel (rows go along the
        first spatial axis).
    value : bytes
        These values.
    bad : tuple of (Box, str)
        What could not be read, by the axes of the whole image without channels.
    continues : bool
        Whether `pixels` are only the last rows of the tile, those that the tile above,
        which was loaded before, does not have.
    """

    tile: Tile
    pixels: FloatArray | None
    inside: npt.NDArray[np.bool_] | None = None
    even: int = 0
    value: bytes = b""
    bad: tuple[Bad, ...] = ()
    continues: bool = False

    @property
    def constant(self) -> bytes | None:
        """The values of the channels, if each has one value only."""
        whole = self.pixels is not None and self.even == self.pixels.shape[1]
        return self.value if whole and not self.continues else None


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """A tile that is wanted, or not: what is known of it before it is read.

    Attributes
    ----------
    tile : Tile
        Where it lies.
    inside : Future of ndarray of bool, (*core), or None
        Where the mask is; ``None`` if there is none.
    """

    tile: Tile
    inside: Future[npt.NDArray[np.bool_] | None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the mask has no pixel in the core; waits until that is known."""
        found = None if self.inside is None else self.inside.result()
        return found is not None and not found.any()


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
        self._kept: tuple[Box, npt.NDArray[Any]] | None = None

    def load(self, tiles: Sequence[Tile]) -> list[LoadedTile]:
        """Read tiles, as far as the mask has pixels in them.

        Raises
        ------
        ImageError
            If pixels cannot be read, or are not finite and must be.
        """
        return [self._load(tile, self.inside(tile)) for tile in tiles]

    def load_below(self, wanted: Wanted, above: Wanted | None) -> list[LoadedTile]:
        """Read a tile of a strip, without what the tile above has already.

        Parameters
        ----------
        wanted : Wanted
            The tile.
        above : Wanted, optional
            The tile above, if that is the last one that was asked for.

        Raises
        ------
        ImageError
            As `load` does.
        """
        tile = wanted.tile
        inside = None if wanted.inside is None else wanted.inside.result()
        if above is None or wanted.is_empty or above.is_empty:
            return [self._load(tile, inside)]
        own = (above.tile.outer[0][1], tile.outer[0][1])
        rows = replace(tile, outer=(own, *tile.outer[1:]))
        return [replace(self._load(rows, inside), tile=tile, continues=True)]

    def pixels(self, tile: Tile) -> FloatArray:
        """Return the normalised pixels (C, *outer) of a tile.

        Beyond the image's end its last pixels are repeated, up to the alignment.
        """
        return self._prepared(tile, self._raw(tile)[0])

    def _load(self, tile: Tile, inside: npt.NDArray[np.bool_] | None) -> LoadedTile:
        if inside is not None and not inside.any():
            return LoadedTile(tile, None)
        if inside is not None and inside.all():
            inside = None
        shape = tuple(stop - start for start, stop in tile.outer)
        if not shape[0]:  # the tile above has all rows up to the end
            none = np.empty((self._plan.whole.n_channels, *shape), np.float32)
            return LoadedTile(tile, none, inside)
        found, bad = self._raw(tile)  # (C, *S)
        first = found[(slice(None), *(slice(1),) * len(shape))]  # (C, 1, ...)
        if _is_constant(found, first):
            value = self._normalised(first)
            pixels = np.broadcast_to(value, (len(value), *shape))
        else:
            pixels = self._prepared(tile, found)
        even, what = _even_rows(pixels)
        return LoadedTile(tile, pixels, inside, even, what, bad)

    def inside(self, tile: Tile) -> npt.NDArray[np.bool_] | None:
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
        if not any(n for _, n in missing):
            return pixels  # padding by nothing would copy all of it
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
        elif plan.streams and plan.rescaling is None:
            found = self._read_on(box)
        else:
            found = self._read(box)
        told = tuple((piece[:n] + piece[n + 1 :], why) for piece, why in bad)
        return found.reshape(found.shape[n:]), told

    def _read(self, box: Box) -> npt.NDArray[Any]:
        """Return a part of the whole image, all its axes kept."""
        whole = self._plan.whole
        return read_again(lambda: read(whole.cut(box), ()), whole.image.name)

    def _read_on(self, box: Box) -> npt.NDArray[Any]:
        """Return a part of the whole image, and keep what is decoded below it.

        Tiles end where the pieces of a file do not; the tile below begins with the
        rest. Another thread that reads meanwhile finds nothing, and reads it anew.
        """
        axis, kept = len(self._plan.whole.loop_axes) + 1, self._kept
        begin, stop = box[axis]
        parts, lead = [], (slice(None),) * axis
        if kept is not None and kept[0] == _with(box, axis, (begin, kept[0][axis][1])):
            begin = min(kept[0][axis][1], stop)
            n = begin - box[axis][0]
            parts.append(kept[1][(*lead, slice(n))])
            left = _with(box, axis, (begin, kept[0][axis][1]))
            self._kept = left, kept[1][(*lead, slice(n, None))]
        if begin < stop:
            end = self._end_of_piece(axis, box)
            found = self._read(_with(box, axis, (begin, end)))
            parts.append(found[(*lead, slice(stop - begin))])
            below = found[(*lead, slice(stop - begin, None))].copy()
            self._kept = _with(box, axis, (stop, end)), below
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)

    def _end_of_piece(self, axis: int, box: Box) -> int:
        """Return where the pieces of the last row end, if that is not too far."""
        data, stop = self._plan.whole.data, box[axis][1]
        chunks = getattr(data, "chunks", None)
        if chunks is None:
            return stop
        end = _pieces(chunks[axis], stop - 1, stop)[0][1]
        below = _with(box, axis, (stop, end))
        n_bytes = math.prod(b - a for a, b in below) * data.dtype.itemsize
        return end if n_bytes <= MOST_KEPT else stop

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


def _even_rows(pixels: FloatArray) -> tuple[int, bytes]:
    """Return how many of the last rows (C, rows, ...) are alike, and their values."""
    around = (slice(None), slice(-1, None), *(slice(1),) * (pixels.ndim - 2))
    last = pixels[around]  # (C, 1, ...)
    if pixels.strides[1:] == (0,) * (pixels.ndim - 1):
        return pixels.shape[1], last.tobytes()
    if not (pixels[:, -1:] == last).all():
        return 0, last.tobytes()
    axes = (0, *range(2, pixels.ndim))
    uneven = np.flatnonzero((pixels != last).any(axis=axes))
    return pixels.shape[1] - 1 - int(uneven.max(initial=-1)), last.tobytes()


def _pieces(chunks: Sequence[int], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the intervals of the chunks that meet an interval."""
    ends = np.cumsum(chunks).tolist()
    begins = [0, *ends[:-1]]
    return [(a, b) for a, b in zip(begins, ends, strict=True) if a < stop and b > start]


def _with(box: Box, axis: int, span: tuple[int, int]) -> Box:
    """Return `box` with another interval along one axis."""
    return (*box[:axis], span, *box[axis + 1 :])


def _shifted(box: Box, origin: Box) -> Box:
    """Return `box` as it lies within `origin`."""
    return tuple(
        (start - first, stop - first)
        for (start, stop), (first, _) in zip(box, origin, strict=True)
    )
