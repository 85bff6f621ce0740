"""The Segment panel in the real viewer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_unetpp import segment
from napari_unetpp.io import save_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget
    from napari_unetpp.nn import Model

    Open = Callable[[Viewer], SegmentWidget]
    Wait = Callable[[SegmentWidget], None]
    Squares = Callable[..., np.ndarray]

ALL = ("labels", "mean", "head 2", "head 1", "uncertainty")


def names(viewer: Viewer) -> list[str]:
    """Return the names of all layers, the top one first."""
    return [layer.name for layer in reversed(viewer.layers)]


def test_whole_stack_gives_all_results_in_order(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    image = viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    panel.whole_button.click()
    wait_for_end(panel)
    assert names(viewer) == [*(f"cells | {kind}" for kind in ALL), "cells"]
    labels = viewer.layers["cells | labels"]
    assert labels.data.max() == 20
    assert np.array_equal(labels.data > 0, image.data > 0)
    assert "20 objects" in panel.run_bar.text.text()
    assert viewer.layers.selection.active == image


def test_layers_show_what_the_core_computes(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    model_file: Path,
) -> None:
    data = squares((3, 100, 90))
    viewer.add_image(data, name="stack")
    panel = open_panel(viewer)
    panel.form.advanced.fields["tile"].setValue(32)
    panel.segment_whole()
    wait_for_end(panel)
    found = segment(data, model_file, device="cpu")
    prediction = found.prediction
    expected = {
        "labels": found.labels,
        "mean": prediction.foreground,
        "head 1": prediction.head_foreground[0],
        "head 2": prediction.head_foreground[1],
        "uncertainty": prediction.uncertainty,
    }
    for kind, values in expected.items():
        shown = viewer.layers[f"stack | {kind}"].data
        np.testing.assert_allclose(shown, np.asarray(values), atol=1e-3)


def test_view_is_that_part_of_the_whole(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait, qtbot: Any
) -> None:
    layer = viewer.add_image(
        squares((4, 400, 400)), name="stack", scale=(3, 0.5, 0.5), translate=(1, 2, 3)
    )
    panel = open_panel(viewer)
    viewer.dims.set_current_step(0, 2)
    viewer.scene.camera.zoom *= 4
    qtbot.waitUntil(lambda: np.prod(np.ptp(layer.corner_pixels, axis=0)[1:]) < 90_000)
    panel.view_button.click()
    wait_for_end(panel)
    labels = viewer.layers["stack (view) | labels"]
    n_planes, rows, columns = labels.data.shape
    assert n_planes == 1
    assert rows * columns < 400 * 400
    first = np.round(layer.world_to_data(labels.data_to_world((0, 0, 0)))).astype(int)
    part = layer.data[2, first[1] : first[1] + rows, first[2] : first[2] + columns]
    assert first[0] == 2
    assert labels.data.any()
    assert np.array_equal(labels.data[0] > 0, part > 0)


def test_next_view_replaces_results_but_no_edited_labels(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    panel.segment_view()
    wait_for_end(panel)
    panel.segment_view()
    wait_for_end(panel)
    assert len(viewer.layers) == 6
    viewer.layers["cells (view) | labels"].paint((3, 3), 5)
    panel.segment_view()
    wait_for_end(panel)
    edited = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    assert len(edited) == 2
    assert edited[0].data[3, 3] == 5


def test_results_lie_where_their_image_lies(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    layer = viewer.add_image(
        squares((2, 60, 70)),
        name="turned",
        scale=(2, 0.5, 0.4),
        translate=(7, 8, 9),
        rotate=(0, 0, 30),
        shear=(0.1, 0.0, 0.2),
        affine=[[1, 0, 0, 3], [0, 0.8, 0.1, 0], [0, 0, 1.2, -5], [0, 0, 0, 1]],
        units=("um", "um", "um"),
        axis_labels=("Z", "Y", "X"),
    )
    panel = open_panel(viewer)
    panel.segment_whole()
    wait_for_end(panel)
    for result in viewer.layers[1:]:
        for corner in ((0, 0, 0), (1, 59, 69), (0, 20, 3)):
            np.testing.assert_allclose(
                result.data_to_world(corner), layer.data_to_world(corner)
            )
        assert result.units == layer.units
        assert result.axis_labels == layer.axis_labels


def test_colour_image(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    data = np.stack([squares()] * 3, axis=-1)
    viewer.add_image(data, name="colour", rgb=True)
    panel = open_panel(viewer)
    assert panel.form.axes_field.text() == "YXC"
    panel.segment_whole()
    wait_for_end(panel)
    assert viewer.layers["colour | labels"].data.shape == data.shape[:2]
    assert viewer.layers["colour | labels"].data.max() == 20


def test_multiscale_image_is_taken_at_full_size(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    data = squares((240, 280))
    viewer.add_image([data, data[::2, ::2]], name="pyramid")
    panel = open_panel(viewer)
    panel.segment_whole()
    wait_for_end(panel)
    assert viewer.layers["pyramid | labels"].data.shape == data.shape
    panel.segment_view()
    wait_for_end(panel)
    assert viewer.layers["pyramid (view) | labels"].data.shape[0] == 240


def test_channels_in_the_middle(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    data = np.zeros((2, 3, 2, 60, 70), np.uint8)
    data[:, :, 1] = squares((60, 70))
    layer = viewer.add_image(
        data, name="hyperstack", axis_labels=("T", "Z", "C", "Y", "X")
    )
    panel = open_panel(viewer)
    assert [panel.form.channels.itemText(i) for i in range(2)] == ["0", "1"]
    panel.form.channels.setCurrentIndex(1)
    panel.segment_whole()
    wait_for_end(panel)
    labels = viewer.layers["hyperstack | labels"]
    assert labels.data.shape == (2, 3, 1, 60, 70)
    assert np.array_equal(labels.data[:, :, 0] > 0, data[:, :, 1] > 0)
    for channel in (0, 1):  # the labels lie beside every channel
        at = labels.world_to_data(layer.data_to_world((1, 2, channel, 5, 6)))
        assert tuple(np.round(at)) == (1, 2, 0, 5, 6)


def test_three_dimensional_model(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    model_file_3d: Path,
    qtbot: Any,
) -> None:
    data = np.zeros((12, 60, 70), np.uint8)
    data[3:9] = squares((60, 70))
    viewer.add_image(data, name="volume")
    panel = open_panel(viewer)
    panel.form.models.choose(str(model_file_3d))
    qtbot.waitUntil(lambda: panel.form.spatial_dims == 3)
    panel.segment_whole()
    wait_for_end(panel)
    labels = viewer.layers["volume | labels"].data
    assert labels.max() == 2
    assert np.array_equal(labels > 0, data > 0)
    viewer.dims.set_current_step(0, 5)
    panel.segment_view()
    wait_for_end(panel)
    assert viewer.layers["volume (view) | labels"].data.shape[:2] == (1, 60)
    viewer.dims.ndisplay = 3
    panel.segment_view()
    wait_for_end(panel)
    assert viewer.layers["volume (view) | labels"].data.shape == data.shape
    panel.form.axes_field.setText("TYX")
    assert "Z" in panel.form.problem_text.text()
    assert not panel.whole_button.isEnabled()


def test_classes_keep_the_painted_values(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    tmp_path: Path,
    small_class_model: Model,
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    path = save_model(small_class_model, tmp_path / "classes.safetensors")
    panel.form.models.choose(str(path))
    panel.segment_whole()
    wait_for_end(panel)
    assert set(np.unique(viewer.layers["cells | labels"].data)) <= {3, 7}


def test_fast_mode_shows_one_head(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    panel.form.how.fields["mode"].setCurrentIndex(1)
    panel.form.how.fields["level"].setValue(1)
    panel.segment_whole()
    wait_for_end(panel)
    assert names(viewer) == ["cells | labels", "cells | head 1", "cells"]
    made = viewer.layers["cells | labels"].metadata["napari_unetpp"]
    assert made["model"] == "small"
    assert made["recipe"]["mode"] == "fast"
    assert made["recipe"]["level"] == 1


def test_without_heads_only_the_mean(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    panel.form.heads.setChecked(False)
    panel.segment_whole()
    wait_for_end(panel)
    assert names(viewer) == ["cells | labels", "cells | mean", "cells"]


def test_cancel_keeps_what_is_done(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait, qtbot: Any
) -> None:
    viewer.add_image(squares((40, 300, 300)), name="long")
    panel = open_panel(viewer)
    panel.form.advanced.fields["tile"].setValue(32)
    panel.whole_button.click()
    assert not panel.view_button.isEnabled()
    qtbot.waitUntil(lambda: panel.run_bar.bar.value() > 3, timeout=60_000)
    panel.run_bar.cancel.click()
    wait_for_end(panel)
    assert panel.run_bar.text.text().startswith("Stopped")
    assert "long | labels" not in viewer.layers
    assert viewer.layers["long | mean"].data.any()
    assert panel.whole_button.isEnabled()
    panel.segment_view()
    wait_for_end(panel)
    assert "long (view) | labels" in viewer.layers


def test_error_is_shown_in_the_panel(
    viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(np.full((50, 50), 7, np.uint8), name="flat")
    panel = open_panel(viewer)
    panel.segment_whole()
    wait_for_end(panel)
    assert "7" in panel.run_bar.text.text()
    assert names(viewer) == ["flat"]
    assert panel.whole_button.isEnabled()


def test_damaged_model_is_shown_in_the_panel(
    squares: Squares, viewer: Viewer, open_panel: Open, tmp_path: Path, qtbot: Any
) -> None:
    viewer.add_image(squares())
    panel = open_panel(viewer)
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not a model")
    panel.form.models.choose(str(path))
    qtbot.waitUntil(lambda: "broken" in panel.form.model_text.text())


def test_image_and_results_may_go_while_a_run_goes_on(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait, qtbot: Any
) -> None:
    layer = viewer.add_image(squares((6, 200, 200)), name="before")
    panel = open_panel(viewer)
    panel.form.advanced.fields["tile"].setValue(64)
    panel.segment_whole()
    qtbot.waitUntil(lambda: "before | mean" in viewer.layers, timeout=60_000)
    layer.name = "after"
    assert panel.form.layers.currentText() == "after"
    viewer.layers.remove("before | mean")
    viewer.layers.remove(layer)
    assert panel.form.layer is None
    wait_for_end(panel)
    assert viewer.layers["before | labels"].data.any()
    assert "before | mean" not in viewer.layers
    assert not panel.whole_button.isEnabled()


def test_wrong_axes_are_refused_at_once(
    squares: Squares, viewer: Viewer, open_panel: Open
) -> None:
    viewer.add_image(squares((3, 50, 50)))
    panel = open_panel(viewer)
    panel.form.axes_field.setText("YX")
    assert "YX" in panel.form.problem_text.text()
    assert not panel.whole_button.isEnabled()
    panel.form.axes_field.setText("TYX")
    assert panel.whole_button.isEnabled()


def test_results_are_not_offered_as_images(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(squares(), name="first")
    viewer.add_image(squares(), name="second")
    viewer.add_labels(squares())
    panel = open_panel(viewer)
    panel.segment_whole()
    wait_for_end(panel)
    box = panel.form.layers
    assert [box.itemText(i) for i in range(box.count())] == ["second", "first"]


def test_two_viewers_keep_apart(
    squares: Squares,
    make_napari_viewer: Callable[..., Viewer],
    open_panel: Open,
    wait_for_end: Wait,
) -> None:
    viewers = [make_napari_viewer(), make_napari_viewer()]
    panels = []
    for viewer, size in zip(viewers, (100, 160), strict=True):
        viewer.add_image(squares((size, size)), name="cells")
        panels.append(open_panel(viewer))
    for panel in panels:
        panel.segment_whole()
    for panel, viewer, size in zip(panels, viewers, (100, 160), strict=True):
        wait_for_end(panel)
        assert viewer.layers["cells | labels"].data.shape == (size, size)
        assert len(viewer.layers) == 6


def core_threads() -> list[str]:
    """Return the names of the core's threads that live."""
    return [t.name for t in threading.enumerate() if t.name.startswith("unetpp")]


