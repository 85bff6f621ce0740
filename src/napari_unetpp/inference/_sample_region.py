"""A part of an image, small enough to be tried at once, as an image of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Canonical, Image

MOST = {2: (640, 640), 3: (48, 160, 160)}
"""Edges of the largest part, in pixels along the spatial axes."""


def sample_region(
    whole: Canonical, most: tuple[int, ...], region: Box | None = None
) -> Box:
    """Return the middle of an image, or of a part of it.

    Parameters
    ----------
    whole : Canonical
        The image.
    most : tuple of int
        Edges that are not exceeded.
    region : Box, optional
        The part along the spatial axes from whose middle it is taken.
    """
    found = region or tuple((0, size) for size in whole.spatial_shape)
    return tuple(
        _middle(start, stop, edge)
        for (start, stop), edge in zip(found, most, strict=True)
    )


def cut_out(whole: Canonical, box: Box, loop: tuple[int, ...] | None = None) -> Image:
    """Return a part of one plane as an image of its own, of the same axes.

    Parameters
    ----------
    whole : Canonical
        The image.
    box : Box
        The part along the spatial axes, in pixels.
    loop : tuple of int, optional
        Index along each loop axis; the middle ones by default.
    """
    at = loop or tuple(size // 2 for size in whole.loop_shape)
    spans = dict(zip(whole.loop_axes, ((i, i + 1) for i in at), strict=True))
    spans |= dict(zip(whole.spatial_axes, box, strict=True))
    image = whole.image
    index = tuple(
        slice(*spans[letter]) if letter in spans else slice(None)
        for letter in image.axes
    )
    data: Any = image.data
    return replace(image, data=data[index], translate=None)


def _middle(start: int, stop: int, edge: int) -> tuple[int, int]:
    """Return an interval of at most `edge` pixels in the middle of another."""
    edge = min(edge, stop - start)
    first = start + (stop - start - edge) // 2
    return first, first + edge
