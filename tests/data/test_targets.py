import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.arrays import IGNORE
from napari_unetpp.data import class_index, distance_target, instance_target


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


def brute_force_depths(labels, reach):
    """Steps to the nearest pixel of another label, object by object, pixel by pixel."""
    depths = np.zeros(labels.shape)
    for value in np.unique(labels[labels > 0]):
        own = np.argwhere(labels == value)
        outline = [
            at
            for at in own
            if any(
                labels[tuple(beside)] != value
                for axis in range(labels.ndim)
                for step in (-1, 1)
                for beside in [at + step * np.eye(labels.ndim, dtype=int)[axis]]
                if (beside >= 0).all() and (beside < labels.shape).all()
            )
        ]
        depth = {
            tuple(at): min(reach, 1 + min(np.hypot(*(at - edge)) for edge in outline))
            for at in own
        }
        for at, value_at in depth.items():
            depths[at] = value_at / max(depth.values())
    return depths


@pytest.mark.parametrize("reach", [1, 3, 8])
def test_distance_target_agrees_with_brute_force(reach):
    rng = np.random.default_rng(5)
    labels = np.kron(rng.integers(0, 4, (4, 4)), np.ones((6, 6), int))
    labels[0, 0] = 9  # a single pixel is all interior

    target = distance_target(labels, reach)

    assert target.dtype == np.float32
    np.testing.assert_allclose(target, brute_force_depths(labels, reach), rtol=1e-6)
    assert target[0, 0] == 1


def test_distance_parts_objects_that_touch_and_keeps_small_ones():
    labels = two_touching_squares((24, 30))
    labels[20:22, 26:28] = 11

    target = distance_target(labels, 8)

    seeds, n = ndimage.label(target > 0.5)
    assert n == 3
    assert np.unique(labels[seeds > 0]).tolist() == [7, 9, 11]


def test_distances_of_what_nobody_labelled_are_ignored():
    labels = np.ones((9, 9), int)
    np.testing.assert_array_equal(distance_target(labels, 3), 1)  # cut on all sides
    labels[:, :2] = -1

    target = distance_target(labels, 3)

    assert (target[:, :2] == IGNORE).all()
    np.testing.assert_allclose(target[4, 2:], [1 / 3, 2 / 3, 1, 1, 1, 1, 1])


def test_class_index_reads_both_kinds_of_target():
    labels = two_touching_squares().astype(int)
    labels[0] = -1
    index = instance_target(labels, 1)
    np.testing.assert_array_equal(class_index(index), index)
    shares = np.array([-1, 0, 0.1, 0.5, 1], np.float32)
    assert class_index(shares).tolist() == [-1, 0, 2, 1, 1]
