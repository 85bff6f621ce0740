from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_unetpp.io._synthetic import nuclei_movie, nuclei_stack


@pytest.mark.parametrize("make", [nuclei_stack, nuclei_movie])
def test_same_seed_same_image(make):
    first, again, other = (make((4, 48, 64), 8, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.data, again.data)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.data, other.data)


@pytest.mark.parametrize(
    ("make", "axes"), [(nuclei_stack, "ZYX"), (nuclei_movie, "TYX")]
)
def test_shapes_axes_and_dtypes(make, axes):
    image = make((5, 60, 70), n_nuclei=6)
    assert image.data.shape == image.labels.shape == (5, 60, 70)
    assert image.data.dtype == image.labels.dtype == np.uint16
    assert image.axes == axes
    assert len(image.scale) == 3


def test_objects_of_a_stack_are_whole_and_touch_no_other():
    labels = nuclei_stack((16, 128, 128), n_nuclei=30).labels
    touching, n_objects = ndimage.label(labels > 0, np.ones((3, 3, 3)))
    assert n_objects == labels.max() == 30
    pairs = np.unique(np.stack([labels[labels > 0], touching[labels > 0]]), axis=1)
    assert pairs.shape[1] == n_objects


def test_objects_are_brighter_than_what_surrounds_them():
    image = nuclei_stack((16, 128, 128))
    inside = image.data[image.labels > 0].mean()
    outside = image.data[image.labels == 0].mean()
    assert inside > 1.5 * outside


def test_objects_of_a_movie_keep_their_numbers():
    labels = nuclei_movie((6, 128, 128), n_nuclei=10, seed=2).labels
    before, after = (set(np.unique(labels[t])) for t in (0, 1))
    assert len(before & after) >= 9


def test_makes_fewer_objects_where_no_more_fit():
    labels = nuclei_stack((4, 32, 32), n_nuclei=500).labels
    assert 0 < labels.max() < 500
