"""Layers of a live prediction, beside a user who paints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from mouse import Mouse
from napari_unetpp._napari import _training_layers, is_result
from napari_unetpp._napari._source import read_layer
from napari_unetpp._napari._training_layers import PreviewLayers

COLOURS = ("#ff0000", "#00ff00", "#0000ff")
VALUES = (1, 2, 5)


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer without a window, which is much faster."""
    return ViewerModel()


@pytest.fixture(autouse=True)
def _draw_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training_layers, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(_training_layers, "REDRAW_SHARE", 1e9)


def set_up(
    viewer: ViewerModel, shape: tuple[int, ...] = (40, 50), **options: Any
) -> Any:
    """Show an image and labels of it, and return the layers of a preview."""
    image = viewer.add_image(np.zeros(shape, np.float32), name="cells", **options)
    labels = viewer.add_labels(np.zeros(shape, np.uint8), name="strokes", **options)
    labels.mode = "paint"
    axes = "TZYX"[-len(shape) :]
    source = read_layer(image).with_axes(axes)
    return PreviewLayers(viewer, [source], VALUES, COLOURS, "classes"), labels


def drawn(layers: PreviewLayers) -> None:
    while layers.step():
        pass


def index_map(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 3, shape)


def test_classes_appear_below_the_labels_in_their_colours(viewer, preview_of) -> None:
    layers, labels = set_up(viewer, scale=(0.5, 0.25), units="um", translate=(3, 4))
    index = index_map(40, 50)
    layers.show(preview_of(index, ((0, 40), (0, 50))))
    drawn(layers)
    assert [la.name for la in viewer.layers] == [
        "cells",
        "cells | preview of classes",
        "cells | preview uncertainty",
        "strokes",
    ]
    shown = viewer.layers["cells | preview of classes"]
    assert np.array_equal(shown.data, np.array(VALUES)[index])
    assert np.allclose(shown.get_color(5), (0, 0, 1, 1))
    assert shown.opacity < labels.opacity
    for layer in list(viewer.layers)[1:3]:
        assert np.allclose(layer.scale, (0.5, 0.25))
        assert np.allclose(layer.translate, (3, 4))
        assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
        assert is_result(layer)
    assert not viewer.layers["cells | preview uncertainty"].visible
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"


def test_a_stroke_goes_on_while_layers_come_and_move(
    make_napari_viewer, preview_of, qtbot
) -> None:
    viewer = make_napari_viewer(show=True)
    layers, labels = set_up(viewer)
    labels.brush_size = 1
    qtbot.wait(200)
    mouse = Mouse(viewer, qtbot)

    def show() -> None:
        layers.show(preview_of(index_map(40, 50), ((0, 40), (0, 50))))
        drawn(layers)

    mouse.press(-100)
    mouse.drag(-50)
    show()
    assert len(viewer.layers) == 4
    mouse.drag(0)
    show()
    mouse.drag(100)
    mouse.release(100)
    (row,) = np.flatnonzero(labels.data.any(axis=1))
    painted = np.flatnonzero(labels.data[row])
    assert len(painted) > 10
    assert np.array_equal(painted, np.arange(painted[0], painted[-1] + 1))
    assert labels.mode == "paint"
    labels.undo()
    assert not labels.data.any()


def test_a_view_of_a_large_image_is_followed(viewer, preview_of, monkeypatch) -> None:
    monkeypatch.setattr(_training_layers, "MOST_SHOWN", 400)
    layers, _ = set_up(viewer, scale=(2, 2))
    index = index_map(40, 50)
    layers.show(preview_of(index, ((0, 20), (10, 30))))
    drawn(layers)
    shown = viewer.layers["cells | preview of classes"]
    assert np.allclose(shown.translate, (0, 20))
    layers.show(preview_of(index, ((10, 30), (10, 30)), box=((20, 30), (10, 30))))
    drawn(layers)
    assert viewer.layers["cells | preview of classes"] is shown
    assert np.allclose(shown.translate, (20, 20))
    assert np.array_equal(shown.data, np.array(VALUES)[index[10:30, 10:30]])
    hidden = viewer.layers["cells | preview uncertainty"]
    assert np.allclose(hidden.translate, (20, 20))
    assert hidden.data.shape == (20, 20)


