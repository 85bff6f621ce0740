"""Coarser levels of an image: their shapes, who writes them, and their pixels.

Each level halves the one before along Y and X, and along Z once a pixel is about as
thick as it is wide::

    level 0    |---- tile ----|---- tile ----|---- tile ----|--|
    level 1    |--tile-|--tile-|--tile-|-|                          owned
    level 2    |tile|tile|tile||                                    owned
    level 3    |-- whatever lies below --|                          coarse

A level is owned by the tiles as long as half of a tile is a whole number of pixels and
not tiny: whoever writes the tile writes its part of the level too, one shard, and
nobody else touches that. Coarse levels are made from what lies below them at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.tiling import round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_unetpp._types import Box

COARSEST = 1024
"""Pixels along Y and X below which no further level is made."""

_SMALLEST_EDGE = {2: 64, 3: 32}
_LARGEST_CHUNK = {2: 512, 3: 64}
_SMALLEST_CHUNK = 16
_COARSE_EDGE = {2: 1024, 3: 128}
_THICK = 1.5
"""How many times thicker than wide a pixel is that is not halved along Z."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a pyramid; all entries go along the spatial axes.

    Attributes
    ----------
    shape : tuple of int
        Pixels.
    factor : tuple of int
        Pixels of level 0 to one of this level.
    step : tuple of int
        Pixels of the level before to one of this level, 1 or 2.
    shard, chunk : tuple of int
        What is written, and what is read, in one piece. Shards consist of chunks.
    owned : bool
        Whether the tile of a shard writes it.
    """

    shape: tuple[int, ...]
    factor: tuple[int, ...]
    step: tuple[int, ...]
    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    owned: bool = True

    def box(self, box: Box) -> Box:
        """Return the part of this level that `box`, a tile of level 0, owns."""
        return tuple(
            (start // by, -(-stop // by))
            for (start, stop), by in zip(box, self.factor, strict=True)
        )

    def shards(self) -> Iterator[Box]:
        """Yield the box of each shard, cut at the level's end."""
        sizes = zip(self.shape, self.shard, strict=True)
        for corner in product(*(range(0, size, edge) for size, edge in sizes)):
            yield tuple(
                (start, min(start + edge, size))
                for start, edge, size in zip(
                    corner, self.shard, self.shape, strict=True
                )
            )

    def below(self, box: Box, shape: tuple[int, ...]) -> Box:
        """Return what a box of this level is made from, in a level of `shape`."""
        return tuple(
            (start * step, min(stop * step, size))
            for (start, stop), step, size in zip(box, self.step, shape, strict=True)
        )


def pyramid(
    shape: tuple[int, ...], core: tuple[int, ...], scale: tuple[float, ...]
) -> tuple[Level, ...]:
    """Return the levels of an image, finest first.

    Parameters
    ----------
    shape : tuple of int
        Of the image along its 2 or 3 spatial axes.
    core : tuple of int
        Edges of the tiles in which it is written.
    scale : tuple of float
        World units a pixel.
    """
    ones = (1,) * len(shape)
    whole = tuple(edge >= size for edge, size in zip(core, shape, strict=True))
    levels = [_with_shards(Level(shape, ones, ones, core, ones), whole)]
    while max(levels[-1].shape[-2:]) > COARSEST:
        levels.append(_next(levels[-1], whole, scale))
    return tuple(levels)


def reduced(
    pixels: npt.NDArray[Any], step: tuple[int, ...], *, labels: bool
) -> npt.NDArray[Any]:
    """Return pixels of the next level.

    Parameters
    ----------
    pixels : ndarray, (..., *spatial)
        Of a level. Where a size is odd, the last pixel stands for two.
    step : tuple of int
        1 or 2 for each spatial axis.
    labels : bool
        Take the first of the pixels, not their mean.

    Returns
    -------
    ndarray, (..., *smaller)
        Of the same dtype; means are rounded to the nearest, halves up.
    """
    if labels:
        key: Any = (..., *(slice(None, None, by) for by in step))
        return np.asarray(pixels[key])
    first = pixels.ndim - len(step)
    total: Any = pixels.astype(np.float32 if pixels.dtype.kind == "f" else np.uint16)
    for axis, by in enumerate(step, start=first):
        if by == 2:
            total = _pairs(total, axis)
    count = int(np.prod(step))
    if pixels.dtype.kind == "f":
        return np.asarray(total / np.float32(count), pixels.dtype)
    return np.asarray((total + count // 2) // count, pixels.dtype)


def _pairs(values: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """Return the sums of neighbours along an axis; a last one alone counts twice."""
    lead = (slice(None),) * axis
    even, odd = values[(*lead, slice(0, None, 2))], values[(*lead, slice(1, None, 2))]
    total = even.copy()
    total[(*lead, slice(0, odd.shape[axis]))] += odd
    if odd.shape[axis] < even.shape[axis]:
        total[(*lead, slice(-1, None))] += even[(*lead, slice(-1, None))]
    return total


def _next(level: Level, whole: tuple[bool, ...], scale: tuple[float, ...]) -> Level:
    """Return the level above `level`."""
    n = len(level.shape)
    sizes = [s * by for s, by in zip(scale, level.factor, strict=True)]
    wanted = (2,) * n if n == 2 or sizes[0] <= _THICK * sizes[-1] else (1, 2, 2)
    step = tuple(
        by if size > 1 else 1 for by, size in zip(wanted, level.shape, strict=True)
    )
    owned = level.owned and all(
        alone or by == 1 or (edge % by == 0 and edge // by >= _SMALLEST_EDGE[n])
        for alone, by, edge in zip(whole, step, level.shard, strict=True)
    )
    made = Level(
        tuple(-(-size // by) for size, by in zip(level.shape, step, strict=True)),
        tuple(had * by for had, by in zip(level.factor, step, strict=True)),
        step,
        tuple(edge // by for edge, by in zip(level.shard, step, strict=True)),
        step,
        owned,
    )
    return _with_shards(made, whole)


def _with_shards(level: Level, whole: tuple[bool, ...]) -> Level:
    """Return a level with chunks, and with shards that consist of them."""
    n = len(level.shape)
    edges = level.shard if level.owned else (_COARSE_EDGE[n],) * n
    pairs = [
        _whole_axis(size, n)
        if alone or (not level.owned and size <= edge)
        else (edge, _chunk(edge, n))
        for size, edge, alone in zip(level.shape, edges, whole, strict=True)
    ]
    return replace(
        level, shard=tuple(p[0] for p in pairs), chunk=tuple(p[1] for p in pairs)
    )


def _whole_axis(size: int, n: int) -> tuple[int, int]:
    """Return shard and chunk along an axis that is a single shard."""
    chunk = min(size, _LARGEST_CHUNK[n])
    return round_up(size, chunk), chunk


def _chunk(edge: int, n: int) -> int:
    """Return the largest part of a shard's edge that divides it and is not large."""
    return divisor(edge, _LARGEST_CHUNK[n])


def divisor(edge: int, most: int) -> int:
    """Return the largest divisor of an edge up to `most`; the edge if that is tiny."""
    found = next(size for size in range(min(edge, most), 0, -1) if edge % size == 0)
    return found if found >= min(_SMALLEST_CHUNK, edge) else edge
