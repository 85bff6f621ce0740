"""Which axis is which, and the one form in which a network reads an image.

A network reads ``(C, Y, X)`` or ``(C, Z, Y, X)``. All other axes of an image are looped
over, in the order in which the image has them::

    TCZYX  --2-D network-->  data (T, Z, C, Y, X), loops "TZ", result axes "TZYX"
    TCZYX  --3-D network-->  data (T, C, Z, Y, X), loops "T",  result axes "TZYX"

Nothing is read here: the arrays are re-ordered lazily, by plain operators.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_unetpp.arrays._image import PIXEL, Image
from napari_unetpp.errors import AxesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp._types import Box, LazyArray
    from napari_unetpp.config import Channels

T = TypeVar("T")

LUMINANCE = (0.2125, 0.7154, 0.0721)
"""Weight of red, green and blue in grey (ITU-R BT.709, as scikit-image rgb2gray)."""

_SPATIAL = {2: "YX", 3: "ZYX"}
_MAX_GUESSED_CHANNELS = 4
_LOOPS = "ABDEFGHIJKLMNOPQRSUVWTCZYX"


@dataclass(frozen=True, slots=True)
class Canonical:
    """An image in the form that prediction and training read.

    Attributes
    ----------
    data : LazyArray
        ``(*loops, C, *spatial)``; C is always there.
    loop_axes : str
        Axes of which every index is predicted on its own, ``""`` for none.
    spatial_axes : str
        ``"YX"`` or ``"ZYX"``.
    image : Image
        Where it came from.
    made : {"as_is", "grey", "rgb"}
        Whether red, green and blue of the image became one channel, or one channel
        all three.
    """

    data: LazyArray
    loop_axes: str
    spatial_axes: str
    image: Image
    made: Channels = "as_is"

    def cut(self, box: Box) -> LazyArray:
        """Return a part of the whole image, as `data` has it.

        Dask reads all pieces that a part meets if the axes are re-ordered before it is
        cut out; here it is cut out first, and no more is read than is wanted.

        Parameters
        ----------
        box : Box
            (start, stop) for each of (*loops, C, *spatial), in pixels of the image.
        """
        axes = self.image.axes
        spans = dict(zip(f"{self.loop_axes}C{self.spatial_axes}", box, strict=True))
        if self.made != "as_is":
            spans["C"] = (0, self.image.n_channels)
        index = tuple(slice(*spans[letter]) for letter in axes)
        part: LazyArray = _arranged(
            self.image.data[index],
            axes,
            self.loop_axes,
            self.spatial_axes,
            made=self.made,
        )
        return part

    @property
    def loop_shape(self) -> tuple[int, ...]:
        """Size of each loop axis."""
        return tuple(self.data.shape[: len(self.loop_axes)])

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Size of each spatial axis in pixels."""
        return tuple(self.data.shape[len(self.loop_axes) + 1 :])

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.data.shape[len(self.loop_axes)])

    @property
    def result_axes(self) -> str:
        """Axes of a result with one value for each pixel."""
        return self.loop_axes + self.spatial_axes

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of a result with one value for each pixel."""
        return self.loop_shape + self.spatial_shape

    @property
    def result_scale(self) -> tuple[float, ...]:
        """World units a pixel, one for each result axis."""
        return self._of_result(self.image.scale)

    @property
    def result_units(self) -> tuple[str, ...]:
        """Unit of each result axis."""
        return self._of_result(self.image.units)

    @property
    def result_translate(self) -> tuple[float, ...]:
        """World position of the first pixel, one for each result axis; 0 if unknown."""
        return self._of_result(self.image.translate or (0.0,) * len(self.image.axes))

    def _of_result(self, values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(values[self.image.axes.index(a)] for a in self.result_axes)


def parse_axes(text: str, shape: Sequence[int]) -> str:
    """Return the axes string that the user gave, checked against an array's shape.

    Raises
    ------
    AxesError
        If it is not one letter for each axis, repeats one, or lacks Y or X.
    """
    axes = text.strip().upper()
    shape = tuple(shape)
    example = "for example ZCYX: T time, C channels, Z depth, Y rows, X columns"
    if not (axes.isascii() and axes.isalpha()):
        raise AxesError(f"axes {text!r} must be letters only, {example}")
    if len(axes) != len(shape):
        raise AxesError(
            f"axes {text!r} name {len(axes)} axes but the image has {len(shape)}, of"
            f" shape {shape}; give one letter for each, {example}"
        )
    if len(set(axes)) != len(axes):
        raise AxesError(f"axes {text!r} repeat a letter; each stands once, {example}")
    if "Y" not in axes or "X" not in axes:
        raise AxesError(
            f"axes {text!r} for an image of shape {shape} lack Y or X; both are needed,"
            f" {example}"
        )
    return axes


def looks_rgb(shape: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Return whether an array without metadata is taken for red-green-blue (alpha)."""
    return len(shape) >= 3 and shape[-1] in (3, 4) and dtype == np.uint8