def test_a_large_view_is_thinned_and_lies_right(
    viewer, preview_of, monkeypatch
) -> None:
    from napari_unetpp._napari import _preview_arrays

    for module in (_training_layers, _preview_arrays):
        monkeypatch.setattr(module, "MOST_SHOWN", 500)
    layers, labels = set_up(viewer, scale=(2, 2))
    layers.show(preview_of(index_map(40, 50), ((0, 40), (0, 50))))
    drawn(layers)
    shown = viewer.layers["cells | preview of classes"]
    assert shown.data.shape == (20, 25)
    assert np.allclose(shown.extent.world[0], labels.extent.world[0] + 1)
    assert np.allclose(shown.extent.world[1], labels.extent.world[1] - 1)


@pytest.mark.parametrize("loop", [(1, 2), (0, 4)])
def test_planes_of_a_time_series(viewer, preview_of, loop) -> None:
    layers, _ = set_up(viewer, (2, 5, 40, 50), scale=(1, 3, 0.5, 0.5))
    layers.show(preview_of(index_map(40, 50), ((0, 40), (0, 50)), loop))
    drawn(layers)
    shown = viewer.layers["cells | preview of classes"]
    assert shown.data.shape == (1, 1, 40, 50)
    assert np.allclose(shown.translate, (loop[0], 3 * loop[1], 0, 0))
    assert np.allclose(shown.scale, (1, 3, 0.5, 0.5))


def test_a_stack_in_depth(viewer, preview_of) -> None:
    layers, _ = set_up(viewer, (4, 20, 20), scale=(3, 1, 1))
    index = index_map(4, 20, 20)
    index[index == 0] = 1  # most are of the second class
    region = ((0, 4), (0, 20), (0, 20))
    layers.show(preview_of(index, region))
    drawn(layers)
    viewer.dims.ndisplay = 3
    shown = viewer.layers["cells | preview of classes"]
    assert np.array_equal(shown.data, np.array(VALUES)[index])
    layers.show(preview_of(index, region))
    assert shown.get_color(2)[3] == 0  # it would hide the others
    assert np.allclose(shown.get_color(5), (0, 0, 1, 1))
    layers.show(preview_of(index, ((1, 2), (0, 20), (0, 20))))
    drawn(layers)
    assert shown.data.shape == (4, 20, 20)
    assert shown.get_color(2)[3] == 1  # in a plane it does not


def test_channels_have_no_part_in_it(viewer, preview_of) -> None:
    image = viewer.add_image(np.zeros((3, 40, 50)), name="cells", scale=(1, 2, 2))
    source = read_layer(image).with_axes("CYX")
    layers = PreviewLayers(viewer, [source], VALUES, (), "classes")
    layers.show(preview_of(index_map(40, 50), ((0, 40), (0, 50))))
    drawn(layers)
    shown = viewer.layers["cells | preview of classes"]
    assert shown.data.shape == (40, 50)
    assert np.allclose(shown.scale, (2, 2))
    behind = viewer.add_image(np.zeros((2, 3, 40, 50)), name="film")
    source = read_layer(behind).with_axes("TCYX")
    layers = PreviewLayers(viewer, [source], VALUES, (), "classes")
    layers.show(preview_of(index_map(40, 50), ((0, 40), (0, 50)), (1,)))
    drawn(layers)
    shown = viewer.layers["film | preview of classes"]
    assert shown.data.shape == (1, 1, 40, 50)
    assert (shown.scale[1], shown.translate[1]) == (3, 1)  # over all channels


def test_objects_are_shown_as_foreground(viewer, preview_of) -> None:
    _, labels = set_up(viewer)
    source = read_layer(viewer.layers["cells"])
    layers = PreviewLayers(viewer, [source], (0, 1, 2), (), "instances")
    index = index_map(40, 50)
    layers.show(preview_of(index, ((0, 40), (0, 50))))
    drawn(layers)
    shown = viewer.layers["cells | preview of objects"]
    assert np.array_equal(shown.data > 0.5, index > 0)
    assert viewer.layers.index(shown) < viewer.layers.index(labels)


