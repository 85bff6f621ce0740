import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.arrays import IGNORE
from napari_unetpp.data import instance_target


def two_touching_squares(shape=(24, 24)):
    labels = np.zeros(shape, np.uint16)
    labels[4:16, 2:12] = 7
    labels[4:16, 12:22] = 9
    return labels


@pytest.mark.parametrize("width", [1, 2])
def test_interior_and_boundary_are_the_foreground_and_part_touching_objects(width):
    labels = two_touching_squares()
    target = instance_target(labels, width)
    np.testing.assert_array_equal(target > 0, labels > 0)
    seeds, n = ndimage.label(target == 1)
    assert n == 2
    for value in (7, 9):
        assert len(np.unique(seeds[(labels == value) & (seeds > 0)])) == 1
    assert (target == 2)[8, 12 - width : 12 + width].all()


def test_target_agrees_with_an_erosion_of_each_object():
    rng = np.random.default_rng(3)
    labels = np.kron(rng.integers(0, 5, (6, 6)), np.ones((7, 7), int))
    target = instance_target(labels, 1)
    for value in range(1, 5):
        mask = np.pad(labels == value, 1, mode="edge")
        inner = ndimage.binary_erosion(mask)[1:-1, 1:-1]
        np.testing.assert_array_equal((target == 1) & (labels == value), inner)


def test_what_the_patch_cuts_is_not_a_boundary():
    target = instance_target(np.ones((9, 9), int), 2)
    assert (target == 1).all()


def test_an_object_too_thin_for_an_interior_keeps_a_seed():
    labels = np.zeros((9, 9), int)
    labels[4, 2:7] = 3
    target = instance_target(labels, 1)
    np.testing.assert_array_equal(target, (labels == 3).astype(int))


def test_negative_labels_are_ignored_and_other_dimensions_work():
    labels = np.zeros((8, 8, 8), np.int32)
    labels[2:7, 2:7, 2:7] = 1
    labels[:, :, 0] = -1
    target = instance_target(labels, 1)
    assert (target[:, :, 0] == IGNORE).all()
    assert (target == 1).sum() == 27
    assert (target == 2).sum() == 125 - 27
