from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.arrays import (
    IGNORE,
    PIXEL,
    Image,
    LabelRule,
    align_labels,
    canonical,
    check_labels,
    from_class_index,
    infer_rule,
    labelled_mask,
    to_class_index,
)
from napari_unetpp.errors import LabelsError

SCRIBBLES = np.array([[0, 0, 5], [2, 0, 9]], np.uint8)


def test_0_is_a_class_of_dense_labels():
    rule = infer_rule([SCRIBBLES, np.array([[7]])], "classes", None)
    assert rule == LabelRule((0, 2, 5, 7, 9), None)
    index = to_class_index(SCRIBBLES, rule)
    assert index.dtype == np.int64
    np.testing.assert_array_equal(index, [[0, 0, 2], [1, 0, 4]])
    assert labelled_mask(SCRIBBLES, rule).all()


def test_0_is_not_labelled_in_scribbles():
    rule = infer_rule([SCRIBBLES], "classes", 0)
    assert rule == LabelRule((2, 5, 9), 0)
    index = to_class_index(SCRIBBLES, rule)
    np.testing.assert_array_equal(index, [[IGNORE, IGNORE, 1], [0, IGNORE, 2]])
    np.testing.assert_array_equal(labelled_mask(SCRIBBLES, rule), SCRIBBLES > 0)


def test_0_is_the_background_of_instances():
    rule = infer_rule([SCRIBBLES], "instances", None)
    assert rule == LabelRule((0, 1, 2), None)
    assert labelled_mask(SCRIBBLES, rule).all()


def test_instances_with_pixels_that_nobody_has_labelled():
    rule = infer_rule([SCRIBBLES], "instances", 9)
    np.testing.assert_array_equal(labelled_mask(SCRIBBLES, rule), SCRIBBLES != 9)


def test_what_was_painted_comes_back():
    rule = infer_rule([SCRIBBLES], "classes", None)
    back = from_class_index(to_class_index(SCRIBBLES, rule), rule.class_values)
    np.testing.assert_array_equal(back, SCRIBBLES)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [((0, 255), "uint8"), ((0, 256), "uint16"), ((0, 70_000), "uint32")],
)
def test_smallest_dtype(values, dtype):
    assert from_class_index(np.array([[0, 1]]), values).dtype == dtype


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64"])
def test_any_whole_dtype(dtype):
    labels = np.array([[0, 1]], dtype)
    rule = infer_rule([labels], "classes", None)
    np.testing.assert_array_equal(to_class_index(labels, rule), [[0, 1]])


def test_value_that_is_no_class():
    with pytest.raises(LabelsError, match=r"value 9 is none of the classes \(2, 5\)"):
        to_class_index(SCRIBBLES, LabelRule((2, 5), 0))


def test_instances_need_a_background():
    with pytest.raises(LabelsError, match="unlabelled=0 cannot be used"):
        infer_rule([SCRIBBLES], "instances", 0)


def test_instances_need_an_object():
    with pytest.raises(LabelsError, match="no object"):
        infer_rule([np.zeros((3, 3), int)], "instances", None)


@pytest.mark.parametrize(
    "labels", [np.full((3, 3), 4), np.zeros((3, 3), int), np.arange(400)[None]]
)
def test_classes_need_two_and_not_hundreds(labels):
    with pytest.raises(LabelsError, match="a class model needs 2 to 256"):
        infer_rule([labels], "classes", 0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((3, 4), np.float32), "dtype float32.*save them as"),
        (np.zeros((4, 3), np.uint8), r"shape \(4, 3\) but their image has \(3, 4\)"),
        (np.full((3, 4), -2), "hold the value -2.*shift"),
    ],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(LabelsError, match=message):
        check_labels(labels, (3, 4))


def image(data, axes, name, **known):
    n = data.ndim
    return Image(data, axes, (1.0,) * n, (PIXEL,) * n, name, **known)


@pytest.mark.parametrize("guessed", ["TZYX", "CZYX"])
def test_labels_without_axes_lie_as_their_image(guessed):
    values = np.arange(2 * 3 * 4 * 5).reshape(4, 2, 3, 5)  # YZTX
    pixels = image(np.zeros((4, 2, 1, 3, 5)), "YZCTX", "cells")
    read = canonical(pixels, 3, "as_is", 1)
    aligned = align_labels(image(values, guessed, "t", axes_guessed=True), read)
    np.testing.assert_array_equal(aligned, values.transpose(2, 1, 0, 3))
    known = image(values.transpose(2, 1, 3, 0), "TZXY", "truth")
    np.testing.assert_array_equal(align_labels(known, read), aligned)


def test_labels_of_another_shape_name_both():
    read = canonical(image(np.zeros((4, 5)), "YX", "cells"), 2, "as_is", 1)
    words = r"'truth' of image 'cells' have shape \(5, 5\) but .* has \(4, 5\)"
    with pytest.raises(LabelsError, match=words):
        align_labels(image(np.zeros((5, 5), int), "YX", "truth"), read)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32"])
def test_labels_that_fit(dtype):
    check_labels(np.ones((3, 4), dtype), (3, 4))
