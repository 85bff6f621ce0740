"""A run follows what the user looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QObject

from napari_unetpp._napari import Progress, SegmentRequest, read_layer, visible_view
from napari_unetpp._qt._view_follower import ViewFollower
from napari_unetpp.config import PredictionConfig
from napari_unetpp.tiling import Focus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget

    Open = Callable[[Viewer], SegmentWidget]


@pytest.fixture
def parent() -> QObject:
    """What a follower belongs to."""
    return QObject()


def request_for(layer: Any) -> SegmentRequest:
    """Return a request to segment all of a layer."""
    return SegmentRequest(
        source=read_layer(layer),
        channel=None,
        model="nuclei",
        settings=PredictionConfig(),
        view=None,
        focus=Focus(),
        heads=True,
        inside=None,
        folder=None,
        spare_cores=1,
    )


def test_focus_goes_where_camera_and_sliders_rest(
    viewer: Viewer, parent: QObject, qtbot: Any
) -> None:
    layer = viewer.add_image(np.zeros((5, 400, 500), np.uint8))
    follower, request = ViewFollower(viewer, parent), request_for(layer)
    follower.follow(request, layer, 2)
    viewer.scene.camera.zoom *= 6
    viewer.dims.set_current_step(0, 4)
    qtbot.waitUntil(lambda: request.focus.box is not None)
    box = request.focus.box
    assert box == visible_view(viewer, layer, request.source, 2).box
    assert box[0] == (4, 5)
    viewer.scene.camera.center = (0, 50, 50)
    qtbot.waitUntil(lambda: request.focus.box != box)
    assert request.focus.box[1][0] < box[1][0]


def test_focus_stays_when_nobody_follows_or_the_image_is_gone(
    viewer: Viewer, parent: QObject, qtbot: Any
) -> None:
    layer = viewer.add_image(np.zeros((400, 500), np.uint8))
    follower, request = ViewFollower(viewer, parent), request_for(layer)
    follower.follow(request, layer, 2)
    viewer.layers.remove(layer)
    viewer.scene.camera.zoom *= 2
    qtbot.wait(400)
    assert request.focus.box is None
    follower.stop()
    viewer.scene.camera.zoom *= 2
    qtbot.wait(400)
    assert request.focus.box is None


def test_tiles_in_view_come_next(
    squares: Callable[..., np.ndarray],
    viewer: Viewer,
    open_panel: Open,
    tmp_path: Path,
    qtbot: Any,
) -> None:
    layer = viewer.add_image(squares((1600, 1600)), name="cells")
    panel = open_panel(viewer)
    panel.form.advanced.fields["tile"].setValue(64)
    viewer.scene.camera.zoom *= 10
    viewer.scene.camera.center = (0, 200, 200)
    qtbot.waitUntil(lambda: layer.corner_pixels[1].max() < 400)
    panel.segment_whole()
    boxes: list[Any] = []

    def hear(sent: Any) -> None:
        if isinstance(sent.event, Progress) and sent.event.box is not None:
            boxes.append(sent.event.box)

    panel._worker.yielded.connect(hear)
    qtbot.waitUntil(lambda: len(boxes) > 3, timeout=60_000)
    viewer.scene.camera.center = (0, 1400, 1400)
    qtbot.waitUntil(lambda: boxes[-1][0][0] > 1000, timeout=60_000)
    assert panel.run_bar.bar.value() < 200  # of 625: they were not the last
    panel.cancel()
    qtbot.waitUntil(lambda: not panel.is_busy, timeout=60_000)


def test_what_an_earlier_mode_gave_is_set_aside(
    squares: Callable[..., np.ndarray],
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Callable[[SegmentWidget], None],
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    for mode in (0, 1):
        panel.form.how.fields["mode"].setCurrentIndex(mode)
        panel.segment_view()
        wait_for_end(panel)
    kinds = {layer.name: layer.visible for layer in viewer.layers}
    older = [name for name in kinds if name.endswith(" (older)")]
    assert older == [
        f"cells (view) | {kind} (older)" for kind in ("uncertainty", "head 1", "mean")
    ]
    assert not any(kinds[name] for name in older)
    panel.form.how.fields["mode"].setCurrentIndex(0)
    panel.segment_view()
    wait_for_end(panel)
    assert len(viewer.layers) == 6
    assert not any("older" in layer.name for layer in viewer.layers)


def test_button_says_what_there_is(
    squares: Callable[..., np.ndarray], viewer: Viewer, open_panel: Open
) -> None:
    viewer.add_image(squares())
    panel = open_panel(viewer)
    assert panel.whole_button.text() == "Whole image"
    stack = viewer.add_image(squares((3, 50, 50)))
    panel.form.layers.choose(stack)
    assert panel.whole_button.text() == "Whole stack"
    panel.form.axes_field.setText("CYX")
    assert panel.whole_button.text() == "Whole image"
