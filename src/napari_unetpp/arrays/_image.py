"""An image of any axes, as found: pixels that may lie on disk, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp.errors import AxesError, ImageError

if TYPE_CHECKING:
    from napari_unetpp._types import LazyArray

PIXEL = "pixel"
"""Unit of an axis whose size in the world is not known."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of any axes, as found.

    Attributes
    ----------
    data : LazyArray
        The pixels, usually a dask array over a file; channels, red-green-blue too, are
        an axis of their own.
    axes : str
        One upper-case letter for each axis of `data`, for example ``"TCZYX"``.
    scale : tuple of float
        World units a pixel, one for each axis; 1.0 where unknown.
    units : tuple of str
        ``"micrometer"``, ``"second"``, ... or ``"pixel"``, one for each axis.
    name : str
        What the image is called: the name of its file or layer.
    rgb : bool
        Whether the C axis is red, green, blue (without alpha).
    axes_guessed : bool
        Whether no metadata said what the axes are.
    translate : tuple of float, optional
        World position of the first pixel, one for each axis.

    Raises
    ------
    ImageError
        If the image holds no pixels.
    AxesError
        If axes, scale, units or translate do not have one entry for each axis.
    """

    data: LazyArray
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    name: str = "image"
    rgb: bool = False
    axes_guessed: bool = False
    translate: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        shape = self.data.shape
        if 0 in shape:
            raise ImageError(
                f"{self.name}: an image of shape {tuple(shape)} holds no pixels; every"
                " axis needs a size of at least 1"
            )
        for what, value in (
            ("axes", self.axes),
            ("scale", self.scale),
            ("units", self.units),
            ("translate", self.translate),
        ):
            if value is not None and len(value) != len(shape):
                raise AxesError(
                    f"{what}={value!r} has {len(value)} entries but the image has shape"
                    f" {tuple(shape)}; give one entry for each of its {len(shape)} axes"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis in pixels."""
        return tuple(self.data.shape)

    @property
    def n_channels(self) -> int:
        """Size of the C axis, 1 if there is none."""
        return self.shape[self.axes.index("C")] if "C" in self.axes else 1
