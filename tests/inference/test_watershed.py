"""The watershed: its definition, what windows prove of it, many of them at once."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.inference._watershed import UNSURE, Window, grow
from touching import touching


def hilly(shape):
    """Elevation, mask and seeds of objects that touch."""
    mean = touching(shape, 60 if len(shape) == 2 else 25, 6)
    elevation = np.rint(255 * (1 - mean[1])).astype(np.uint8)
    mask = mean[0] < 0.5
    seeds, _ = ndimage.label((mean[1] > 0.5) & mask)
    return elevation, mask, seeds.astype(np.int32)


def flood(elevation, mask, seeds):
    """The watershed by its definition: the lowest pass first, ties by position."""
    distance = ndimage.distance_transform_cdt(seeds == 0, metric="taxicab")
    labels = np.where(mask, seeds, 0)
    heap = [((-1, 0, at), at) for at in zip(*np.nonzero(labels), strict=True)]
    heapq.heapify(heap)
    while heap:
        _, at = heapq.heappop(heap)
        for axis in range(mask.ndim):
            for step in (-1, 1):
                to = (*at[:axis], at[axis] + step, *at[axis + 1 :])
                inside = all(0 <= t < n for t, n in zip(to, mask.shape, strict=True))
                if inside and mask[to] and labels[to] == 0:
                    labels[to] = labels[at]
                    rank = (int(elevation[to]), int(distance[to]), to)
                    heapq.heappush(heap, (rank, to))
    return labels


@pytest.mark.parametrize("shape", [(40, 50), (10, 20, 15)])
def test_watershed_equals_its_definition(shape):
    rng = np.random.default_rng(0)
    elevation = rng.integers(0, 6, shape).astype(np.uint8)  # many plateaus
    mask = ndimage.gaussian_filter(rng.normal(size=shape), 1) > -0.1
    points = np.zeros(shape, np.int32)
    points.flat[rng.choice(points.size, 40, replace=False)] = np.arange(1, 41)
    points *= mask
    (grown,) = grow([Window(elevation, mask, points)])
    assert np.array_equal(grown, flood(elevation, mask, points))


@pytest.mark.parametrize("shape", [(120, 140), (30, 40, 50)])
def test_what_a_window_is_sure_of_is_true(shape):
    rng = np.random.default_rng(2)
    elevation, mask, seeds = hilly(shape)
    (whole,) = grow([Window(elevation, mask, seeds)])
    n_sure = 0
    for _ in range(40):
        low = [int(rng.integers(0, size - 12)) for size in shape]
        high = [
            int(rng.integers(a + 10, n + 1)) for a, n in zip(low, shape, strict=True)
        ]
        window = tuple(map(slice, low, high))
        cut = [(a > 0, b < n) for a, b, n in zip(low, high, shape, strict=True)]
        (found,) = grow([Window(elevation[window], mask[window], seeds[window], cut)])
        sure = (found != UNSURE) & (whole[window] > 0)
        assert np.array_equal(found[sure], whole[window][sure])
        n_sure += np.count_nonzero(sure)
    assert n_sure > 10_000


@pytest.mark.parametrize("shape", [(150, 170), (30, 40, 50)])
def test_windows_flooded_together_do_not_know_each_other(shape):
    rng = np.random.default_rng(3)
    elevation, mask, seeds = hilly(shape)
    windows = []
    for k in range(60):
        low = [int(rng.integers(0, size - 9)) for size in shape]
        at = tuple(slice(a, a + int(rng.integers(1, 30))) for a in low)
        cut = [(k % 2 == 0, k % 3 == 0)] * len(shape)
        windows.append(Window(elevation[at], mask[at], seeds[at], cut))
    for window, found in zip(windows, grow(windows), strict=True):
        np.testing.assert_array_equal(found, grow([window])[0])
