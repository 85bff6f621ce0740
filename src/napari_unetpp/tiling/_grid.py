"""Cutting an image into tiles, so that the tiled result equals the whole one.

A tile is a core, the part that is kept, and a halo, the context that the network sees::

    0        core 0        core 1        core 2     shape   padded
    |-------------|-------------|---------------------|......|
    [=======outer 0=======]
              [========outer 1========]                        the network reads outer,
                     [core 1]                                  crop is core in outer

Cores partition the image. Core and halo are multiples of the alignment (the product of
the network's poolings), so all tiles begin on the same pooling grid; the halo is not
smaller than the receptive field; at the image's border a tile ends where the image
ends, so that it meets the same border there as the whole image does. The far end is
padded up to the alignment, never further; whoever reads the tile repeats the edge.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, overload

from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_unetpp._types import Box


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image that goes through the network at once.

    Attributes
    ----------
    index : int
        Position in the grid.
    loop : tuple of int
        Index into the loop axes.
    core : Box
        The part that is kept, in image coordinates, cut at the image's end.
    outer : Box
        What the network sees, in image coordinates; it may pass the image's end by
        less than the alignment.
    crop : Box
        The core within `outer`.
    """

    index: int
    loop: tuple[int, ...]
    core: Box
    outer: Box
    crop: Box


