"""Objects are the same for any cut into blocks, and their ids have no gaps."""

from __future__ import annotations

import heapq
from itertools import pairwise

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.config import InstanceConfig
from napari_unetpp.inference._instances import BLOCKS, Blocks, segment_instances
from napari_unetpp.inference._watershed import UNSURE, grow

ONE_BLOCK = {2: Blocks((1024, 1024), (16, 64)), 3: Blocks((128, 128, 128), (16, 64))}


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


@pytest.fixture
def objects_of(finish):
    """Return a function that labels probabilities."""

    def label(mean, blocks, **config):
        labels = np.zeros(mean.shape[1:], np.uint32)
        config = InstanceConfig(**config)
        run = segment_instances(mean, config, labels, "run", blocks)
        events, n = finish(run)
        return labels, n, events

    return label


@pytest.mark.parametrize("edges", [(64, 64), (100, 70), (128, 33), (400, 512)])
@pytest.mark.parametrize("min_size", [0, 40])
def test_2d_blocks_equal_one_block(objects_of, same_partition, edges, min_size):
    mean = touching((300, 401), 300, 6)
    whole, n_whole, _ = objects_of(mean, ONE_BLOCK[2], min_size=min_size)
    cut, n_cut, _ = objects_of(mean, Blocks(edges, (16, 128)), min_size=min_size)
    assert n_cut == n_whole > 100
    assert same_partition(cut, whole)


@pytest.mark.parametrize("edges", [(16, 32, 32), (30, 40, 25)])
def test_3d_blocks_equal_one_block(objects_of, same_partition, edges):
    mean = touching((40, 70, 80), 60, 6)
    whole, n_whole, _ = objects_of(mean, ONE_BLOCK[3])
    cut, n_cut, _ = objects_of(mean, Blocks(edges, (8, 64)))
    assert n_cut == n_whole >= 20
    assert same_partition(cut, whole)


def test_the_usual_blocks_equal_smaller_ones(objects_of, same_partition):
    mean = np.tile(touching((350, 350), 300, 6), (1, 3, 4))
    usual, n_usual, _ = objects_of(mean, BLOCKS[2])
    small, n_small, _ = objects_of(mean, Blocks((256, 200), (32, 128)))
    assert n_small == n_usual > 1000
    assert same_partition(small, usual)


def test_ids_have_no_gaps_and_are_unique_over_planes(objects_of):
    mean = np.stack([touching((90, 101), 30, 6, seed) for seed in range(6)], axis=1)
    mean = mean.reshape(3, 2, 3, 90, 101)
    mean[:, 0, 2] = np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)  # an empty plane
    labels, n, _ = objects_of(mean, Blocks((40, 64), (16, 64)), min_size=30)
    ids = [set(np.unique(plane)) - {0} for plane in labels.reshape(6, 90, 101)]
    assert ids[2] == set()
    assert set.union(*ids) == set(range(1, n + 1))
    assert sum(map(len, ids)) == n  # no id stands in two planes
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.min() >= 30


def test_planes_are_labelled_as_they_are_alone(objects_of, same_partition):
    planes = [touching((90, 101), 30, 6, seed) for seed in (1, 2)]
    labels, _, _ = objects_of(np.stack(planes, axis=1), Blocks((40, 64), (16, 64)))
    for plane, mean in zip(labels, planes, strict=True):
        assert same_partition(plane, objects_of(mean, ONE_BLOCK[2])[0])


def test_size_is_counted_over_all_blocks(objects_of):
    mean = np.zeros((3, 64, 64), np.float32)
    mean[0] = 1
    mean[:, 28:36, 30:34] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)  # 32 pixels
    for min_size, n in ((32, 1), (33, 0)):
        labels, found, _ = objects_of(
            mean, Blocks((32, 32), (8, 16)), min_size=min_size
        )
        assert found == n
        assert (labels > 0).sum() == 32 * n


def test_foreground_without_a_seed_is_one_object(objects_of):
    mean = np.zeros((3, 100, 100), np.float32)
    mean[0] = 1
    boundary = np.array([0.0, 0.2, 0.8]).reshape(3, 1, 1)
    mean[:, 10:60, 10:20] = boundary  # an L across blocks, without a seed
    mean[:, 50:60, 10:90] = boundary
    mean[:, 70:90, 40:60] = boundary  # a square with a seed
    mean[:, 78:82, 48:52] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    labels, n, _ = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 2
    assert len(np.unique(labels[mean[0] < 0.5])) == 2
    assert len(np.unique(labels[10:60, 10:20])) == 1
    assert len(np.unique(labels[70:90, 40:60])) == 1


def test_an_object_larger_than_any_window_is_complete(objects_of):
    mean = np.zeros((3, 300, 300), np.float32)
    mean[0] = 1
    mean[:, 50:250, 50:250] = np.array([0.0, 0.0, 1.0]).reshape(3, 1, 1)
    mean[:, 60:64, 60:64] = np.array([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    labels, n, events = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 1
    assert np.array_equal(labels > 0, mean[0] < 0.5)
    assert "grow large objects" in {event.stage for event in events}


def test_nothing_there(objects_of):
    mean = np.zeros((3, 70, 80), np.float32)
    mean[0] = 1
    labels, n, events = objects_of(mean, Blocks((32, 32), (8, 16)))
    assert n == 0
    assert not labels.any()
    assert events[-1].n_done == events[-1].n_tiles == 9


def test_lazy_probabilities_give_the_same(objects_of):
    mean = touching((120, 130), 40, 6)
    blocks = Blocks((64, 64), (16, 64))
    expected = objects_of(mean, blocks)[0]
    lazy = da.from_array(mean, (1, 50, 70))
    assert np.array_equal(objects_of(lazy, blocks)[0], expected)


def test_progress_is_told_block_by_block(objects_of):
    _, _, events = objects_of(touching((120, 130), 40, 6), Blocks((64, 64), (16, 64)))
    for before, event in pairwise(events):
        same_stage = event.stage == before.stage
        assert event.n_done == (before.n_done + 1 if same_stage else 1)
    assert {event.run_id for event in events} == {"run"}


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
    grown = grow(elevation, mask, points, ())
    assert np.array_equal(grown, flood(elevation, mask, points))


@pytest.mark.parametrize("shape", [(120, 140), (30, 40, 50)])
def test_what_a_window_is_sure_of_is_true(shape):
    rng = np.random.default_rng(2)
    mean = touching(shape, 60 if len(shape) == 2 else 25, 6)
    elevation = np.rint(255 * (1 - mean[1])).astype(np.uint8)
    mask = mean[0] < 0.5
    seeds, _ = ndimage.label((mean[1] > 0.5) & mask)
    whole = grow(elevation, mask, seeds.astype(np.int32), ())
    n_sure = 0
    for _ in range(40):
        low = [int(rng.integers(0, size - 12)) for size in shape]
        high = [
            int(rng.integers(a + 10, n + 1)) for a, n in zip(low, shape, strict=True)
        ]
        window = tuple(map(slice, low, high))
        cut = [(a > 0, b < n) for a, b, n in zip(low, high, shape, strict=True)]
        found = grow(
            elevation[window], mask[window], seeds[window].astype(np.int32), cut
        )
        sure = (found != UNSURE) & (whole[window] > 0)
        assert np.array_equal(found[sure], whole[window][sure])
        n_sure += np.count_nonzero(sure)
    assert n_sure > 10_000
