"""Strokes as a person would draw them, made from the truth of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

UNLABELLED = 255
"""Value of pixels without a stroke: the classes of the truth start at 0."""

_LENGTH = 60
"""Longest stroke in pixels."""
_RADIUS = 2
"""Half-width of the brush in pixels."""
_TRIES = 6
"""Directions a person looks in before drawing: the longest way is taken."""
_TURN = 0.35
"""Largest change of heading from pixel to pixel, in radians."""


def draw_strokes(
    truth: npt.NDArray[np.integer[Any]], share: float, seed: int
) -> npt.NDArray[np.uint8]:
    """Return labels that hold strokes inside the classes of `truth` (Y, X).

    Every class gets about the same number of painted pixels and all of them together at
    most `share` of the image. A stroke starts anywhere inside its class, keeps its
    heading as long as it can and stays off the border by the half-width of the brush.
    """
    rng = np.random.default_rng(seed)
    labels = np.full(truth.shape, UNLABELLED, np.uint8)
    values = np.unique(truth)
    budget = int(share * truth.size / len(values))
    for value in values:
        depth = ndimage.distance_transform_edt(np.pad(truth == value, 1))[1:-1, 1:-1]
        inside = np.argwhere(depth > _RADIUS)
        left = budget
        while left > 0 and len(inside):
            start = inside[rng.integers(len(inside))]
            path = max((_walk(depth, start, rng) for _ in range(_TRIES)), key=len)
            stroke = _paint(path, truth.shape) & (truth == value)
            new = stroke & (labels == UNLABELLED)
            if new.sum() > left:
                break
            labels[new] = value
            left -= max(1, int(new.sum()))
    return labels


def _walk(
    depth: npt.NDArray[Any], start: npt.NDArray[Any], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the pixels (n, 2) of a path that stays inside."""
    place, heading = start.astype(float), rng.uniform(0, 2 * np.pi)
    path = [place.copy()]
    for _ in range(_LENGTH):
        for turn in sorted(rng.uniform(-_TURN, _TURN, 5), key=abs):
            ahead = heading + turn
            after = place + np.array([np.sin(ahead), np.cos(ahead)])
            y, x = np.rint(after).astype(int)
            if not (0 <= y < depth.shape[0] and 0 <= x < depth.shape[1]):
                continue
            if depth[y, x] > _RADIUS:
                place, heading = after, ahead
                path.append(place.copy())
                break
        else:  # a person would lift the pen here
            break
    return np.unique(np.rint(path).astype(np.int64), axis=0)


def _paint(
    path: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Return where a round brush that follows `path` has been."""
    brush = np.arange(-_RADIUS, _RADIUS + 1)
    round_ = np.argwhere(np.add.outer(brush**2, brush**2) <= _RADIUS**2 + 1) - _RADIUS
    pixels = (path[:, None] + round_[None]).reshape(-1, 2)
    within = ((pixels >= 0) & (pixels < shape)).all(axis=1)
    painted = np.zeros(shape, bool)
    painted[tuple(pixels[within].T)] = True
    return painted
