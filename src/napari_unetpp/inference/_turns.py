"""Flips and right-angle turns of the image plane: test-time augmentation.

An image and its mirror image show the same objects, but a network does not answer them
quite alike. The mean of its answers is a little better, and costs as many passes as
there are turns. It is as exact with tiles as a single pass is: both ends of a tile lie
on the pooling grid, so a turned tile is a tile of the turned image, and its halo is the
same on each side::

    0   a     b             N        b - a and N - b are multiples of the pooling too
    +---[tile]---+--...--+--+        0   N-b   N-a            N
                                     +--...----[elit]---+-----+
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp._types import Box
    from napari_unetpp.config import NetworkConfig


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight symmetries of a square, of the axes Y and X.

    Attributes
    ----------
    swap : bool
        Whether Y and X are exchanged first.
    flip : tuple of int
        Which of the last two axes, -2 and -1, are mirrored then.
    """

    swap: bool
    flip: tuple[int, ...]

    def there(self, x: Tensor) -> Tensor:
        """Return pixels (..., Y, X) turned."""
        x = x.transpose(-2, -1) if self.swap else x
        return x.flip(self.flip) if self.flip else x

    def back(self, x: Tensor) -> Tensor:
        """Return turned pixels (..., Y, X) as they lay before."""
        x = x.flip(self.flip) if self.flip else x
        return x.transpose(-2, -1) if self.swap else x

    def size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size of an image once it is turned."""
        return (*size[:-2], size[-1], size[-2]) if self.swap else size

    def box(self, box: Box, size: tuple[int, ...]) -> Box:
        """Return where a part of an image lies when the image is turned.

        Parameters
        ----------
        box : Box
            One interval for each spatial axis.
        size : tuple of int
            Of the image before it is turned.
        """
        spans, sizes = list(box), list(size)
        if self.swap:
            spans[-2:], sizes[-2:] = spans[:-3:-1], sizes[:-3:-1]
        for axis in self.flip:
            start, stop = spans[axis]
            spans[axis] = (sizes[axis] - stop, sizes[axis] - start)
        return tuple(spans)


AS_IT_IS = Turn(swap=False, flip=())
"""The image itself."""

_FLIPS = ((), (-2,), (-1,), (-2, -1))


def turns_of(config: NetworkConfig) -> tuple[Turn, ...]:
    """Return the turns under which a network can see an image, itself first.

    Eight, or the four without an exchange of Y and X where these are pooled differently
    at some level. Z is never turned: it is often sampled otherwise than Y and X.
    """
    square = all(stride[-2] == stride[-1] for stride in config.level_strides)
    return tuple(
        Turn(swap, flip)
        for swap in ((False, True) if square else (False,))
        for flip in _FLIPS
    )
