"""Probabilities of objects that touch each other."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def touching(shape, n, radius, seed=1):
    """Probabilities of many discs or balls that touch, the third at left seedless."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape)
    distance = np.full(shape, np.inf)
    for point in zip(*(rng.integers(0, size, n) for size in shape), strict=True):
        squares = sum((g - p) ** 2 for g, p in zip(grid, point, strict=True))
        distance = np.minimum(distance, np.sqrt(squares))
    foreground = 1 / (1 + np.exp(distance - radius - 4))
    interior = 1 / (1 + np.exp((distance - radius) / 1.5))
    interior += 0.3 * ndimage.gaussian_filter(rng.normal(size=shape), 2)
    interior = interior.clip(0, 1) * foreground
    interior[..., : shape[-1] // 3] *= 0.3
    mean = np.stack([1 - foreground, interior, foreground - interior])
    return mean.astype(np.float32)
