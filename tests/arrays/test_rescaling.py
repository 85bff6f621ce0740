"""Resampling: against torch, and tile by tile against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_unetpp._types import slices
from napari_unetpp.arrays import Rescaling

CASES = range(40)


def _span(random: np.random.Generator, size: int) -> tuple[int, int]:
    """Return a part of an axis that is not empty."""
    start = int(random.integers(0, size))
    return start, int(random.integers(start + 1, size + 1))


def _pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def _box(shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((0, n) for n in shape)


def _torch_resized(pixels: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(pixels)[None],
        size=target,
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    return resized[0].numpy()


@pytest.mark.parametrize(
    "target", [(37, 53), (60, 71), (200, 311), (9, 20), (1, 1), (37, 20)]
)
def test_linear_is_that_of_torch(target: tuple[int, int]) -> None:
    pixels = _pixels(2, 37, 53)
    made = Rescaling((37, 53), target)
    found = made.linear(pixels, (0, 0), _box(target))
    np.testing.assert_allclose(found, _torch_resized(pixels, target), atol=1e-5)


@pytest.mark.parametrize("seed", CASES)
def test_a_part_is_that_of_the_whole_bit_for_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape, target = (tuple(map(int, pair)) for pair in random.integers(1, 41, (2, 2)))
    pixels, made = _pixels(1, *shape), Rescaling(shape, target)
    box = [_span(random, size) for size in target]
    whole = made.linear(pixels, (0, 0), _box(target))
    needed = made.needed(tuple(box))
    part = made.linear(
        pixels[:, *slices(needed)], [start for start, _ in needed], tuple(box)
    )
    np.testing.assert_array_equal(part, whole[:, *slices(tuple(box))])


@pytest.mark.parametrize("seed", CASES)
def test_nearest_looks_under_the_centre(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, wanted = map(int, random.integers(1, 41, 2))
    made = Rescaling((size,), (wanted,))
    values = np.arange(size)
    centres = (np.arange(wanted) + 0.5) * size / wanted
    expected = np.array([int(np.floor(round(c, 9))) for c in centres])
    whole = made.nearest(values, (0,), ((0, wanted),))
    np.testing.assert_array_equal(whole, np.minimum(expected, size - 1))
    start, stop = _span(random, wanted)
    ((first, last),) = made.under(((start, stop),))
    part = made.nearest(values[first:last], (first,), ((start, stop),))
    np.testing.assert_array_equal(part, whole[start:stop])


@pytest.mark.parametrize("seed", CASES)
def test_one_value_stays_that_value(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, wanted = map(int, random.integers(1, 61, 2))
    value = random.normal()
    pixels = np.full((1, size), value, np.float32)
    found = Rescaling((size,), (wanted,)).linear(pixels, (0,), ((0, wanted),))
    assert (found == np.float32(value)).all()


def test_no_pixel_is_overlooked_where_the_grid_is_coarser() -> None:
    pixels = np.zeros((1, 90), np.float32)
    made = Rescaling((90,), (10,))
    for at in range(90):
        pixels[:] = 0
        pixels[0, at] = 1
        assert made.linear(pixels, (0,), ((0, 10),)).sum() > 0.05


def test_both_grids_cover_the_same_extent() -> None:
    made = Rescaling((10, 20), (5, 40))
    scale, place = made.placed((2.0, 1.0), (100.0, 0.0))
    assert scale == (4.0, 0.5)
    assert place == (101.0, -0.25)
    for axis, size in enumerate((5, 40)):
        begin = place[axis] - scale[axis] / 2
        assert begin == (100 - 1.0, -0.5)[axis]
        assert begin + size * scale[axis] == (100 + 19.0, 19.5)[axis]


def test_by_a_factor_and_back() -> None:
    made = Rescaling.by((101, 3), 0.5)
    assert made.target == (50, 2)
    assert made.inverse == Rescaling((50, 2), (101, 3))
    assert Rescaling.by((3,), 0.01).target == (1,)


@pytest.mark.parametrize("seed", CASES)
def test_covering_has_all_pixels_over_a_box(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, wanted = map(int, random.integers(1, 51, 2))
    made = Rescaling((size,), (wanted,))
    start, stop = _span(random, size)
    ((low, high),) = made.covering(((start, stop),))
    over = [
        i
        for i in range(wanted)
        if (i + 1) * size > start * wanted and i * size < stop * wanted
    ]
    assert low <= over[0]
    assert high > over[-1]
    assert 0 <= low < high <= wanted
