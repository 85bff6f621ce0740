"""Two layers compared, and the layer of errors that comes of it."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unetpp._napari import (
    can_be_compared,
    can_be_learnt,
    compare_request,
    find_errors,
    is_found,
    show_errors,
    task_of,
)
from napari_unetpp._napari._layers import KEY
from napari_unetpp.errors import LabelsError
from napari_unetpp.io._error_picture import ERROR_COLOURS
from napari_unetpp.nn._object_errors import ErrorKind

RESULT = {KEY: {"result": "labels", "task": "instances", "group": "cells"}}


@pytest.fixture
def viewer():
    """A result on a stack of two planes, and a truth: one missed, one false."""
    truth = np.zeros((2, 40, 50), np.uint8)
    truth[:, 5:15, 5:15] = 1
    truth[1, 20:30, 5:15] = 2
    found = np.where(truth == 2, 0, truth).astype(np.uint16)
    found[0, 20:25, 30:38] = 7
    viewer = ViewerModel()
    place = {"scale": (2, 0.5, 0.5), "translate": (0, 3, 4)}
    viewer.add_labels(truth, name="truth", **place)
    viewer.add_labels(found, name="cells | labels", metadata=RESULT, **place)
    return viewer


def errors_of(viewer, task="instances", **options):
    values = {"unlabelled": None, "tolerance": 2.0, "iou": 0.5} | options
    request = compare_request(
        viewer.layers["cells | labels"], viewer.layers["truth"], task, **values
    )
    (found,) = find_errors(request)
    return found


def test_errors_lie_over_the_labels_in_the_colours_of_their_kinds(viewer):
    found = errors_of(viewer)
    layer = show_errors(viewer, found)

    assert viewer.layers[-1] is layer
    assert layer.name == "cells | errors"
    np.testing.assert_array_equal(layer.scale, (2, 0.5, 0.5))
    np.testing.assert_array_equal(layer.translate, (0, 3, 4))
    assert not layer.editable
    np.testing.assert_array_equal(layer.data == 1, viewer.layers["truth"].data == 2)
    np.testing.assert_array_equal(layer.data == 2, found.request.labels == 7)
    for value, kind in ((1, ErrorKind.MISSED), (2, ErrorKind.FALSE)):
        colour = "#{:02x}{:02x}{:02x}".format(
            *(layer.colormap.map(value)[:3] * 255).round().astype(int)
        )
        assert colour == ERROR_COLOURS[kind]
    assert [place.centre for place in found.places] == [(1, 25, 10), (0, 22, 34)]


def test_the_status_bar_names_an_error(viewer):
    layer = show_errors(viewer, errors_of(viewer))

    viewer.dims.set_current_step(0, 1)
    place = layer.data_to_world((1, 22, 8))
    said = layer.get_status(
        place, view_direction=None, dims_displayed=[1, 2], world=True
    )

    assert "error: missed" in said["value"]


def test_a_second_comparison_shows_in_the_same_layer(viewer):
    layer = show_errors(viewer, errors_of(viewer))
    layer.visible = False
    viewer.layers["cells | labels"].data[1, 20:30, 5:15] = 3

    again = show_errors(viewer, errors_of(viewer))

    assert again is layer
    assert layer.visible
    assert np.unique(layer.data).tolist() == [0, 2]
    assert list(layer.features["error"]) == ["", "false"]


def test_painting_on_does_not_change_what_is_compared(viewer):
    request = compare_request(*viewer.layers[::-1], "instances", None, 2.0, 0.5)
    viewer.layers["cells | labels"].data[:] = 0

    (found,) = find_errors(request)

    assert found.comparison.scores["n_found"] == 1


def test_classes_are_named(viewer):
    found = errors_of(viewer, "classes")
    layer = show_errors(viewer, found)

    assert set(layer.features["error"]) == {"", "missed: class 2", "false: class 7"}
    assert len(found.colours) == 2


def test_what_nobody_labelled_is_not_shown(viewer):
    """With 0 not labelled, object 7 lies where nothing is known; 2 is still missed."""
    found = errors_of(viewer, "classes", unlabelled=0)

    assert 7 not in found.comparison.errors[0]
    assert not found.comparison.errors[0].any()


def test_a_layer_of_errors_is_neither_compared_nor_learnt(viewer):
    layer = show_errors(viewer, errors_of(viewer))

    truth, labels = viewer.layers["truth"], viewer.layers["cells | labels"]
    assert [can_be_compared(la) for la in (layer, truth, labels)] == [False, True, True]
    assert not can_be_learnt(layer)
    assert [is_found(la) for la in (truth, labels)] == [False, True]
    assert (task_of(labels), task_of(truth)) == ("instances", None)


def test_layers_that_do_not_lie_on_each_other_are_refused(viewer):
    truth, labels = viewer.layers
    arguments = ("instances", None, 2.0, 0.5)
    with pytest.raises(LabelsError, match="are one layer"):
        compare_request(labels, labels, *arguments)
    plane = viewer.add_labels(truth.data[0])
    with pytest.raises(LabelsError, match=r"\(2, 40, 50\) and \(40, 50\)"):
        compare_request(labels, plane, *arguments)
    truth.translate = (0, 3, 9)
    with pytest.raises(LabelsError, match="do not lie on each other"):
        compare_request(labels, truth, *arguments)
    truth.translate = labels.translate
    truth.scale = (2, 1, 1)
    with pytest.raises(LabelsError, match="scales"):
        compare_request(labels, truth, *arguments)
