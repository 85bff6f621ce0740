"""Mapping pixels to about 0...1 by the intensities of the whole image.

Statistics of a tile would differ from tile to tile and show as seams, so the range is
found once for an image and then only applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.errors import ImageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.config import IntensityConfig, Nonfinite

NONFINITE_CURE = (
    "repair them, or take them as background with --nonfinite background"
    " (nonfinite='background'; in the panel under Advanced)"
)


@dataclass(frozen=True, slots=True)
class IntensityRange:
    """The intensities that become 0 and 1.

    Attributes
    ----------
    low, high : tuple of float
        One for each channel, in the units of the image.
    n_pixels : int
        Pixels of each channel that were looked at.
    sampled : bool
        Whether these were a sample and not all.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    n_pixels: int
    sampled: bool


def working_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return float32, or float64 for pixels that float32 would round."""
    return np.result_type(dtype, np.float32)


def intensity_range(
    sample: npt.NDArray[Any],
    config: IntensityConfig,
    nonfinite: Nonfinite = "error",
    sampled: bool = False,
    name: str = "image",
) -> IntensityRange:
    """Return the range of intensities of a whole image.

    Parameters
    ----------
    sample : ndarray of shape (C, n)
        Pixels of the image, all or a sample.
    config : IntensityConfig
        Percentiles that become 0 and 1. Where both fall on one value, as in an image
        that is nearly all background, the extremes are taken instead.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or left out.
    sampled : bool
        Whether `sample` is not all of the image.
    name : str
        What the image is called in messages.

    Returns
    -------
    IntensityRange
        One range for each channel; a channel without contrast is mapped to 0.

    Raises
    ------
    ImageError
        If pixels are not finite, or all channels without contrast.
    """
    finite = np.isfinite(sample)
    n_bad = int(finite.size - np.count_nonzero(finite))
    if n_bad == finite.size:
        raise ImageError(
            f"{name}: none of the {finite.size} pixels is finite (all NaN or infinite);"
            " an image needs finite pixels"
        )
    if n_bad and nonfinite == "error":
        raise ImageError(_bad_pixels(name, n_bad, finite.size))
    if n_bad:
        ranges = [_range(c[ok], config) for c, ok in zip(sample, finite, strict=True)]
    else:
        ranges = [_range(channel, config) for channel in sample]
    if not any(high > low for low, high in ranges):
        values = ", ".join(f"{low:g}" for low, _ in ranges)
        raise ImageError(
            f"{name}: all {sample.shape[1]} {'sampled ' * sampled}pixels have the same"
            f" value ({values}); there is nothing to segment: check the file, the"
            " channel and the axes"
        )
    lows = tuple(low for low, _ in ranges)
    highs = tuple(high if high > low else low + 1.0 for low, high in ranges)
    return IntensityRange(lows, highs, sample.shape[1], sampled)


def normalise(
    tile: npt.NDArray[Any],
    intensity: IntensityRange,
    config: IntensityConfig,
    nonfinite: Nonfinite = "error",
    name: str = "image",
) -> FloatArray:
    """Return a tile with the intensities `low` at 0 and `high` at 1, clipped.

    Parameters
    ----------
    tile : ndarray of shape (C, *spatial)
        Pixels as found.
    intensity : IntensityRange
        Of the whole image.
    config : IntensityConfig
        With the values at which the result is clipped.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or become 0.
    name : str
        What the image is called in messages.

    Returns
    -------
    ndarray of shape (C, *spatial), float32

    Raises
    ------
    ImageError
        If pixels are not finite and `nonfinite` is ``"error"``.
    """
    dtype = working_dtype(tile.dtype)
    per_channel = (-1,) + (1,) * (tile.ndim - 1)
    low = np.asarray(intensity.low, dtype).reshape(per_channel)
    high = np.asarray(intensity.high, dtype).reshape(per_channel)
    pixels = tile.astype(dtype)
    if tile.dtype.kind == "f":
        bad = ~np.isfinite(pixels)
        n_bad = int(np.count_nonzero(bad))
        if n_bad and nonfinite == "error":
            raise ImageError(_bad_pixels(name, n_bad, bad.size))
        if n_bad:
            pixels = np.where(bad, low, pixels)
    pixels -= low
    pixels /= high - low
    np.clip(pixels, *config.clip, out=pixels)
    return pixels.astype(np.float32, copy=False)


def _bad_pixels(name: str, n_bad: int, n: int) -> str:
    """Return the message for pixels that are not finite."""
    return (
        f"{name}: {n_bad} of {n} pixels are NaN or infinite; every pixel must be"
        f" finite: {NONFINITE_CURE}"
    )


def _range(channel: npt.NDArray[Any], config: IntensityConfig) -> tuple[float, float]:
    """Return low and high of the finite pixels of one channel."""
    if not channel.size:
        return 0.0, 0.0
    wanted = (config.low_percentile, config.high_percentile)
    low, high = (float(v) for v in np.percentile(channel, wanted))
    if high > low:
        return low, high
    return float(channel.min()), float(channel.max())
