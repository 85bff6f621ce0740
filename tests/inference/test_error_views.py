"""The part of an image that a picture of its errors shows."""

import numpy as np
import pytest

from napari_unetpp.arrays import Image, canonical
from napari_unetpp.inference import _error_views
from napari_unetpp.inference._error_views import error_picture
from napari_unetpp.inference._truth import Meaning, Truth
from napari_unetpp.nn._object_errors import ErrorKind


def picture_of(pixels, axes, truth, found, meaning=None, unlabelled=None):
    n = len(axes)
    image = Image(pixels, axes, (1.0,) * n, ("pixel",) * n, name="cells")
    n_channels = image.n_channels
    read = canonical(image, 2, "as_is", n_channels)
    right = Truth.of(truth, "cells", meaning or Meaning.of_objects(), unlabelled)
    return error_picture(read, right.compare(found))


def test_the_worst_plane_is_shown():
    truth = np.zeros((2, 3, 20, 30), np.uint8)
    truth[0, :, 2:6, 2:6] = 1
    found = truth.copy()
    found[1, 2, 10:18, 10:18] = 4
    pixels = np.arange(truth.size, dtype=np.float32).reshape(truth.shape)

    picture = picture_of(pixels, "TZYX", truth, found)

    assert picture.place == "T 1, Z 2"
    np.testing.assert_array_equal(picture.image, pixels[1, 2])
    np.testing.assert_array_equal(picture.found, found[1, 2])
    np.testing.assert_array_equal(picture.found_kinds == 2, found[1, 2] > 0)
    assert picture.counts[ErrorKind.FALSE] == 1
    assert picture.n_right == 1
    assert picture.title.startswith("cells (T 1, Z 2): AP50 0.500, PQ 0.667")


def test_of_a_large_plane_the_worst_part_is_shown(monkeypatch):
    monkeypatch.setattr(_error_views, "LARGEST_VIEW", 16)
    truth = np.zeros((40, 50), np.uint8)
    truth[30:36, 40:46] = 1
    truth[2:4, 2:4] = 2
    pixels = np.zeros((2, 40, 50), np.uint8)
    pixels[1] = np.arange(50)

    picture = picture_of(pixels, "CYX", truth, np.zeros_like(truth))

    assert picture.image.shape == (16, 16)
    assert (picture.true == 1).sum() == 36
    assert picture.place == "Y 20 to 35, X 32 to 47"
    np.testing.assert_array_equal(picture.image[0], np.arange(32, 48) / 2)


@pytest.mark.parametrize("unlabelled", [None, 9])
def test_pixels_of_classes_have_their_kind(unlabelled):
    truth = np.array([[0, 0, 3, 3, 9]] * 2)
    found = np.array([[0, 3, 3, 0, 0]] * 2)
    meaning = Meaning.of_classes((0, 3, 9), background=True)

    picture = picture_of(np.ones((2, 5)), "YX", truth, found, meaning, unlabelled)

    last = 0 if unlabelled else ErrorKind.MISSED
    expected = [0, ErrorKind.FALSE, 0, ErrorKind.MISSED, last]
    assert picture.true_kinds[0].tolist() == expected
    assert picture.n_right is None
    assert picture.counts[ErrorKind.FALSE] == 2
    assert not picture.true.any()


def test_ignored_pixels_are_no_objects():
    truth = np.array([[1, 1, 9, 9, 0, 0]] * 2)
    found = np.array([[1, 1, 4, 4, 0, 0]] * 2)

    picture = picture_of(np.ones((2, 6)), "YX", truth, found, unlabelled=9)

    assert picture.true[0].tolist() == picture.found[0].tolist() == [1, 1, 0, 0, 0, 0]
    assert picture.counts == dict.fromkeys(picture.counts, 0)
