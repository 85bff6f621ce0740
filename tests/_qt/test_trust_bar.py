"""Before a run: the buttons of both panels, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari import BatchItem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget


def test_what_is_told_before_an_image_is_segmented(
    viewer: Viewer,
    open_panel: Callable[[Viewer], SegmentWidget],
    qtbot: Any,
    squares: Callable[..., np.ndarray],
) -> None:
    viewer.add_image(squares((2, 160, 400)), name="movie")
    panel = open_panel(viewer)
    said = panel.run_bar.text
    panel.trust.estimate_button.click()
    assert not panel.trust.seams_button.isEnabled()
    qtbot.waitUntil(lambda: not panel.trust.is_running, timeout=60_000)
    assert said.text().startswith("movie:\nCPU")
    assert "about" in said.text()
    panel.trust.seams_button.click()
    qtbot.waitUntil(lambda: not panel.trust.is_running, timeout=60_000)
    assert "No seam: the largest difference of a probability is 0" in said.text()
    assert len(viewer.layers) == 1
    panel.form.axes_field.setText("YX")
    assert not panel.trust.isEnabled()


def test_what_is_told_before_a_batch(
    viewer: Viewer, qtbot: Any, model_file: Path, tmp_path: Path
) -> None:
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: batch")
    panel.form.models.choose(str(model_file))
    assert not panel.trust.isEnabled()
    np.save(tmp_path / "a.npy", np.eye(70))
    panel.images.add_items([BatchItem.of_file(tmp_path / "gone.tif")])
    panel.images.add_items([BatchItem.of_file(tmp_path / "a.npy")])
    panel.trust.estimate()
    qtbot.waitUntil(lambda: not panel.trust.is_running, timeout=60_000)
    assert "gone.tif: no such file" in panel.run_bar.text.text()
    assert panel.run_bar.text.styleSheet()  # it is a mistake
    panel.table.selectRow(1)
    panel.trust.estimate()
    qtbot.waitUntil(lambda: not panel.trust.is_running, timeout=60_000)
    assert panel.run_bar.text.text().startswith("a.npy:")
