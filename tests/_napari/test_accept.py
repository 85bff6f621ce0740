"""Predictions taken over as labels: only where nothing is labelled, undone at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_unetpp._napari._accept import Prediction, accept
from napari_unetpp._napari._preview_arrays import Part, PreviewArrays
from napari_unetpp._napari._source import read_layer
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from napari_unetpp.inference import PreviewTile

VALUES = (1, 2, 5)


def predicted(
    tile: PreviewTile, shape: tuple[int, ...], axes: str, task: str = "classes"
) -> Prediction:
    """Return what can be accepted of one tile of an image."""
    part = Part(tile.image, tile.region, tile.loop)
    values = VALUES if task == "classes" else ()
    arrays = PreviewArrays(part, values)
    arrays.write(tile)
    source = read_layer(Image(np.zeros(shape), name="cells")).with_axes(axes)
    return Prediction(arrays, source, task, values)


def discs() -> np.ndarray:
    """Return class indices with six discs of radius 8, one of them cut by the edge.

    The rim of each is boundary.
    """
    y, x = np.mgrid[:80, :100]
    index = np.zeros((80, 100), int)
    for cy, cx in ((20, 20), (20, 40), (20, 70), (55, 20), (55, 50), (55, 98)):
        away = np.hypot(y - cy, x - cx)
        index[away < 8] = 2
        index[away < 6] = 1
    return index


def test_classes_go_where_nothing_is_labelled(preview_of) -> None:
    index = np.random.default_rng(0).integers(0, 3, (40, 50))
    region = ((0, 40), (0, 50))
    prediction = predicted(preview_of(index, region), (40, 50), "YX")
    before = np.zeros((40, 50), np.uint8)
    before[10:20] = 2
    layer = Labels(before.copy())
    view = ((5, 30), (0, 25))
    accepted = accept(prediction, layer, view, 0)
    expected = before.copy()
    expected[5:30, :25] = np.where(
        before[5:30, :25] == 0, np.array(VALUES)[index[5:30, :25]], 2
    )
    assert np.array_equal(layer.data, expected)
    assert accepted.n_pixels == 15 * 25
    assert "375 pixels" in accepted.text
    layer.undo()
    assert np.array_equal(layer.data, before)


def test_a_value_of_its_own_may_mean_not_labelled(preview_of) -> None:
    index = np.full((20, 20), 1)
    prediction = predicted(preview_of(index, ((0, 20), (0, 20))), (20, 20), "YX")
    layer = Labels(np.full((20, 20), 255, np.uint8))
    layer.data[:5] = 0
    assert accept(prediction, layer, ((0, 20), (0, 20)), 255).n_pixels == 300
    assert (layer.data[5:] == 2).all()
    assert not layer.data[:5].any()


def test_only_what_is_predicted_is_taken(preview_of) -> None:
    index = np.ones((40, 40), int)
    tile = preview_of(index, ((0, 40), (0, 40)), box=((0, 10), (0, 40)))
    prediction = predicted(tile, (40, 40), "YX")
    layer = Labels(np.zeros((40, 40), np.uint8))
    assert accept(prediction, layer, ((20, 40), (0, 40)), 0).n_pixels == 0
    nothing = accept(prediction, layer, ((20, 40), (0, 40)), 0)
    assert "wait" in nothing.text
    assert accept(prediction, layer, ((0, 40), (0, 40)), 0).n_pixels == 400
    assert "labelled" in accept(prediction, layer, ((0, 40), (0, 40)), 0).text


@pytest.mark.parametrize("thick", [False, True])
def test_planes_and_channels_find_their_place(preview_of, thick: bool) -> None:
    index = np.random.default_rng(0).integers(0, 3, (12, 14))
    tile = preview_of(index, ((0, 12), (0, 14)), (1, 2))
    prediction = predicted(tile, (2, 3, 4, 12, 14), "TCZYX")
    shape = (2, 1, 4, 12, 14) if thick else (2, 4, 12, 14)
    layer = Labels(np.zeros(shape, np.uint8))
    view = ((1, 2), (2, 3), (0, 12), (0, 14))
    assert accept(prediction, layer, view, 0).n_pixels == 12 * 14
    plane = layer.data[1, 0, 2] if thick else layer.data[1, 2]
    assert np.array_equal(plane, np.array(VALUES)[index])
    assert np.count_nonzero(layer.data) == 12 * 14
    other = ((0, 1), (2, 3), (0, 12), (0, 14))
    assert accept(prediction, layer, other, 0).n_pixels == 0


def test_axes_may_come_in_another_order(preview_of) -> None:
    index = np.random.default_rng(0).integers(0, 3, (12, 14))
    prediction = predicted(
        preview_of(index, ((0, 12), (0, 14)), (3,)), (12, 14, 5), "YXZ"
    )
    layer = Labels(np.zeros((12, 14, 5), np.uint8))
    assert accept(prediction, layer, ((3, 4), (0, 12), (0, 14)), 0).n_pixels == 168
    assert np.array_equal(layer.data[:, :, 3], np.array(VALUES)[index])


def test_objects_get_new_numbers_and_cut_ones_are_left_out(preview_of) -> None:
    index = discs()
    tile = preview_of(index, ((0, 80), (0, 100)))
    prediction = predicted(tile, (80, 100), "YX", "instances")
    layer = Labels(np.zeros((80, 100), np.uint16))
    layer.data[15:25, 15:25] = 7  # the user's own label of the first disc
    view = ((0, 80), (0, 72))  # cuts the third
    accepted = accept(prediction, layer, view, None)
    assert np.unique(layer.data).tolist() == [0, 7, 8, 9, 10]
    assert (layer.data[15:25, 15:25] == 7).all()
    for cy, cx in ((20, 40), (55, 20), (55, 50)):
        number = layer.data[cy, cx]
        disc = np.hypot(*(np.mgrid[:80, :100] - np.reshape((cy, cx), (2, 1, 1)))) < 8
        assert number > 7
        assert np.array_equal(layer.data == number, disc)
    assert not layer.data[:, 72:].any()
    assert "3 objects accepted" in accepted.text
    assert "1 cut by the edge of the view" in accepted.text
    assert "1 labelled already" in accepted.text
    layer.undo()
    assert np.unique(layer.data).tolist() == [0, 7]


def test_an_object_at_the_end_of_the_image_is_whole(preview_of) -> None:
    tile = preview_of(discs(), ((0, 80), (0, 100)))
    prediction = predicted(tile, (80, 100), "YX", "instances")
    layer = Labels(np.zeros((80, 100), np.uint16))
    accepted = accept(prediction, layer, ((0, 80), (0, 100)), None)
    assert "6 objects accepted" in accepted.text
    assert layer.data[55, 99] > 0


def test_an_object_of_which_the_rest_is_not_predicted_is_cut(preview_of) -> None:
    tile = preview_of(discs(), ((0, 80), (0, 100)), box=((0, 80), (0, 70)))
    prediction = predicted(tile, (80, 100), "YX", "instances")
    layer = Labels(np.zeros((80, 100), np.uint16))
    accepted = accept(prediction, layer, ((0, 80), (0, 100)), None)
    assert "4 objects accepted. 1 cut" in accepted.text


def test_background_is_learnt_where_something_else_means_not_labelled(
    preview_of,
) -> None:
    tile = preview_of(discs(), ((0, 80), (0, 100)))
    prediction = predicted(tile, (80, 100), "YX", "instances")
    layer = Labels(np.full((80, 100), 3, np.uint16))
    accept(prediction, layer, ((0, 80), (0, 72)), 3)
    assert np.unique(layer.data).tolist() == [0, 1, 2, 3, 4, 5]
    assert layer.data[20, 70] == 3  # the cut one is still not labelled
    assert layer.data[40, 40] == 0
    assert (layer.data[:, 72:] == 3).all()


def test_objects_of_a_stack_are_whole_or_not_at_all(preview_of) -> None:
    index = np.zeros((6, 20, 20), int)
    index[1:5, 4:12, 4:12] = 1
    tile = preview_of(index, ((0, 6), (0, 20), (0, 20)))
    prediction = predicted(tile, (6, 20, 20), "ZYX", "instances")
    layer = Labels(np.zeros((6, 20, 20), np.uint8))
    plane = accept(prediction, layer, ((2, 3), (0, 20), (0, 20)), None)
    assert plane.n_pixels == 0
    assert "3-D view" in plane.text
    assert accept(prediction, layer, ((0, 6), (0, 20), (0, 20)), None).n_pixels == 256


def test_what_cannot_be_painted_on_is_refused(preview_of) -> None:
    tile = preview_of(np.ones((20, 20), int), ((0, 20), (0, 20)))
    prediction = predicted(tile, (20, 20), "YX")
    view = ((0, 20), (0, 20))
    sizes = Labels([np.zeros((20, 20), int), np.zeros((10, 10), int)], multiscale=True)
    with pytest.raises(LabelsError, match="painted on"):
        accept(prediction, sizes, view, 0)
    with pytest.raises(LabelsError, match="shape"):
        accept(prediction, Labels(np.zeros((20, 30), int)), view, 0)


def test_numbers_that_do_not_fit_are_refused(preview_of) -> None:
    tile = preview_of(discs(), ((0, 80), (0, 100)))
    prediction = predicted(tile, (80, 100), "YX", "instances")
    layer = Labels(np.zeros((80, 100), np.uint8))
    layer.data[79, 0] = 254
    with pytest.raises(LabelsError, match="uint8 ends at 255"):
        accept(prediction, layer, ((0, 80), (0, 100)), None)
    assert np.count_nonzero(layer.data) == 1
