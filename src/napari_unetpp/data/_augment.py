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

    from napari_unetpp._types import FloatArray, LabelArray, TargetArray
    from napari_unetpp.config import AugmentConfig

_BLUR_SHARE = 0.3
_GAMMA_SHARE = 0.5
_DYES = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density of haematoxylin, eosin and DAB in red, green and blue (rows: dyes);
Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23(4), 2001."""
_DARKEST = 1 / 255
"""Least light that optical densities are taken of: that of 0 would be infinite."""


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
    target: TargetArray,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> tuple[FloatArray, TargetArray]:
    """Flip along random axes and turn by a right angle in the Y, X plane."""
    if config.flip:
        axes = tuple(axis for axis in range(1, image.ndim) if rng.random() < 0.5)
        image = np.flip(image, axes)
        target = np.flip(target, tuple(axis - 1 for axis in axes))
    if config.rotate and target.shape[-1] == target.shape[-2]:
        quarters = int(rng.integers(4))
        image = np.rot90(image, quarters, axes=(-2, -1))
        target = np.rot90(target, quarters, axes=(-2, -1))
    return image, target


def recolour(
    image: FloatArray, config: AugmentConfig, rng: np.random.Generator
) -> FloatArray:
    """Change colours, contrast, brightness, gamma, polarity, sharpness and noise.

    What is off draws no random number, so that the others stay as they were.

    Parameters
    ----------
    image : ndarray of float32
        A patch (C, *S), normalised to about 0...1.
    config : AugmentConfig
        How far each may go.
    rng : numpy.random.Generator
        Draws how far it goes in this patch.
    """
    image = np.array(image, dtype=np.float32)
    coloured = _is_coloured(image)
    if config.stain and coloured:
        image = _restain(image, config.stain, rng)
    if rng.random() < config.invert:
        image = 1 - image
    if rng.random() < _GAMMA_SHARE:
        exponent = np.exp(rng.uniform(*np.log(config.gamma)))
        image = np.sign(image) * np.abs(image) ** exponent
    mean = image.mean(axis=tuple(range(1, image.ndim)), keepdims=True)
    contrast = np.exp(rng.uniform(*np.log(config.contrast)))
    offset = rng.uniform(-config.brightness, config.brightness)
    image = (image - mean) * contrast + mean + offset
    if config.shading:
        image = image * _light(image.shape[1:], config.shading, rng)
    if rng.random() < _BLUR_SHARE:
        sigma = rng.uniform(0, config.blur)
        image = ndimage.gaussian_filter(image, [0, *[sigma] * (image.ndim - 1)])
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image = (image + noise * rng.uniform(0, config.noise)).astype(np.float32)
    if config.tint and len(image) == 3 and not coloured and rng.random() < config.tint:
        image[rng.permutation(3)[: rng.integers(1, 3)]] = 0
    return image


def _is_coloured(image: FloatArray) -> bool:
    """Whether this is red, green and blue, and not one grey thrice."""
    return len(image) == 3 and bool((image[0] != image[1]).any())


def _restain(image: FloatArray, most: float, rng: np.random.Generator) -> FloatArray:
    """Take up more or less of each dye, and tint the ground, of (3, *S).

    In optical density dyes add up (Beer and Lambert), so there a factor for each dye
    is what another lot or time of staining does. After Tellez et al., IEEE TMI 37(9),
    2018.
    """
    shape = (3,) + (1,) * (image.ndim - 1)
    density = -np.log(np.maximum(image, _DARKEST))
    dyes = np.tensordot(np.linalg.inv(_DYES).T, density, axes=1)
    dyes *= rng.uniform(1 - most, 1 + most, 3).reshape(shape)
    dyes += rng.uniform(-most, most, 3).reshape(shape) / 10
    light = np.exp(-np.tensordot(_DYES.T, dyes, axes=1)).astype(np.float32)
    # What lies below the least light has no density to change; it is carried over.
    restained: FloatArray = light + np.minimum(image - np.float32(_DARKEST), 0)
    return restained


def _light(size: tuple[int, ...], most: float, rng: np.random.Generator) -> FloatArray:
    """Return what uneven light multiplies a patch of this size with, 1 on average.

    A slope and a bend along every axis: what a lamp off its axis and a lens do.
    """
    field = np.zeros(size)
    for axis, n in enumerate(size):
        x = np.linspace(-1, 1, n).reshape(
            [-1 if k == axis else 1 for k in range(len(size))]
        )
        slope, bend = rng.uniform(-1, 1, 2)
        field = field + slope * x + bend * (x**2 - 1 / 3)
    largest = np.abs(field).max()
    light: FloatArray = (1 + rng.uniform(0, most) * field / largest).astype(np.float32)
    return light
