"""Camera and sliders go to a place."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unetpp._napari._going import go_to
from napari_unetpp._napari._source import read_layer
from napari_unetpp._napari._view import visible_view
from napari_unetpp.inference import Place


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def test_planes_and_camera_move(make_napari_viewer, qtbot) -> None:
    viewer = make_napari_viewer(show=True)  # only what is drawn has a visible region
    layer = viewer.add_image(
        np.zeros((3, 2, 5, 300, 400), np.uint8),
        scale=(1, 1, 3, 0.5, 0.5),
        translate=(0, 0, 10, 0, 0),
        units=("s", "pixel", "um", "um", "um"),
    )
    viewer.add_image(np.zeros((300, 400), np.uint8), name="another")
    place = Place(0, ((2, 3), (4, 5), (200, 264), (300, 364)), (2, 4, 210, 350), 1.0)
    viewer.dims.set_current_step(1, 1)
    go_to(viewer, layer, place, "TCZYX")
    assert viewer.dims.current_step[:3] == (2, 1, 4)
    assert np.allclose(viewer.scene.camera.center[-2:], (231.5 / 2, 331.5 / 2))
    qtbot.wait(300)
    source = read_layer(layer).with_axes("TCZYX")
    view = visible_view(viewer, layer, source, 2)
    assert view.loop == (2, 4)
    for (start, stop), (low, high) in zip(view.region, place.box[2:], strict=True):
        assert start <= low
        assert high <= stop
    assert view.region[0][1] - view.region[0][0] < 200  # it came nearer


def test_a_zoom_that_shows_the_place_stays(viewer) -> None:
    layer = viewer.add_image(np.zeros((300, 400), np.uint8))
    place = Place(0, ((100, 164), (100, 164)), (120, 120), 1.0)
    go_to(viewer, layer, place, "YX")
    zoom = viewer.scene.camera.zoom
    go_to(viewer, layer, place, "YX")
    assert viewer.scene.camera.zoom == zoom
    viewer.scene.camera.zoom = zoom * 1.3
    go_to(viewer, layer, place, "YX")
    assert viewer.scene.camera.zoom == zoom * 1.3
    viewer.scene.camera.zoom = zoom * 100
    go_to(viewer, layer, place, "YX")
    assert viewer.scene.camera.zoom == pytest.approx(zoom)


def test_a_place_in_depth(viewer) -> None:
    layer = viewer.add_image(np.zeros((20, 60, 80), np.uint8), scale=(2, 1, 1))
    place = Place(0, ((4, 12), (10, 30), (40, 60)), (7, 15, 50), 1.0)
    go_to(viewer, layer, place, "ZYX", spatial_dims=3)
    assert viewer.dims.current_step[0] == 7
    viewer.dims.ndisplay = 3
    go_to(viewer, layer, place, "ZYX", spatial_dims=3)
    assert np.allclose(viewer.scene.camera.center, (14, 19.5, 49.5))
