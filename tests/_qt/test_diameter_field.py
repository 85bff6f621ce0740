"""The size of objects in the Segment panel: chosen, drawn, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conftest import threshold_model
from mouse import Mouse
from napari_unetpp import segment
from napari_unetpp.io import save_model
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget

    Wait = Callable[[SegmentWidget], None]

PANEL = ("napari-unetpp", "UNet++: segment")


@pytest.fixture
def knowing(tmp_path: Path) -> Path:
    """The file of a model that has learnt objects of 6 pixels."""
    model = threshold_model()
    config = model.config.model_copy(update={"diameter": 6.0})
    return save_model(Model(model.network, config), tmp_path / "knowing.safetensors")


@pytest.fixture
def panel(viewer: Viewer, knowing: Path, squares: Any, qtbot: Any) -> SegmentWidget:
    """The panel over squares of 12 pixels, which are 6 micrometres."""
    viewer.add_image(
        squares(), name="cells", scale=(0.5, 0.5), units=("micrometer", "micrometer")
    )
    _, opened = viewer.window.add_plugin_dock_widget(*PANEL)
    opened.form.models.choose(str(knowing))
    qtbot.waitUntil(lambda: "of 6 px" in opened.form.model_text.text(), timeout=120_000)
    return opened


def test_layers_lie_on_the_pixels_of_the_image(
    viewer: Viewer, panel: SegmentWidget, knowing: Path, wait_for_end: Wait
) -> None:
    image = viewer.layers["cells"]
    panel.form.diameter.show_value(12.0)
    panel.segment_whole()
    wait_for_end(panel)
    assert "objects of 12 px" in panel.run_bar.text.text()
    expected = segment(image.data, knowing, device="cpu", diameter=12)
    values = {
        "labels": expected.labels,
        "mean": expected.prediction.foreground,
        "head 2": expected.prediction.head_foreground[1],
        "uncertainty": expected.prediction.uncertainty,
    }
    for kind, wanted in values.items():
        layer = viewer.layers[f"cells | {kind}"]
        np.testing.assert_allclose(layer.data, np.asarray(wanted), atol=1e-3)
        np.testing.assert_array_equal(layer.scale, image.scale)
        np.testing.assert_array_equal(layer.translate, image.translate)


def test_saved_results_lie_on_the_pixels_of_the_image(
    viewer: Viewer, panel: SegmentWidget, tmp_path: Path, wait_for_end: Wait
) -> None:
    image = viewer.layers["cells"]
    panel.form.diameter.show_value("6 um")
    panel.form.folder_choice.choose(tmp_path / "results")
    panel.segment_whole()
    wait_for_end(panel)
    for layer in viewer.layers:
        assert tuple(layer.data.shape) == image.data.shape
        np.testing.assert_allclose(layer.scale, image.scale)
        np.testing.assert_allclose(layer.translate, image.translate)
    assert viewer.layers["cells | labels"].data.max() == 20


def test_a_line_that_is_drawn_gives_the_diameter(
    viewer: Viewer, panel: SegmentWidget, qtbot: Any
) -> None:
    field = panel.form.diameter
    viewer.layers.selection.active = viewer.layers["cells"]
    field.measure.setChecked(True)
    assert viewer.layers.selection.active.mode == "add_line"
    mouse = Mouse(viewer, qtbot)
    mouse.press(0)
    for right in (10, 20, 30, 40):
        mouse.drag(right)
    mouse.release(40)
    qtbot.waitUntil(lambda: field.value is not None, timeout=10_000)
    pixels = 40 / viewer.scene.camera.zoom / 0.5
    assert field.value == pytest.approx(pixels, rel=0.1)
    assert not field.measure.isChecked()
    assert viewer.layers.selection.active == viewer.layers["cells"]
    assert panel.form.settings.diameter == field.value


def test_values_are_shown_and_told(panel: SegmentWidget) -> None:
    field = panel.form.diameter
    for value in (None, "auto", 24.0, "12 um"):
        field.show_value(value)
        assert field.value == value
        assert panel.form.settings.diameter == value
    field.show_value("500 nm")
    assert field.value == "0.5 um"


def test_a_model_that_does_not_know_its_size_is_told_of(
    viewer: Viewer, squares: Any, open_panel: Callable[[Viewer], SegmentWidget]
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    panel.form.diameter.show_value(20.0)
    assert "does not say how large" in panel.form.problem
    assert not panel.whole_button.isEnabled()
    panel.form.diameter.show_value(None)
    assert panel.whole_button.isEnabled()
