"""Intensities of a whole image, from a bounded sample where it is large."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
from dask.threaded import get as in_threads

from napari_unetpp.arrays import intensity_range, is_countable, working_dtype
from napari_unetpp.errors import ImageError, ImageGoneError
from napari_unetpp.io._retry import read_again

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Canonical, IntensityRange
    from napari_unetpp.config import IntensityConfig, Nonfinite

MAX_PIXELS = 2**24
"""Pixels of each channel that are looked at, at most."""

_TURNS = 64
"""Samples that are drawn, at most, as long as all their pixels have one value."""
_BLOCK = {2: (256, 256), 3: (16, 64, 64)}


def image_range(
    canonical: Canonical,
    config: IntensityConfig,
    nonfinite: Nonfinite = "error",
    *,
    skip_bad: bool = False,
) -> IntensityRange:
    """Return the range of intensities of an image, found once for all its tiles.

    Parameters
    ----------
    canonical : Canonical
        The image, data of shape (*loops, C, *spatial).
    config : IntensityConfig
        Which percentiles the range has.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or left out.
    skip_bad : bool
        Whether pieces that cannot be read are left out, or refused.

    Raises
    ------
    ImageError
        If the pixels cannot be read, are not finite or all the same; the message names
        the image.
    """
    n_pixels = math.prod(canonical.result_shape)
    for turn in range(_TURNS):
        sample = _sample(canonical, MAX_PIXELS, turn, skip_bad=skip_bad)
        sampled = sample.shape[1] < n_pixels
        if not sampled or (sample != sample[:, :1]).any():
            break  # else the image may be empty but for what was not looked at
    return intensity_range(sample, config, nonfinite, sampled, canonical.image.name)


def sample_intensities(
    canonical: Canonical,
    max_pixels: int = MAX_PIXELS,
    *,
    turn: int = 0,
    skip_bad: bool = False,
) -> npt.NDArray[Any]:
    """Return pixels of an image: all if they are not too many, else of random blocks.

    The blocks depend on the shape of the image only, not on how it is stored or tiled,
    and are the same in every run.

    Parameters
    ----------
    canonical : Canonical
        The image, data of shape (*loops, C, *spatial).
    max_pixels : int
        Pixels of each channel to return at most.
    turn : int
        Which sample: each has other blocks.
    skip_bad : bool
        Whether pieces that cannot be read are left out, or refused.

    Returns
    -------
    ndarray of shape (C, n), float32 or float64

    Raises
    ------
    ImageError
        If pixels cannot be read; with `skip_bad`, if none can.
    """
    found = _sample(canonical, max_pixels, turn, skip_bad=skip_bad)
    return found.astype(working_dtype(canonical.data.dtype), copy=False)


def _sample(
    canonical: Canonical, max_pixels: int, turn: int, *, skip_bad: bool
) -> npt.NDArray[Any]:
    """Return pixels (C, n) of an image as `sample_intensities` does.

    Integers of at most 16 bits stay what they are: their percentiles need no sorting.
    """
    n, name = canonical.n_channels, canonical.image.name
    at = len(canonical.loop_axes)
    if math.prod(canonical.result_shape) <= max_pixels:
        pieces = [canonical.data]
    else:
        pieces = [canonical.cut(box) for box in _blocks(canonical, max_pixels, turn)]
    try:
        found = read_again(lambda: dask.compute(*pieces, scheduler=in_threads), name)
    except ImageGoneError:
        raise
    except ImageError as error:
        if not skip_bad:
            raise
        found = [block for piece in pieces for block in _readable(piece, at, name)]
        if not found:
            raise ImageError(f"{name}: no pixel of the sample can be read") from error
    rows = [np.moveaxis(np.asarray(block), at, 0).reshape(n, -1) for block in found]
    dtype = canonical.data.dtype
    kept = dtype if is_countable(dtype) else working_dtype(dtype)
    return np.concatenate(rows, axis=1, dtype=kept)


def sample_bytes(canonical: Canonical) -> int:
    """Return how many bytes `image_range` takes at most."""
    n_pixels = min(math.prod(canonical.result_shape), MAX_PIXELS)
    dtype = canonical.data.dtype
    working = 0 if is_countable(dtype) else working_dtype(dtype).itemsize
    # As found, all in a row, which are finite, and those in the order of their values.
    return n_pixels * canonical.n_channels * (2 * dtype.itemsize + 1 + 2 * working)


def _readable(piece: Any, at: int, name: str) -> Iterator[npt.NDArray[Any]]:
    """Yield what can be read of a dask array, chunk by chunk; axis `at` stays whole."""
    piece = piece.rechunk({at: -1})
    for place in np.ndindex(piece.numblocks):
        try:
            block = read_again(piece.blocks[place].compute, name)
        except ImageGoneError:
            raise
        except ImageError:
            continue
        yield block


def _blocks(canonical: Canonical, max_pixels: int, turn: int) -> Iterator[Box]:
    """Yield blocks of (*loops, C, *spatial), drawn without repetition in a turn."""
    shape, loops = canonical.spatial_shape, canonical.loop_shape
    edges = _BLOCK[len(shape)]
    counts = tuple(-(-size // edge) for size, edge in zip(shape, edges, strict=True))
    largest = [-(-size // count) for size, count in zip(shape, counts, strict=True)]
    places = loops + counts
    n_wanted = max(max_pixels // math.prod(largest), 1)
    drawn = random.Random(turn).sample(range(math.prod(places)), n_wanted)
    for place in zip(*np.unravel_index(sorted(drawn), places), strict=True):
        at = tuple(map(int, place))
        spatial = tuple(  # parts of nearly equal size, none left over at the far end
            (i * size // count, (i + 1) * size // count)
            for i, size, count in zip(at[len(loops) :], shape, counts, strict=True)
        )
        planes = ((i, i + 1) for i in at[: len(loops)])
        yield (*planes, (0, canonical.n_channels), *spatial)
