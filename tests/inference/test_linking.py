"""Objects of neighbouring planes become objects of the stack."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.config import InstanceConfig
from napari_unetpp.inference._instances import BlockWork
from napari_unetpp.inference._labelling import PredictedArrays
from napari_unetpp.inference._linking import link_planes
from napari_unetpp.inference._stages import COMPARE, Blocks, LocalStages, pack
from napari_unetpp.io import Ledger


def numbered_by_plane(truth):
    """Return ids that are unique over all planes, as segmentation gives them."""
    labels = np.zeros(truth.shape, np.uint32)
    n = 0
    for plane in np.ndindex(truth.shape[:-2]):
        for value in np.unique(truth[plane][truth[plane] > 0]):
            n += 1
            labels[plane][truth[plane] == value] = n
    return labels, n


def link(finish, labels, n, axis=0, edges=(64, 64)):
    blocks = Blocks(edges, (0,))
    nodes, *grown = np.zeros((3, *labels.shape), np.uint32)
    grown[0][:] = labels
    arrays = PredictedArrays(np.zeros((3, *labels.shape)), nodes, grown)
    work, grid = BlockWork(arrays, InstanceConfig(), blocks), blocks.grid(labels.shape)
    above = np.array([tile.index for tile in grid if tile.loop[axis] > 0])
    state = {"versions": np.zeros(len(grid), np.int32), "axis": np.array(axis)}
    with Ledger.in_memory() as ledger:
        stages = LocalStages(ledger, work, "run")
        events, _ = finish(stages.run(COMPARE, above, state))
        table, n_linked = link_planes(
            stages.records(COMPARE),
            np.arange(n + 1, dtype=np.uint32),
            np.bincount(labels.ravel(), minlength=n + 1),
        )
    assert {event.stage for event in events} == {"compare planes"}
    linked = table[labels]
    assert n_linked == linked.max()
    return linked, n_linked


@pytest.fixture
def slanted():
    """Two rods that shift from plane to plane, and two discs over each other."""
    truth = np.zeros((6, 48, 48), np.uint32)
    for z in range(6):
        truth[z, 2 + 2 * z : 12 + 2 * z, 4:14] = 1
        truth[z, 2 + 2 * z : 12 + 2 * z, 14:24] = 2
    truth[:2, 30:40, 30:40] = 3
    truth[3:, 30:40, 30:40] = 4
    return truth


@pytest.mark.parametrize("edges", [(64, 64), (16, 16), (7, 13)])
def test_objects_are_followed_through_planes_for_any_blocks(
    slanted, edges, finish, same_partition
):
    labels, n = numbered_by_plane(slanted)
    linked, n_linked = link(finish, labels, n, edges=edges)
    assert n_linked == 4
    assert same_partition(linked, slanted)


def test_only_the_best_match_is_joined(finish):
    labels = np.zeros((2, 8, 20), np.uint32)
    labels[0, :, 0:10], labels[0, :, 10:20] = 1, 2
    labels[1, :, 0:14], labels[1, :, 14:20] = 3, 4
    linked, n = link(finish, labels, 4)
    assert n == 2
    assert linked[0, 0, 0] == linked[1, 0, 0]  # 10 of 14 pixels
    assert linked[0, 0, 19] == linked[1, 0, 19]  # 6 of 10, the other's best is taken
    assert linked[0, 0, 0] != linked[0, 0, 19]


def test_small_shares_are_not_joined(finish):
    labels = np.zeros((2, 10, 10), np.uint32)
    labels[0, 0:4, 0:4], labels[1, 3:10, 3:10] = 1, 2
    assert link(finish, labels, 2)[1] == 2


def test_time_is_not_joined(slanted, finish, same_partition):
    movie = np.stack([slanted, slanted])  # (T, Z, Y, X)
    labels, n = numbered_by_plane(movie)
    linked, n_linked = link(finish, labels, n, axis=1)
    assert n_linked == 8
    assert not set(np.unique(linked[0])) & set(np.unique(linked[1])) - {0}
    assert same_partition(linked[0], slanted)


def test_balls_are_found_again(finish):
    grid = np.indices((20, 60, 60))
    truth = np.zeros((20, 60, 60), np.uint32)
    for k, centre in enumerate([(6, 15, 15), (9, 40, 20), (13, 30, 45)], start=1):
        squares = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
        truth[squares < 30] = k
    labels, n = numbered_by_plane(truth)
    linked, _ = link(finish, labels, n)
    for k in (1, 2, 3):
        ids, pixels = np.unique(linked[truth == k], return_counts=True)
        assert pixels.max() > 0.9 * pixels.sum(), ids


def test_an_empty_stack_stays_empty(finish):
    assert link(finish, np.zeros((3, 5, 5), np.uint32), 0)[1] == 0


def test_ids_have_no_gaps(finish):
    rng = np.random.default_rng(0)
    truth, _ = ndimage.label(rng.random((4, 40, 40)) > 0.7)
    labels, n = numbered_by_plane(truth)
    linked, n_linked = link(finish, labels, n)
    assert list(np.unique(linked)) == list(range(n_linked + 1))


def test_objects_that_are_dropped_join_nothing():
    records = [(0, pack(first=[1, 2, 4], second=[2, 3, 5], pixels=[9, 9, 9]))]
    table = np.array([0, 1, 0, 2, 3, 4], np.uint32)  # 2 is too small
    sizes = np.array([0, 10, 10, 10, 10, 10])
    joins, n = link_planes(records, table, sizes)
    assert joins.tolist() == [0, 1, 2, 3, 3]
    assert n == 3