def test_the_next_run_uses_the_layers_again(viewer, preview_of) -> None:
    first, _ = set_up(viewer)
    index = index_map(40, 50)
    first.show(preview_of(index, ((0, 40), (0, 50))))
    drawn(first)
    before = list(viewer.layers)
    first.clear()
    assert not viewer.layers["cells | preview of classes"].data.any()
    source = read_layer(viewer.layers["cells"])
    again = PreviewLayers(viewer, [source], VALUES, COLOURS[::-1], "classes")
    again.show(preview_of(index, ((0, 40), (0, 50))))
    drawn(again)
    assert list(viewer.layers) == before
    shown = viewer.layers["cells | preview of classes"]
    assert np.array_equal(shown.data, np.array(VALUES)[index])
    assert np.allclose(shown.get_color(5), (1, 0, 0, 1))
    other = PreviewLayers(viewer, [source], (0, 1, 2), (), "instances")
    other.show(preview_of(index, ((0, 40), (0, 50))))
    drawn(other)
    assert not shown.visible
    assert shown.name.endswith("(older)")


def test_images_of_several_kinds_take_turns(viewer, preview_of) -> None:
    film = viewer.add_image(np.zeros((3, 40, 50), np.float32), name="film")
    flat = viewer.add_image(np.zeros((40, 50), np.float32), name="flat")
    sources = [read_layer(film).with_axes("TYX"), read_layer(flat)]
    layers = PreviewLayers(viewer, sources, VALUES, COLOURS, "classes")
    index, region = index_map(40, 50), ((0, 40), (0, 50))
    for _ in range(3):
        for image, loop in ((0, (2,)), (1, ())):
            layers.show(preview_of(index, region, loop, image=image))
            drawn(layers)
            name = sources[image].name
            shown = viewer.layers[f"{name} | preview of classes"]
            assert shown.visible
            assert shown.data.shape == (1,) * len(loop) + (40, 50)
            assert np.array_equal(np.squeeze(shown.data), np.array(VALUES)[index])
    assert len(viewer.layers) == 6
    assert not viewer.layers["film | preview of classes (older)"].visible


def test_a_prediction_lies_over_its_image(viewer, preview_of) -> None:
    _, labels = set_up(viewer)
    upper = viewer.add_image(np.zeros((40, 50), np.float32), name="upper")
    viewer.layers.selection.active = labels
    sources = [read_layer(viewer.layers[name]) for name in ("cells", "upper")]
    layers = PreviewLayers(viewer, sources, VALUES, COLOURS, "classes")
    index, region = index_map(40, 50), ((0, 40), (0, 50))
    for image in (0, 1):
        layers.show(preview_of(index, region, image=image))
        drawn(layers)
    shown = viewer.layers["upper | preview of classes"]
    assert viewer.layers.index(shown) > viewer.layers.index(upper)
    assert viewer.layers.selection.active is labels


def test_a_layer_that_was_taken_away_does_not_come_back(viewer, preview_of) -> None:
    layers, _ = set_up(viewer)
    tile = preview_of(index_map(40, 50), ((0, 40), (0, 50)))
    layers.show(tile)
    drawn(layers)
    viewer.layers.remove("cells | preview of classes")
    layers.show(tile)
    drawn(layers)
    layers.clear()
    assert "cells | preview of classes" not in viewer.layers


def test_a_class_more_is_shown_once_it_is_told_of(viewer, preview_of) -> None:
    layers, _ = set_up(viewer)
    region = ((0, 40), (0, 50))
    layers.show(preview_of(index_map(40, 50), region))
    drawn(layers)
    shown = viewer.layers["cells | preview of classes"]
    four = preview_of(np.full((40, 50), 3), region, n_classes=4)
    layers.show(four)
    assert 9 not in shown.data
    layers.set_classes((*VALUES, 9), (*COLOURS, "#ffff00"))
    layers.show(four)
    drawn(layers)
    assert (shown.data == 9).all()
    assert np.allclose(shown.get_color(9), (1, 1, 0, 1))


def test_redrawing_is_rare(viewer, preview_of, monkeypatch) -> None:
    layers, _ = set_up(viewer)
    region = ((0, 40), (0, 50))
    layers.show(preview_of(index_map(40, 50), region))
    drawn(layers)
    shown = viewer.layers["cells | preview of classes"]
    monkeypatch.setattr(_training_layers, "REDRAW_SECONDS", 60.0)
    redraws = []
    shown.events.set_data.connect(lambda event: redraws.append(event))
    index = index_map(40, 50)
    for column in range(10):
        box = ((0, 40), (5 * column, 5 * column + 5))
        layers.show(preview_of(index, region, box=box, done=False))
    assert len(redraws) == 1
    layers.show(preview_of(index, region))
    assert len(redraws) == 2