def start_long_run(viewer: Viewer, panel: SegmentWidget, qtbot: Any) -> None:
    """Start a run that would take minutes, and wait until it is under way."""
    panel.form.advanced.fields["tile"].setValue(64)
    panel.segment_whole()
    qtbot.waitUntil(lambda: panel.run_bar.bar.value() > 0, timeout=60_000)
    assert core_threads()


@pytest.mark.parametrize("how", ["close panel", "close viewer"])
def test_closing_ends_the_run_and_its_threads(
    squares: Squares, viewer: Viewer, open_panel: Open, qtbot: Any, how: str
) -> None:
    viewer.add_image(squares((50, 500, 500)))
    panel = open_panel(viewer)
    start_long_run(viewer, panel, qtbot)
    if how == "close panel":
        viewer.window.remove_dock_widget(panel)
    else:
        viewer.close()
    qtbot.waitUntil(lambda: not core_threads(), timeout=20_000)


def test_closing_the_other_viewer_does_not_end_the_run(
    squares: Squares,
    make_napari_viewer: Callable[..., Viewer],
    open_panel: Open,
    wait_for_end: Wait,
    qtbot: Any,
) -> None:
    viewer, other = make_napari_viewer(show=True), make_napari_viewer(show=True)
    viewer.add_image(squares((4, 100, 100)), name="cells")
    panel = open_panel(viewer)
    panel.segment_whole()
    other.close()
    wait_for_end(panel)
    assert "cells | labels" in viewer.layers