@dataclass(frozen=True, slots=True)
class TileGrid(Sequence[Tile]):
    """All tiles of an image, made when asked for: a million of them cost nothing.

    Attributes
    ----------
    shape : tuple of int
        Size of the image along each spatial axis in pixels.
    core, halo : tuple of int
        Edges of a core and context on each side in pixels, multiples of `alignment`.
    alignment : tuple of int
        What sizes and origins are multiples of.
    loop_shape : tuple of int
        Size of each loop axis.

    Raises
    ------
    SettingsError
        If a size is not positive, or core or halo is not a multiple of the alignment.
    """

    shape: tuple[int, ...]
    core: tuple[int, ...]
    halo: tuple[int, ...]
    alignment: tuple[int, ...]
    loop_shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.shape)
        if not n or {len(self.core), len(self.halo), len(self.alignment)} != {n}:
            raise SettingsError(
                f"shape={self.shape}, core={self.core}, halo={self.halo} and"
                f" alignment={self.alignment} need one entry for each spatial axis"
            )
        if min(self.shape + self.core + self.alignment + self.loop_shape) < 1:
            raise SettingsError(
                f"shape={self.shape}, core={self.core}, alignment={self.alignment} and"
                f" loop_shape={self.loop_shape} must be at least 1 everywhere"
            )
        for core, halo, align in zip(self.core, self.halo, self.alignment, strict=True):
            if core % align or halo % align or halo < 0:
                raise SettingsError(
                    f"core={self.core} and halo={self.halo} must be multiples of the"
                    f" alignment {self.alignment}, else tiles pool other pixels than"
                    " the whole image does; round both up to it"
                )

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """Shape of the image padded at its far end to the alignment."""
        return tuple(map(round_up, self.shape, self.alignment))

    @property
    def largest_outer(self) -> tuple[int, ...]:
        """Edges of the largest tile in pixels, halo included."""
        edges = zip(self.core, self.halo, self.padded_shape, strict=True)
        return tuple(min(core + 2 * halo, padded) for core, halo, padded in edges)

    @property
    def n_blocks(self) -> tuple[int, ...]:
        """Number of tiles along each spatial axis."""
        return tuple(-(-s // c) for s, c in zip(self.shape, self.core, strict=True))

    @property
    def n_planes(self) -> int:
        """Number of index combinations of the loop axes."""
        return math.prod(self.loop_shape)

    @property
    def tiles_a_plane(self) -> int:
        """Number of tiles of each plane (one index combination of the loop axes)."""
        return math.prod(self.n_blocks)

    def __len__(self) -> int:
        return self.n_planes * self.tiles_a_plane

    @overload
    def __getitem__(self, index: int) -> Tile: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tile]: ...
    def __getitem__(self, index: int | slice) -> Tile | list[Tile]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"tile {index} of {n}")
        plane, block = divmod(index % n, self.tiles_a_plane)
        loop = _unravel(plane, self.loop_shape)
        return self._tile(index % n, loop, _unravel(block, self.n_blocks))

    def tiles_meeting(
        self, box: Box, loop: tuple[int, ...] | None = None
    ) -> Iterator[Tile]:
        """Yield the tiles whose cores meet `box`, of one plane or of all."""
        inside = [
            (max(start, 0), min(stop, size))
            for (start, stop), size in zip(box, self.shape, strict=True)
        ]
        if any(start >= stop for start, stop in inside):
            return
        spans = [
            range(start // core, -(-stop // core))
            for (start, stop), core in zip(inside, self.core, strict=True)
        ]
        loops = product(*map(range, self.loop_shape)) if loop is None else [loop]
        for plane in loops:
            for block in product(*spans):
                index = _ravel(plane, self.loop_shape) * self.tiles_a_plane
                index += _ravel(block, self.n_blocks)
                yield self._tile(index, plane, block)

    def part(self, tile: Tile, box: Box, step: int) -> Tile:
        """Return a tile cut to what of its core meets `box`, and some room around it.

        Parameters
        ----------
        tile : Tile
            Of this grid.
        box : Box
            Meets the core.
        step : int
            Pixels, from the core's beginning, of which the edges are multiples of.
        """
        core, outer, crop = [], [], []
        for (begin, end), (low, high), align, halo, padded in zip(
            tile.core, box, self.alignment, self.halo, self.padded_shape, strict=True
        ):
            unit = math.lcm(align, step)
            start = begin + max(low - begin, 0) // unit * unit
            stop = min(begin + round_up(min(high, end) - begin, unit), end)
            first = max(start - halo, 0)
            core.append((start, stop))
            outer.append((first, min(round_up(stop, align) + halo, padded)))
            crop.append((start - first, stop - first))
        return replace(tile, core=tuple(core), outer=tuple(outer), crop=tuple(crop))

    def _tile(self, index: int, loop: tuple[int, ...], block: tuple[int, ...]) -> Tile:
        core, outer, crop = [], [], []
        for at, size, edge, halo, padded in zip(
            block, self.shape, self.core, self.halo, self.padded_shape, strict=True
        ):
            start, stop = at * edge, min((at + 1) * edge, size)
            first = max(start - halo, 0)
            core.append((start, stop))
            outer.append((first, min((at + 1) * edge + halo, padded)))
            crop.append((start - first, stop - first))
        return Tile(index, loop, tuple(core), tuple(outer), tuple(crop))


def round_up(size: int, step: int) -> int:
    """Return the smallest multiple of `step` that is not below `size`."""
    return -(-size // step) * step


def halo_for(radius: Sequence[int], alignment: Sequence[int]) -> tuple[int, ...]:
    """Return the smallest aligned halo that covers a receptive field's radius."""
    return tuple(map(round_up, radius, alignment))


def choose_core(
    shape: Sequence[int],
    alignment: Sequence[int],
    fits: Callable[[tuple[int, ...]], bool],
    step: int = 1,
) -> tuple[int, ...]:
    """Return the largest core whose tile fits in memory.

    Parameters
    ----------
    shape, alignment : sequence of int
        Of the image and the network, one entry for each spatial axis, in pixels.
    fits : callable
        Says of a core whether there is room for its tile; what is smaller than one that
        fits must fit too.
    step : int
        Edges above this are multiples of it, so that the chunks of a store divide them.

    Returns
    -------
    tuple of int
        Multiples of the alignment, not smaller than it even where that does not fit,
        and not larger than the image padded to alignment and step.
    """
    padded = tuple(map(round_up, shape, alignment))

    def core_of(edge: int) -> tuple[int, ...]:
        return tuple(
            core_edge(min(edge, end), end, align, step)
            for end, align in zip(padded, alignment, strict=True)
        )

    low, high = 0, max(padded)
    if fits(core_of(high)):  # asked first, because it is so as a rule
        return core_of(high)
    while low < high:  # the largest edge that fits; edge 0 is one alignment
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(core_of(middle)) else (low, middle - 1)
    return core_of(low)


def wanted_core(
    shape: Sequence[int], alignment: Sequence[int], edge: int
) -> tuple[int, ...]:
    """Return the core of a wanted edge in pixels, rounded up to the alignment."""
    padded = map(round_up, shape, alignment)
    edges = (round_up(edge, align) for align in alignment)
    return tuple(map(min, edges, padded))


def core_edge(edge: int, padded: int, alignment: int, step: int) -> int:
    """Return `edge` made a multiple of the alignment, and of `step` if above it."""
    step = math.lcm(alignment, step)
    if edge == padded:  # one tile holds all: the store's chunk may pass the end
        return padded if padded <= step else round_up(padded, step)
    if edge > step:
        return edge // step * step
    return max(edge // alignment, 1) * alignment


def _unravel(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the position of the `index`-th element, the last axis fastest."""
    position = []
    for size in reversed(shape):
        index, rest = divmod(index, size)
        position.append(rest)
    return tuple(reversed(position))


def _ravel(position: Sequence[int], shape: tuple[int, ...]) -> int:
    """Return the index of the element at `position`, the last axis fastest."""
    index = 0
    for at, size in zip(position, shape, strict=True):
        index = index * size + at
    return index
