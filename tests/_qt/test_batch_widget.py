"""The Batch panel in a real viewer: a folder in, a line for each image, results out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_unetpp import api
from napari_unetpp._napari import BatchItem, Progress, RowDone
from napari_unetpp._qt._batch_table import IMAGE, RESULT, STATE, BatchRow, BatchTable
from napari_unetpp._qt._run_bar import RunBar

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari import Viewer

    from napari_unetpp._qt._batch_widget import BatchWidget

PANEL = ("napari-unetpp", "UNet++: batch")


@pytest.fixture
def folder(tmp_path: Path, squares: Callable[..., np.ndarray]) -> Path:
    """Two images of squares and a file that is none."""
    place = tmp_path / "plate"
    place.mkdir()
    tifffile.imwrite(place / "a.tif", squares((80, 120)))
    (place / "b.tif").write_bytes(b"no image")
    tifffile.imwrite(place / "c.tif", squares((160, 120)))
    return place


@pytest.fixture
def panel(viewer: Viewer, qtbot: Any, model_file: Path) -> BatchWidget:
    """The panel as napari opens it, with the small model."""
    _, made = viewer.window.add_plugin_dock_widget(*PANEL)
    made.form.models.choose(str(model_file))
    qtbot.waitUntil(lambda: "objects" in made.form.model_text.text(), timeout=60_000)
    return made


def texts(panel: BatchWidget, column: int = STATE) -> list[str]:
    """Return what a column of the table shows."""
    rows = panel.table.model_rows
    role = Qt.ItemDataRole.DisplayRole
    return [rows.data(rows.index(i, column), role) for i in range(rows.rowCount())]


def finish(panel: BatchWidget, qtbot: Any) -> None:
    """Wait for the end of a run."""
    qtbot.waitUntil(lambda: not panel.is_running, timeout=60_000)


def test_a_folder_is_segmented_and_a_result_opens_with_one_click(
    panel: BatchWidget, viewer: Viewer, qtbot: Any, folder: Path
) -> None:
    assert not panel.start_button.isEnabled()
    panel.images.add_paths([folder])
    qtbot.waitUntil(lambda: len(panel.images.items) == 3, timeout=20_000)
    assert texts(panel, IMAGE) == ["a", "b", "c"]
    assert panel.form.folder == folder / "segmented"
    qtbot.mouseClick(panel.start_button, Qt.MouseButton.LeftButton)
    assert not panel.form.isEnabled()
    finish(panel, qtbot)
    assert texts(panel) == ["6 objects", "failed", "12 objects"]
    assert "2 of 3 images are done" in panel.run_bar.text.text()
    assert "1 failed" in panel.run_bar.text.text()
    panel.table.selectRow(1)
    assert "b.tif is not an image" in panel.images.detail.text()
    assert texts(panel, RESULT) == ["Open", "", "Open"]
    panel.table.clicked.emit(panel.table.model_rows.index(2, RESULT))
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    assert [layer.name for layer in viewer.layers] == ["c", "c | labels"]
    labels = viewer.layers["c | labels"]
    assert labels.data.max() == 12
    made = labels.metadata["napari_unetpp"]
    assert made["model"] == "small"
    assert made["version"]
    assert made["made"]["mode"] == "accurate"
    panel.open_result(0)
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=20_000)
    assert not labels.visible  # it lies where the other one does
    panel.open_result(2)
    qtbot.waitUntil(lambda: labels.visible, timeout=20_000)
    assert len(viewer.layers) == 4


def test_layers_are_segmented_and_become_a_recipe(
    panel: BatchWidget,
    viewer: Viewer,
    qtbot: Any,
    folder: Path,
    tmp_path: Path,
    squares: Callable[..., np.ndarray],
) -> None:
    viewer.add_image(squares((80, 120)), name="mine", scale=(0.5, 0.5))
    panel.images.add_layers(viewer.layers)
    panel.images.add_items([BatchItem.of_file(folder / "c.tif")])
    panel.form.folder_choice.choose(tmp_path / "out")
    panel.recipes.save(tmp_path / "all of it.yaml")
    qtbot.waitUntil(lambda: "Saved" in panel.run_bar.text.text(), timeout=20_000)
    assert f"run '{tmp_path / 'all of it.yaml'}'" in panel.run_bar.text.text()
    panel.start()
    finish(panel, qtbot)
    assert texts(panel) == ["6 objects", "12 objects"]
    recipe = api.load_recipe(tmp_path / "all of it.yaml")
    again = api.run_recipe(recipe, output=tmp_path / "again")
    assert [one.n_objects for one in again.segmentations] == [6, 12]
    for name, other in (("mine", "image-1"), ("c", "c")):
        ours = tifffile.imread(tmp_path / "out" / f"{name}_labels.tif")
        theirs = tifffile.imread(tmp_path / "again" / f"{other}_labels.tif")
        assert np.array_equal(ours, theirs)
    panel.recipes.load(tmp_path / "all of it.yaml")
    qtbot.waitUntil(lambda: "is loaded" in panel.run_bar.text.text(), timeout=20_000)
    assert texts(panel, IMAGE) == ["image-1", "c"]
    assert panel.form.settings == recipe.settings
    assert panel.form.kinds == ("labels",)


def test_a_run_is_stopped_and_goes_on(
    panel: BatchWidget, qtbot: Any, folder: Path, squares: Callable[..., np.ndarray]
) -> None:
    (folder / "b.tif").unlink()
    tifffile.imwrite(folder / "d.tif", squares((700, 700)))
    panel.images.add_paths([folder])
    qtbot.waitUntil(lambda: len(panel.images.items) == 3, timeout=20_000)
    panel.form.advanced.fields["tile"].setValue(64)
    panel.start()
    rows = panel.table.model_rows
    qtbot.waitUntil(lambda: rows.rows[2].speed > 0, timeout=60_000)
    panel.stop()
    finish(panel, qtbot)
    assert rows.rows[2].state == "stopped"
    assert panel.start_button.text() == "Go on"
    panel.start()
    finish(panel, qtbot)
    assert [row.state for row in rows.rows] == ["done"] * 3
    assert texts(panel)[0] == "6 objects"  # as it was told when it was done
    assert "2 of them were so before" in panel.run_bar.text.text()


def test_mistakes_are_told_in_the_panel(
    panel: BatchWidget, qtbot: Any, folder: Path, tmp_path: Path
) -> None:
    assert panel.run_bar.text.text() == "Add images first"
    panel.images.add_items([BatchItem.of_file(folder / "a.tif")])
    assert "choose a folder" in panel.run_bar.text.text().lower()
    panel.form.folder_choice.choose(tmp_path / "out")
    assert panel.run_bar.text.text() == ""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_labels.tif").write_bytes(b"by somebody else")
    panel.start()
    finish(panel, qtbot)
    assert "a_labels.tif: exists already" in panel.run_bar.text.text()
    panel.form.overwrite.setChecked(True)
    assert panel.run_bar.text.text() == ""
    panel.start()
    finish(panel, qtbot)
    assert texts(panel) == ["6 objects"]


def test_the_panel_fits_a_small_screen(panel: BatchWidget) -> None:
    long = "a name that is longer than most names of images are.tif"
    panel.images.add_items([BatchItem.of_file(Path(long))])
    panel.table.model_rows.put(0, panel.table.row_at(0).failed("for a reason " * 9))
    panel.table.selectRow(0)
    panel.run_bar.stop("a long message " * 12, error=True)
    hint = panel.minimumSizeHint()
    assert hint.width() <= 330
    assert hint.height() <= 560


def test_a_row_tells_speed_and_time() -> None:
    row = BatchRow(BatchItem.of_file(Path("a.tif"))).begun(4_000_000)
    assert (row.state, row.seconds) == ("running", None)
    row = row.at(Progress("predict", 1, 4, 0.5, 0, 4_000_000))
    assert (row.text, row.speed, row.seconds) == ("predict 25%", 2e6, 1.5)
    assert row.stopped().text == "stopped at predict 25%"
    done = row.ended(RowDone(0, "7 objects", {"labels": Path("a_labels.tif")}, 2.0))
    assert (done.text, done.speed, done.seconds) == ("7 objects", 2e6, 2.0)
    again = done.waiting().ended(RowDone(0, "up to date", {}, 0.1, up_to_date=True))
    assert again.text == "up to date"
    assert done.begun(4).ended(RowDone(0, "up to date", {}, 0, up_to_date=True)).done


def test_the_table_is_used_by_keyboard(qtbot: Any) -> None:
    table = BatchTable()
    qtbot.addWidget(table)
    items = [BatchItem.of_file(Path(name)) for name in ("a.tif", "b.tif", "a.tif")]
    assert table.model_rows.add(items) == 2  # none twice
    done = RowDone(1, "7 objects", {}, 2.0)
    table.model_rows.put(1, table.row_at(1).ended(done))
    table.selectRow(1)
    with qtbot.waitSignal(table.opened) as opened:
        qtbot.keyClick(table, Qt.Key.Key_Return)
    assert opened.args == [1]
    with qtbot.waitSignal(table.removed) as removed:
        qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert removed.args == [[1]]


def test_a_bar_for_all_images(qtbot: Any) -> None:
    from napari_unetpp._napari import RowBegun, RowProgress
    from napari_unetpp._qt._batch_progress import BatchProgress

    table, bar = BatchTable(), RunBar()
    qtbot.addWidget(table)
    qtbot.addWidget(bar)
    table.model_rows.add([BatchItem.of_file(Path(name)) for name in "abcd"])
    progress = BatchProgress(table)
    progress.start(100.0)
    bar.start("")
    progress.take(RowBegun(0, 100))
    progress.take(RowDone(0, "1 object", {}, 10.0))
    progress.take(RowBegun(1, 100))
    progress.take(RowProgress(1, Progress("predict", 1, 2, 1.0, 0, 100)))
    progress.show_in(bar, 115.0)
    assert bar.text.text() == "Image 2 of 4 · about 0:25 left"
    assert bar.bar.value() == 150