def test_hiding_the_panel_does_not_end_the_run(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait, qtbot: Any
) -> None:
    viewer.add_image(squares((6, 200, 200)), name="cells")
    panel = open_panel(viewer)
    panel.segment_whole()
    dock = next(iter(viewer.window.dock_widgets.values())).parent()
    dock.close()
    assert not panel.isVisible()
    wait_for_end(panel)
    assert "cells | labels" in viewer.layers


def test_large_results_are_shown_in_several_sizes(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_unetpp._napari._results.LARGE_PLANE", 10_000)
    monkeypatch.setattr("napari_unetpp._napari._results.SMALL_EDGE", 60)
    data = squares((203, 187))
    viewer.add_image(data, name="large")
    panel = open_panel(viewer)
    panel.form.advanced.fields["tile"].setValue(48)
    panel.segment_whole()
    wait_for_end(panel)
    mean = viewer.layers["large | mean"]
    assert isinstance(mean, Image)
    assert mean.multiscale
    assert [level.shape for level in mean.data] == [(203, 187), (102, 94), (51, 47)]
    for k, level in enumerate(mean.data):
        step = 2**k
        assert np.array_equal(level > 0.5, data[::step, ::step] > 0)


def test_panel_fits_a_small_screen(
    squares: Squares, viewer: Viewer, open_panel: Open
) -> None:
    viewer.add_image(squares((3, 50, 50)), name="a name that is longer than most are")
    panel = open_panel(viewer)
    panel.run_bar.stop("a long message " * 12, error=True)
    hint = panel.minimumSizeHint()
    assert hint.width() <= 330
    assert hint.height() <= 560


@pytest.mark.parametrize("where", [-10_000, 10_000])
def test_image_out_of_view_is_told(
    squares: Squares, viewer: Viewer, open_panel: Open, qtbot: Any, where: int
) -> None:
    layer = viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    viewer.scene.camera.center = (0, where, where)
    qtbot.waitUntil(lambda: not np.diff(layer.corner_pixels, axis=0).any())
    panel.segment_view()
    assert not panel.is_running
    assert "no pixel of 'cells' is in view" in panel.run_bar.text.text()


def test_error_goes_when_something_is_changed(
    viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(np.full((40, 50), 7, np.uint8), name="flat")
    panel = open_panel(viewer)
    panel.segment_whole()
    wait_for_end(panel)
    assert "same value (7)" in panel.run_bar.text.text()
    panel.form.how.fields["level"].setValue(1)
    assert panel.run_bar.text.text() == ""
