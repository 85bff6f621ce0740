"""Exact reach of every head, by following index intervals back through the network.

One axis at a time: the interval of pixels that a node reads is carried from its output
to the image. A block of two convolutions widens it by two on each side, pooling by s
maps [a, b] to [s a, s b + s - 1], up-sampling by s maps it back to level i + 1. What a
pixel sees depends on its phase in the pooling grid, so the largest reach over all
phases is the radius.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unetpp.config import NetworkConfig, Upsampling

Interval = tuple[int, int]

_BLOCK_REACH = 2  # two convolutions of edge 3


def receptive_field(config: NetworkConfig, level: int) -> tuple[int, ...]:
    """Return the radius of head `level` in pixels along each spatial axis."""
    strides = zip(*config.level_strides[:level], strict=True)
    return tuple(_radius(steps, config.upsampling) for steps in strides)


@lru_cache(maxsize=256)
def _radius(strides: tuple[int, ...], upsampling: Upsampling) -> int:
    """Return the radius along an axis that is pooled by `strides`."""
    period = 1
    for stride in strides:
        period *= stride
    reach = 0
    for phase in range(period):
        # Far from the border, so that no interval is cut: the origin is moved there.
        pixel = period * 64 + phase
        low, high = _seen(0, len(strides), (pixel, pixel), strides, upsampling)
        reach = max(reach, pixel - low, high - pixel)
    return reach


def _seen(
    i: int, j: int, out: Interval, strides: tuple[int, ...], upsampling: Upsampling
) -> Interval:
    """Return the image pixels seen by the pixels `out` of node X[i, j]."""
    low, high = out[0] - _BLOCK_REACH, out[1] + _BLOCK_REACH
    if j == 0:
        if i == 0:
            return low, high
        step = strides[i - 1]
        pooled = (low * step, high * step + step - 1)
        return _seen(i - 1, 0, pooled, strides, upsampling)
    # Among the inputs of X[i, j], the up-sampled one reaches deepest, but the skips
    # X[i, 0..j-1] see a subset only where strides are equal: take the hull of all.
    seen = [_seen(i, q, (low, high), strides, upsampling) for q in range(j)]
    coarse = coarse_interval((low, high), strides[i], upsampling)
    seen.append(_seen(i + 1, j - 1, coarse, strides, upsampling))
    return min(s[0] for s in seen), max(s[1] for s in seen)


def coarse_interval(fine: Interval, step: int, upsampling: Upsampling) -> Interval:
    """Return the pixels one level down that the up-sampled pixels `fine` read."""
    if upsampling != "linear" or step == 1:
        return fine[0] // step, fine[1] // step
    # Half-pixel centres: the fine pixel k lies at (k + 1/2) / step - 1/2.
    low = (2 * fine[0] + 1 - step) // (2 * step)
    high = -((step - 2 * fine[1] - 1) // (2 * step))
    return low, high
