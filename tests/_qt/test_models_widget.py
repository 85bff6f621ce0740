"""The Models panel in the real viewer."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QMessageBox

import packages
from napari_unetpp._napari import PreviewRequest, View, read_layer
from napari_unetpp._qt import _models_buttons, _models_widget
from napari_unetpp._qt._models_buttons import FORMATS
from napari_unetpp.io import EXPORT_SUFFIXES, load_model_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._models_widget import ModelsWidget

PANEL = ("napari-unetpp", "UNet++: models")


@pytest.fixture
def folder(
    tmp_path: Path, model_file: Path, plugin_settings: None, npe2pm: Any
) -> Path:
    """A folder of models with one in it, chosen in the preferences."""
    from napari.settings import get_plugin_settings
    from npe2 import PluginManifest

    if "napari-unetpp" not in npe2pm:
        npe2pm.register(PluginManifest.from_distribution("napari-unetpp"))
    found = tmp_path / "models"
    found.mkdir()
    shutil.copy(model_file, found / "mine.safetensors")
    get_plugin_settings("napari-unetpp").models.folder = str(found)
    return found


@pytest.fixture
def panel(qtbot: Any, viewer: Viewer, folder: Path) -> ModelsWidget:
    """The panel, once it has found the models."""
    _, found = viewer.window.add_plugin_dock_widget(*PANEL)
    qtbot.waitUntil(lambda: found.models.chosen is not None, timeout=60_000)
    return found


@pytest.fixture
def done(qtbot: Any, panel: ModelsWidget) -> Callable[[], str]:
    """Wait until nothing goes on; return what the panel says."""

    def wait() -> str:
        qtbot.waitUntil(lambda: not panel.is_running, timeout=60_000)
        return str(panel.run_bar.text.text())

    return wait


def choose(panel: ModelsWidget, name: str) -> None:
    model = next(m for m in panel.models._models.values() if m.entry.name == name)
    panel.models.choose(model.entry.model)
    assert panel.models.chosen is model


def test_models_are_shown_with_what_they_are(panel: ModelsWidget) -> None:
    groups = [
        panel.models.topLevelItem(row).text(0)
        for row in range(panel.models.topLevelItemCount())
    ]
    assert groups == ["Bundled", "Trained"]
    choose(panel, "nuclei")
    assert "19.2 px in diameter" in panel.page.facts.toPlainText()
    assert "Data Science Bowl" in panel.page.card.toPlainText()
    assert panel.page.scores.rowCount() == 5  # the mean and four heads
    assert panel.page.scores.item(1, 0).text() == "head 1"
    assert not panel.buttons.rename.isEnabled()
    assert not panel.buttons.delete.isEnabled()
    choose(panel, "mine")
    assert panel.page.scores.rowCount() == 0
    assert "nothing of its scores" in panel.page.no_scores.text()
    assert panel.buttons.rename.isEnabled()
    assert panel.buttons.export.isEnabled()


def test_a_model_is_tried_on_what_is_in_view(
    panel: ModelsWidget, viewer: Viewer, squares: Any, done: Any
) -> None:
    choose(panel, "mine")
    panel.page.preview_button.click()
    assert "no image is in view" in panel.run_bar.text.text()
    viewer.add_image(squares())
    viewer.reset_view()
    panel.page.preview_button.click()
    assert not panel.buttons.delete.isEnabled()
    assert done() == ""
    text = panel.page.preview_text.text()
    assert text.startswith("20 objects in 160 x ")
    assert panel.page.picture.pixmap().width() > 50
    assert len(viewer.layers) == 1
    choose(panel, "nuclei")
    assert "middle of what you look at" in panel.page.preview_text.text()


def test_a_preview_is_small_however_large_the_view(viewer: Viewer) -> None:
    layer = viewer.add_image(np.zeros((60, 900, 1000), np.uint8))
    view = View(((0, 60), (100, 900), (0, 300)), ())
    part = PreviewRequest(read_layer(layer), view, "m", "cpu", 1).part
    assert part.region == ((24, 36), (308, 692), (0, 300))


def test_a_model_is_renamed_in_the_list(
    panel: ModelsWidget, folder: Path, qtbot: Any, done: Any
) -> None:
    choose(panel, "mine")
    qtbot.mouseClick(panel.buttons.rename, Qt.MouseButton.LeftButton)
    editor = panel.models.findChild(QLineEdit)
    editor.setText("squares")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: panel.models.chosen.entry.name == "squares", timeout=60_000)
    assert "Renamed" in done()
    assert [path.name for path in folder.iterdir()] == ["squares.safetensors"]
    assert load_model_file(folder / "squares.safetensors").config.name == "squares"


def test_a_name_that_is_taken_is_refused(
    panel: ModelsWidget, folder: Path, done: Any
) -> None:
    choose(panel, "mine")
    panel.models.currentItem().setText(0, "nuclei")
    assert "comes with the package" in done()
    assert panel.models.currentItem().text(0) == "mine"
    assert (folder / "mine.safetensors").is_file()


def test_a_model_is_deleted_once_the_user_agrees(
    panel: ModelsWidget, folder: Path, qtbot: Any, monkeypatch: Any
) -> None:
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder.parent / "data"))  # the trash
    choose(panel, "mine")
    panel.models.setFocus()
    qtbot.keyClick(panel.models, Qt.Key.Key_Delete)
    assert (folder / "mine.safetensors").is_file()
    qtbot.mouseClick(panel.buttons.delete, Qt.MouseButton.LeftButton)
    assert not (folder / "mine.safetensors").exists()
    qtbot.waitUntil(lambda: panel.models.topLevelItemCount() == 1, timeout=60_000)
    assert panel.models.chosen.entry.origin == "bundled"


def test_a_model_goes_out_and_one_of_others_comes_in(
    panel: ModelsWidget, tmp_path: Path, qtbot: Any, done: Any, monkeypatch: Any
) -> None:
    dialog = _models_buttons.QFileDialog
    written, taken = tmp_path / "m.pt", tmp_path / "theirs.zip"
    monkeypatch.setattr(dialog, "getSaveFileName", lambda *_: (str(written), ""))
    monkeypatch.setattr(dialog, "getOpenFileName", lambda *_: (str(taken), ""))
    choose(panel, "mine")
    panel.buttons.export.menu().actions()[2].trigger()
    assert "it answers as the model does" in done()
    assert written.is_file()
    packages.sigmoid_package(taken)
    for name in ("theirs", "theirs 2"):
        panel.buttons.import_.click()
        assert "Imported" in done()
        qtbot.waitUntil(
            lambda n=name: panel.models.chosen.entry.name == n, timeout=60_000
        )
    assert panel.models.chosen.entry.origin == "imported"
    assert "TorchScript program of others, sees 8 px" in panel.page.facts.toPlainText()
    assert panel.page.card.toPlainText() == "Card of others"
    assert not panel.buttons.export.isEnabled()
    taken.write_bytes(b"nothing")
    panel.buttons.import_.click()
    assert "not a bioimage.io package" in done()


def test_a_new_file_in_the_folder_is_seen(
    panel: ModelsWidget, folder: Path, qtbot: Any
) -> None:
    shutil.copy(folder / "mine.safetensors", folder / "new.safetensors")
    qtbot.waitUntil(
        lambda: any(m.entry.name == "new" for m in panel.models._models.values()),
        timeout=60_000,
    )


def test_the_segment_panel_opens_with_the_model(
    panel: ModelsWidget, folder: Path, viewer: Viewer, monkeypatch: Any
) -> None:
    opened = []
    real = _models_widget.segment_with
    monkeypatch.setattr(
        _models_widget, "segment_with", lambda *a: opened.append(real(*a))
    )
    choose(panel, "mine")
    panel.buttons.use.click()
    assert opened[0].form.models.model == str(folder / "mine.safetensors")


def test_the_menu_writes_what_the_formats_are() -> None:
    assert {form: suffix for form, suffix, _, _ in FORMATS} == EXPORT_SUFFIXES
