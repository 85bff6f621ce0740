"""Outlines against distances, and their rules where pixels are ignored."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.nn._metrics_boundary import (
    boundary_f,
    class_boundaries,
    mean_boundary_f,
    near,
    object_boundaries,
    outlines,
)


def blobs(seed, shape=(40, 50), n=6):
    """Labels of a random landscape, 0...n - 1."""
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.random(shape), (3,) * len(shape))
    edges = np.quantile(height, np.linspace(0, 1, n + 1)[1:-1])
    return np.digitize(height, edges)


def brute_force_outlines(labels):
    found = np.zeros(labels.shape, bool)
    for place in np.argwhere(labels > 0):
        for axis in (-2, -1):
            for step in (-1, 1):
                beside = place.copy()
                beside[axis] += step
                if 0 <= beside[axis] < labels.shape[axis]:
                    other = labels[tuple(beside)]
                    found[tuple(place)] |= 0 <= other != labels[tuple(place)]
    return found


def brute_force_f(a, b, tolerance):
    """F of two outlines in one plane, by distance transforms."""
    to_a, to_b = (ndimage.distance_transform_edt(~each) for each in (a, b))
    precision, recall = (to_a[b] <= tolerance).mean(), (to_b[a] <= tolerance).mean()
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("shape", [(23, 31), (3, 17, 19)])
def test_outlines_are_pixels_beside_something_else(shape):
    labels = blobs(0, shape)
    labels[np.random.default_rng(0).random(shape) < 0.05] = -1

    np.testing.assert_array_equal(outlines(labels), brute_force_outlines(labels))


@pytest.mark.parametrize("distance", [0, 1, 1.5, 2, 3.7, 60])
def test_near_is_within_a_distance(distance):
    mask = np.random.default_rng(1).random((40, 50)) < 0.005
    assert mask.any()

    expected = ndimage.distance_transform_edt(~mask) <= distance

    np.testing.assert_array_equal(near(mask, distance), expected)
    np.testing.assert_array_equal(near(np.stack([mask] * 2), distance)[1], expected)


@pytest.mark.parametrize("tolerance", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_f_of_objects_is_that_of_distances(seed, tolerance):
    true = blobs(seed)
    predicted = np.roll(true, (2, 1), (0, 1))

    found = boundary_f(object_boundaries(true, predicted, tolerance))

    edges = [brute_force_outlines(each) for each in (true, predicted)]
    np.testing.assert_allclose(found, [brute_force_f(*edges, tolerance)])


def test_f_of_classes_is_that_of_each_mask():
    true, predicted = blobs(3, n=3), blobs(4, n=3)

    found = boundary_f(class_boundaries(true, predicted, 4, 1))

    for c in range(3):
        edges = [brute_force_outlines((each == c) + 0) for each in (true, predicted)]
        assert found[c] == pytest.approx(brute_force_f(*edges, 1))
    assert np.isnan(found[3])
    counts = class_boundaries(true, predicted, 4, 1)
    assert mean_boundary_f(counts, background=True) == found[1:3].mean()
    assert mean_boundary_f(counts, background=False) == found[:3].mean()


def test_planes_are_compared_each_on_its_own():
    planes = [(blobs(s), np.roll(blobs(s), 2, 1)) for s in range(3)]
    true, predicted = (np.stack(each) for each in zip(*planes, strict=True))

    together = object_boundaries(true, predicted, 1)

    alone = [object_boundaries(*plane, 1) for plane in planes]
    assert together.near_true == sum(each.near_true for each in alone)
    assert boundary_f(together) == boundary_f(alone[0] + alone[1] + alone[2])


def test_the_edge_of_the_image_is_no_outline():
    full = np.ones((6, 6), int)

    assert not outlines(full).any()
    assert np.isnan(boundary_f(object_boundaries(full, full))).all()
    assert mean_boundary_f(object_boundaries(full, full), background=True) == 1


def test_an_outline_in_one_map_only_is_wrong():
    labels, nothing = np.zeros((9, 9), int), np.zeros((9, 9), int)
    labels[3:6, 3:6] = 1

    for pair in ((labels, nothing), (nothing, labels)):
        assert boundary_f(object_boundaries(*pair)) == 0


def test_objects_that_touch_have_an_outline_between_them():
    two = np.ones((6, 8), int)
    two[:, 4:] = 2

    counts = object_boundaries(two, two, 0)

    assert counts.n_true == 12
    assert boundary_f(counts) == 1
    assert boundary_f(object_boundaries(two, np.ones_like(two))) == 0


def test_what_lies_near_ignored_pixels_is_not_judged():
    """Whatever is predicted in and around the ignored part, the measure is the same."""
    true = np.zeros((30, 30), int)
    true[4:10, 4:10] = 1
    true[15:] = -1
    wild = true.clip(min=0)
    wild[13:, ::2] = 5

    right = object_boundaries(true, true.clip(min=0), 2)
    found = object_boundaries(true, wild, 2)

    assert right.n_judged == found.n_judged == 13 * 30
    assert found.n_predicted == right.n_predicted == 20
    assert boundary_f(found) == 1


def test_thin_strokes_say_nothing_about_outlines():
    true = np.full((20, 20), -1)
    true[5:7, 2:18] = 1

    assert class_boundaries(true, true.clip(min=0), 2, 2).n_judged == 0