def guess_axes(shape: Sequence[int], rgb: bool = False) -> str:
    """Return the likeliest axes of an array that says nothing about them.

    Beyond five, the first axes get letters without a meaning, and so are looped over.

    Raises
    ------
    AxesError
        If the array has fewer than two axes.
    """
    if rgb:
        return guess_axes(tuple(shape)[:-1]) + "C"
    ndim = len(shape)
    if ndim < 2:
        raise AxesError(
            f"an array of shape {tuple(shape)} is no image; at least two axes, Y and X,"
            " are needed"
        )
    if ndim == 4:
        return "CZYX" if shape[0] <= _MAX_GUESSED_CHANNELS else "TZYX"
    return ("YX", "ZYX", "", "TCZYX")[ndim - 2] if ndim < 6 else _LOOPS[-ndim:]


def with_axes(image: Image, axes: str) -> Image:
    """Return `image` with its axes named anew, no pixel moved.

    Scale and units of an axis that becomes channels are dropped.

    Raises
    ------
    AxesError
        If `axes` does not fit the image.
    """
    parsed = parse_axes(axes, image.shape)
    known = [letter != "C" for letter in parsed]
    return replace(
        image,
        axes=parsed,
        scale=tuple(s if k else 1.0 for s, k in zip(image.scale, known, strict=True)),
        units=tuple(u if k else PIXEL for u, k in zip(image.units, known, strict=True)),
        rgb=image.rgb and parsed.find("C") == image.axes.find("C"),
        axes_guessed=False,
    )


def select_channel(image: Image, index: int) -> Image:
    """Return one channel (counted from 0) of `image`, without the C axis.

    Raises
    ------
    AxesError
        If the image has no channels or not so many.
    """
    n = image.n_channels
    if "C" not in image.axes and index == 0:
        return image
    if not 0 <= index < n:
        raise AxesError(
            f"channel {index} of {image.name}: its axes {image.axes} have {n}"
            f" channel{'s' * (n > 1)}; give --channel 0 to {n - 1}"
        )
    at = image.axes.index("C")

    def without(values: tuple[T, ...]) -> tuple[T, ...]:
        return values[:at] + values[at + 1 :]

    return replace(
        image,
        data=image.data[(slice(None),) * at + (index,)],
        axes=image.axes.replace("C", ""),
        scale=without(image.scale),
        units=without(image.units),
        translate=None if image.translate is None else without(image.translate),
        rgb=False,
    )


def canonical(
    image: Image, spatial_dims: int, channels: Channels, n_channels: int
) -> Canonical:
    """Return `image` in the form that a network reads.

    Parameters
    ----------
    image : Image
        Any image.
    spatial_dims : int
        2 or 3, as the network has it.
    channels : {"grey", "rgb", "as_is"}
        ``"grey"`` makes one channel of red-green-blue and takes a single one as it is,
        ``"rgb"`` makes three of a single one; ``"as_is"`` wants `n_channels`.
    n_channels : int
        Channels that the network takes.

    Returns
    -------
    Canonical
        With data of shape (*loops, C, *spatial), nothing read yet.

    Raises
    ------
    AxesError
        If a 3-D network meets an image without Z, or the channels do not fit.
    """
    spatial = _SPATIAL[spatial_dims]
    if not set(spatial) <= set(image.axes):
        raise AxesError(
            f"{image.name} has axes {image.axes} but the model is {spatial_dims}-D and"
            f" needs {', '.join(spatial)}; choose a 2-D model, or say which axis is Z"
            " with --axes"
        )
    _check_channels(image, channels, n_channels)
    loops = "".join(a for a in image.axes if a not in spatial and a != "C")
    changed = image.rgb if channels == "grey" else image.n_channels == 1
    made = channels if changed else "as_is"
    data = _arranged(image.data, image.axes, loops, spatial, made=made)
    return Canonical(data, loops, spatial, image, made)


def _arranged(data: Any, axes: str, loops: str, spatial: str, *, made: Channels) -> Any:
    """Return an array with the axes `axes` as (*loops, C, *spatial)."""
    stored = axes if "C" in axes else "C" + axes
    if stored != axes:
        data = data[None]
    order = tuple(stored.index(letter) for letter in loops + "C" + spatial)
    data = data.transpose(order)
    if made == "rgb":
        return data[(slice(None),) * len(loops) + ([0, 0, 0],)]
    return _luminance(data, len(loops)) if made == "grey" else data


def _check_channels(image: Image, channels: Channels, n_channels: int) -> None:
    """Refuse an image whose channels the model does not take."""
    found = image.n_channels
    colour = image.rgb or found == 1
    if colour if channels != "as_is" else found == n_channels:
        return
    words = {"grey": "one grey channel", "rgb": "grey, or red-green-blue"}
    takes = words.get(channels, f"{n_channels}")
    if found > 1 and (channels != "as_is" or n_channels == 1):
        cure = "pick one with --channel N, or correct the axes with --axes"
    else:
        cure = "choose a model for such images, or correct the axes with --axes"
    raise AxesError(
        f"{image.name} (axes {image.axes}, shape {image.shape}) has {found}"
        f" channel{'s' * (found > 1)} but the model takes {takes}; {cure}"
    )


def _luminance(data: Any, at: int) -> Any:
    """Return the grey (*loops, 1, *spatial) float32 of (*loops, 3, *spatial)."""
    loops = (slice(None),) * at
    grey: Any = 0.0
    for index, weight in enumerate(LUMINANCE):
        colour = data[(*loops, slice(index, index + 1))]
        grey = grey + colour.astype(np.float32) * np.float32(weight)
    return grey
