"""Labels against the truth: what is said about which pixel, and where it is."""

import dask.array as da
import numpy as np
import pytest

from napari_unetpp.arrays import Image
from napari_unetpp.errors import LabelsError
from napari_unetpp.inference._compare import compare_labels, error_places
from napari_unetpp.nn._object_errors import ErrorKind


def image_of(data, name="labels"):
    n = data.ndim
    return Image(data, "TZYX"[-n:], (1.0,) * n, ("pixel",) * n, name=name)


def compared(labels, truth, task="instances", **options):
    return compare_labels(image_of(labels), image_of(truth, "truth"), task, **options)


@pytest.fixture
def truth():
    labels = np.zeros((30, 60), np.uint16)
    for number in range(5):
        labels[5:15, 4 + 11 * number : 12 + 11 * number] = number + 1
    return labels


def test_objects_that_are_missed_and_made_up(truth):
    labels = np.where(truth == 2, 0, truth)
    labels[20:28, 40:50] = 9

    found = compared(labels, truth)

    assert found.names == {1: "missed", 2: "false"}
    np.testing.assert_array_equal(found.errors == 1, truth == 2)
    np.testing.assert_array_equal(found.errors == 2, labels == 9)
    scores = found.scores
    assert (scores["n_found"], scores["n_missed"], scores["n_false"]) == (4, 1, 1)
    assert scores["pq"] == 8 / 10
    assert scores["classes"][1]["recall"] == 4 / 5
    places = found.places()
    assert [(place.value, place.n_pixels) for place in places] == [(1, 80), (2, 80)]
    assert places[0].box == ((5, 15), (15, 23))
    assert places[0].centre == (10, 19)


def test_perfect_labels_have_no_errors(truth):
    found = compared(truth.astype(np.int32), da.from_array(truth, chunks=16))

    assert not found.errors.any()
    assert found.names == {}
    assert found.places() == []
    assert "nothing wrong" in repr(found)
    assert found.scores["pq"] == found.scores["boundary_f"] == 1


def test_classes_are_named_by_what_they_were_taken_for(truth):
    classes = np.select([truth > 3, truth > 0], [7, 3], 0)
    labels = classes.copy()
    labels[truth == 5] = 3
    labels[truth == 1] = 0
    labels[25:28] = 7

    found = compared(labels, classes, "classes")

    said = {found.names[v]: (found.errors == v).sum() for v in found.names}
    assert said == {
        "missed: class 3": 80,
        "false: class 7": 180,
        "class 7 taken for class 3": 80,
    }
    assert sorted(found.kinds.values()) == [
        ErrorKind.MISSED,
        ErrorKind.FALSE,
        ErrorKind.CONFUSED,
    ]
    assert found.scores["class_iou"]["7"] == 80 / (80 + 80 + 180)
    plain = compared(labels, classes, "classes", background=False)
    assert "class 0 taken for class 7" in plain.names.values()
    assert "iou" not in plain.scores


def test_what_nobody_labelled_is_not_wrong(truth):
    strokes = np.zeros_like(truth)
    strokes[8, 5:20], strokes[25, 5:20] = 2, 1
    labels = np.full_like(truth, 1)
    labels[:, :10] = 0  # outside of what was segmented

    found = compared(labels, strokes, "classes", unlabelled=0)

    assert found.scores["class_iou"] == {"1": 10 / 20, "2": 0}
    assert list(found.names.values()) == ["class 2 taken for class 1"]
    assert (found.errors > 0).sum() == 10


def test_a_place_is_on_the_plane_that_holds_most_of_it():
    errors = np.zeros((3, 20, 20), np.uint8)
    errors[0, 2:4, 2:4] = 1
    errors[1, 2:8, 2:8] = 1
    errors[2, 15, 15] = 2

    places = error_places(errors)

    assert [place.n_pixels for place in places] == [40, 1]
    assert places[0].centre == (1, 5, 5)
    assert places[0].box == ((0, 2), (2, 8), (2, 8))
    assert places[1].value == 2
    assert len(error_places(errors, 1)) == 1


def test_labels_that_do_not_fit_are_refused(truth):
    with pytest.raises(LabelsError, match=r"'labels' have shape \(30, 50\) but"):
        compared(truth[:, :50], truth)
    with pytest.raises(LabelsError, match="the truth 'truth' hold the value -3"):
        compared(truth, truth.astype(int) - 3)
