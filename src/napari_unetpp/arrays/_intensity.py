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


_AT_ONCE = 2**18
"""Pixels that are counted at once: NumPy makes wide integers of them."""


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
        channels = [c[ok] for c, ok in zip(sample, finite, strict=True)]
    else:
        channels = list(sample)
    ranges = _ranges(channels, config)
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


def is_countable(dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype has so few values, all from 0 up, that each is counted."""
    return dtype.kind == "u" and dtype.itemsize <= 2


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


def _ranges(
    channels: list[npt.NDArray[Any]], config: IntensityConfig
) -> list[tuple[float, float]]:
    """Return low and high of each channel, given its finite pixels."""
    n = len(channels)
    if config.rule == "fixed":
        return list(config.fixed) if len(config.fixed) == n else [config.fixed[0]] * n
    if config.joint and n > 1:
        return [_range(np.concatenate(channels), config)] * n
    found: list[tuple[float, float]] = []
    for k, channel in enumerate(channels):  # grey seen as colour: thrice the same
        same = k > 0 and np.array_equal(channel, channels[k - 1])
        found.append(found[-1] if same else _range(channel, config))
    return found


def _range(channel: npt.NDArray[Any], config: IntensityConfig) -> tuple[float, float]:
    """Return low and high of the finite pixels of one channel."""
    if not channel.size:
        return 0.0, 0.0
    if config.rule == "standard":
        mean = float(channel.mean(dtype=np.float64))
        return mean, mean + float(channel.std(dtype=np.float64))
    wanted = (config.low_percentile, config.high_percentile)
    low, high = _percentiles(channel, wanted)
    if high > low:
        return low, high
    return float(channel.min()), float(channel.max())


def _percentiles(
    channel: npt.NDArray[Any], wanted: tuple[float, float]
) -> tuple[float, float]:
    """Return two percentiles; of few different values they are counted, not sorted."""
    if not is_countable(channel.dtype):
        low, high = (float(v) for v in np.percentile(channel, wanted))
        return low, high
    counts = np.zeros(np.iinfo(channel.dtype).max + 1, np.int64)
    for start in range(0, channel.size, _AT_ONCE):
        part = np.bincount(channel[start : start + _AT_ONCE])
        counts[: len(part)] += part
    below = np.cumsum(counts)  # how many pixels are at most 0, 1, 2, ...
    at = (channel.size - 1) * (np.array(wanted) / 100)
    first = np.floor(at)
    a, b = (
        np.searchsorted(below, np.minimum(first + more, channel.size - 1), "right")
        for more in (0, 1)
    )
    share, step = at - first, b - a
    # From the nearer end, as np.percentile does, so that no bit is different.
    found = np.where(share < 0.5, a + step * share, b - step * (1 - share))
    return float(found[0]), float(found[1])
