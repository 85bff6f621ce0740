"""Random changes of training patches, so that little data teaches much.

The geometric part acts on image and labels alike; the intensity part on the image
alone. Both draw from a generator that is handed in, so a patch is reproducible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray, LabelArray
    from napari_unetpp.config import AugmentConfig

_BLUR_SHARE = 0.3
_GAMMA_SHARE = 0.5


def resize(
    image: FloatArray,
    labels: LabelArray,
    counts: npt.NDArray[np.bool_] | None,
    size: tuple[int, ...],
) -> tuple[FloatArray, LabelArray, npt.NDArray[np.bool_] | None]:
    """Resample an image (C, *S) linearly, labels and mask (*S) by nearest neighbour."""
    if labels.shape == size:
        return image, labels, counts
    zoom = [new / old for new, old in zip(size, labels.shape, strict=True)]
    resized = ndimage.zoom(image, [1, *zoom], order=1, mode="nearest", grid_mode=True)
    relabelled = ndimage.zoom(labels, zoom, order=0, mode="nearest", grid_mode=True)
    if counts is not None:
        counts = ndimage.zoom(counts, zoom, order=0, mode="nearest", grid_mode=True)
    return resized.astype(np.float32, copy=False), relabelled, counts


def turn(
    image: FloatArray,
    labels: LabelArray,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> tuple[FloatArray, LabelArray]:
    """Flip along random axes and turn by a right angle in the Y, X plane."""
    if config.flip:
        axes = tuple(axis for axis in range(1, image.ndim) if rng.random() < 0.5)
        image = np.flip(image, axes)
        labels = np.flip(labels, tuple(axis - 1 for axis in axes))
    if config.rotate and labels.shape[-1] == labels.shape[-2]:
        quarters = int(rng.integers(4))
        image = np.rot90(image, quarters, axes=(-2, -1))
        labels = np.rot90(labels, quarters, axes=(-2, -1))
    return image, labels


def recolour(
    image: FloatArray, config: AugmentConfig, rng: np.random.Generator
) -> FloatArray:
    """Change contrast, brightness, gamma, polarity, sharpness and noise of (C, *S)."""
    image = np.array(image, dtype=np.float32)
    if rng.random() < config.invert:
        image = 1 - image
    if rng.random() < _GAMMA_SHARE:
        exponent = np.exp(rng.uniform(*np.log(config.gamma)))
        image = np.sign(image) * np.abs(image) ** exponent
    mean = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    contrast = np.exp(rng.uniform(*np.log(config.contrast)))
    offset = rng.uniform(-config.brightness, config.brightness)
    image = (image - mean) * contrast + mean + offset
    if rng.random() < _BLUR_SHARE:
        sigma = rng.uniform(0, config.blur)
        image = ndimage.gaussian_filter(image, [0, *[sigma] * (image.ndim - 1)])
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return (image + noise * rng.uniform(0, config.noise)).astype(np.float32)
