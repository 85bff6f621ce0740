from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from napari_unetpp.io._pyramid import pyramid, reduced
from napari_unetpp.tiling import TileGrid

CASES = [
    ((5000, 3001), (1024, 1024), (1.0, 1.0)),
    ((5000, 3001), (400, 272), (1.0, 1.0)),
    ((2049, 509), (2064, 512), (1.0, 1.0)),
    ((1, 5000), (1024, 1024), (1.0, 1.0)),
    ((300, 200), (509, 509), (1.0, 1.0)),
    ((70, 2100, 1500), (32, 128, 128), (2.0, 0.5, 0.5)),
    ((70, 2100, 1500), (32, 96, 96), (0.5, 0.5, 0.5)),
    ((90, 2500, 60), (64, 192, 192), (1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize(("shape", "core", "scale"), CASES)
def test_levels_halve_down_to_a_size_that_is_seen_at_once(shape, core, scale):
    levels = pyramid(shape, core, scale)
    assert levels[0].shape == shape
    assert levels[0].owned
    assert max(levels[-1].shape[-2:]) <= 1024
    for finer, level in itertools.pairwise(levels):
        assert max(finer.shape[-2:]) > 1024
        for had, size, step in zip(finer.shape, level.shape, level.step, strict=True):
            assert size == math.ceil(had / step)
        assert level.step[-2:] == tuple(1 + (n > 1) for n in finer.shape[-2:])


@pytest.mark.parametrize(("shape", "core", "scale"), CASES)
def test_a_shard_of_an_owned_level_belongs_to_one_tile(shape, core, scale):
    n = len(shape)
    grid = TileGrid(shape, core, (0,) * n, (1,) * n)
    for level in pyramid(shape, core, scale):
        for shard, chunk in zip(level.shard, level.chunk, strict=True):
            assert shard % chunk == 0
            assert chunk <= (512 if n == 2 else 64)
        if level.owned:
            assert [level.box(tile.core) for tile in grid] == list(level.shards())
        else:
            assert math.prod(level.shard) <= 2**21


def test_chunks_are_not_tiny_where_an_edge_has_no_divisor():
    (level,) = pyramid((1000, 1000), (509, 509), (1.0, 1.0))
    assert level.chunk == (509, 509)


def test_thick_pixels_are_halved_along_z_later():
    levels = pyramid((64, 8192, 8192), (32, 128, 128), (3.0, 1.0, 1.0))
    assert [level.factor for level in levels] == [
        (1, 1, 1),
        (1, 2, 2),
        (2, 4, 4),
        (4, 8, 8),
    ]


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (3, 5, 7), (1, 9)])
def test_means_are_those_of_the_pixels_there_are(shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    step = tuple(2 if n > 1 else 1 for n in shape)
    found = reduced(pixels[None], step, labels=False)[0]
    for at in np.ndindex(found.shape):
        part = pixels[
            tuple(slice(i * by, (i + 1) * by) for i, by in zip(at, step, strict=True))
        ]
        assert found[at] == math.floor(part.mean() + 0.5)
    halves = reduced((pixels / 256).astype(np.float16), step, labels=False)
    assert halves.dtype == np.float16
    assert np.abs(halves * 256 - found).max() <= 0.6


def test_labels_are_picked_not_mixed():
    labels = np.arange(35, dtype=np.uint32).reshape(5, 7)
    np.testing.assert_array_equal(
        reduced(labels, (2, 2), labels=True), labels[::2, ::2]
    )
