"""The Train panel in the real viewer."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mouse import Mouse
from napari_unetpp import load_model
from napari_unetpp._napari import read_preferences
from napari_unetpp._qt import _train_widget
from napari_unetpp._qt._device_queue import device_queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._train_widget import TrainWidget

    Open = Callable[[Viewer], TrainWidget]
    Squares = Callable[..., np.ndarray]

PANEL = ("napari-unetpp", "UNet++: train")
LONG = 60_000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for models, as the preferences would name it."""
    models = tmp_path / "models"
    mine = replace(read_preferences(), models_folder=models)
    monkeypatch.setattr(_train_widget, "read_preferences", lambda: mine)
    return models


@pytest.fixture
def open_train(qtbot: Any) -> Open:
    """Open the panel as napari does, with a budget and patches that are soon done."""

    def open_in(viewer: Viewer) -> TrainWidget:
        _, panel = viewer.window.add_plugin_dock_widget(*PANEL)
        panel.form.budget.choose("epochs", 2)
        sizes = panel.form.network.sizes
        sizes.setCurrentIndex(sizes.findData("small"))
        fields = panel.form.advanced.training.fields
        for name, value in {"patch": 32, "batch": 2, "steps_per_epoch": 3}.items():
            fields[name].setValue(value)
        qtbot.waitUntil(panel.bar.train_button.isEnabled, timeout=LONG)
        return panel

    return open_in


def labelled(viewer: Viewer, squares: Squares, n_planes: int = 0) -> Any:
    """Add an image and strokes of two classes over it; return the labels layer."""
    data = squares((n_planes, 100, 130) if n_planes else (100, 130))
    viewer.add_image(data, name="cells")
    labels = np.zeros(data.shape, np.uint8)
    for row in (15, 55, 95):
        labels[..., row, :] = 1 + (data[..., row, :] > 0)
    return viewer.add_labels(labels, name="strokes")


def paint_with_the_mouse(viewer: Viewer, qtbot: Any, strokes: Any) -> None:
    """Draw strokes of ground and of squares, as a person does."""
    mouse = Mouse(viewer, qtbot)
    zoom = viewer.scene.camera.zoom
    strokes.mode, strokes.brush_size = "paint", 2
    for value, rows in {1: (5, 35, 75), 2: (15, 55)}.items():
        strokes.selected_label = value
        for row in rows:
            for first in (10, 50, 90) if value == 2 else (10,):
                last = first + 11 if value == 2 else 110
                start, stop = ((column - 65) * zoom for column in (first, last))
                mouse.stroke(round(start), round(stop), round((row - 50) * zoom))
    painted = strokes.data[strokes.data > 0]
    assert {1, 2} == set(painted.tolist())
    assert len(painted) > 400


def notes(panel: TrainWidget) -> str:
    """Return all notices of the last training."""
    return str(panel.watch.notes.toPlainText())


def message(panel: TrainWidget) -> str:
    """Return the line under the buttons."""
    return str(panel.bar.progress.text.text())


def test_paint_train_watch_stop_and_segment(
    squares: Squares, viewer: Viewer, open_train: Open, qtbot: Any, folder: Path
) -> None:
    viewer.add_image(squares((100, 130)), name="cells")
    strokes = viewer.add_labels(np.zeros((100, 130), np.uint8), name="strokes")
    qtbot.wait(200)  # what is under the mouse is known once it was drawn
    paint_with_the_mouse(viewer, qtbot, strokes)
    panel = open_train(viewer)
    panel.form.budget.choose("epochs", 500)
    panel.bar.train_button.click()
    assert not panel.form.isEnabled()
    qtbot.waitUntil(lambda: "cells | preview of classes" in viewer.layers, timeout=LONG)
    assert viewer.layers.selection.active is strokes
    strokes.paint((40, 40), 2)
    qtbot.waitUntil(lambda: "New strokes" in notes(panel), timeout=LONG)
    panel.watch.guide.next_button.click()
    qtbot.waitUntil(lambda: "unsure" in panel.watch.guide.text.text(), timeout=LONG)
    step = panel._step.step
    panel.bar.stop_button.click()
    qtbot.waitUntil(lambda: not panel.is_running, timeout=LONG)
    assert panel._step.step <= step + 3  # one under way, one already told
    assert message(panel).startswith("Stopped; the best model is kept")
    path = folder / "cells-1.safetensors"
    config = load_model(path).config
    assert config.class_names == ("class 1", "class 2")
    assert config.training["recipe"]["task"] == "classes"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert panel.form.name.line.text() == "cells-2"
    assert panel.watch.curves.rows()
    panel.watch.guide.next_button.click()  # the model that was trained tells it now
    qtbot.waitUntil(lambda: "unsure" in panel.watch.guide.text.text(), timeout=LONG)
    panel.bar.segment_button.click()
    segment = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")[
        1
    ]
    assert segment.form.models.model == str(path)
    segment.segment_whole()
    qtbot.waitUntil(lambda: "cells | labels" in viewer.layers, timeout=LONG)
    assert set(np.unique(viewer.layers["cells | labels"].data)) <= {1, 2}


def test_who_waits_says_for_what_and_a_pause_frees_the_device(
    squares: Squares, viewer: Viewer, open_train: Open, qtbot: Any
) -> None:
    labelled(viewer, squares)
    panel = open_train(viewer)
    panel.form.budget.choose("epochs", 500)
    with device_queue().turn("cpu", "another run") as other:
        other.take()
        panel.train()
        qtbot.waitUntil(lambda: message(panel).startswith("Waiting"), timeout=LONG)
        assert message(panel) == "Waiting for cpu: another run is running"
        panel.bar.stop_button.click()
        qtbot.waitUntil(lambda: not panel.is_running, timeout=LONG)
        assert message(panel) == "Cancelled."
        panel.train()
        qtbot.waitUntil(lambda: message(panel).startswith("Waiting"), timeout=LONG)
        other.free()
        qtbot.waitUntil(lambda: panel._step is not None, timeout=LONG)
        assert other.take() is not None
        panel.bar.pause_button.click()
        qtbot.waitUntil(lambda: message(panel).startswith("Paused"), timeout=LONG)
        assert panel.bar.pause_button.text() == "Go on"
        assert other.take() is None
        step = panel._step.step
        panel.bar.pause_button.click()
        qtbot.waitUntil(lambda: message(panel).startswith("Waiting"), timeout=LONG)
        assert panel._step.step == step
    qtbot.waitUntil(lambda: panel._step.step > step, timeout=LONG)
    viewer.layers.remove("strokes")
    assert "'strokes' were removed; training goes on" in notes(panel)
    panel.stop()
    qtbot.waitUntil(lambda: not panel.is_running, timeout=LONG)
    assert message(panel).startswith("Stopped; the best model is kept")


def test_closed_viewer_leaves_a_training_that_can_be_resumed(
    squares: Squares,
    make_napari_viewer: Callable[..., Viewer],
    open_train: Open,
    qtbot: Any,
    folder: Path,
    capfd: Any,
) -> None:
    viewer = make_napari_viewer(show=True)
    labelled(viewer, squares)
    panel = open_train(viewer)
    panel.form.budget.choose("epochs", 6)
    checkpoint = folder / "cells-1.safetensors.checkpoint"
    panel.train()
    qtbot.waitUntil(checkpoint.exists, timeout=LONG)
    viewer.close()
    qtbot.waitUntil(lambda: not core_threads(), timeout=LONG)
    assert capfd.readouterr().err == ""
    assert checkpoint.exists()
    again = make_napari_viewer(show=True)
    labelled(again, squares)
    panel = again.window.add_plugin_dock_widget(*PANEL)[1]
    qtbot.waitUntil(lambda: "Resume" in panel.bar.problem.text(), timeout=LONG)
    assert not panel.bar.train_button.isEnabled()
    panel.bar.resume_button.click()
    qtbot.waitUntil(lambda: panel.is_running, timeout=LONG)
    qtbot.waitUntil(lambda: not panel.is_running, timeout=LONG)
    assert message(panel).startswith("Done"), message(panel)
    assert "Going on after epoch" in notes(panel)
    record = load_model(folder / "cells-1.safetensors").config.training
    assert record["epochs"] == 6
    assert record["settings"]["patch"] == 32
    assert [p.name for p in folder.iterdir()] == ["cells-1.safetensors"]


def core_threads() -> list[str]:
    """Return the names of the core's threads that live."""
    return [t.name for t in threading.enumerate() if t.name.startswith("unetpp")]


def test_errors_are_shown_and_nothing_is_lost(
    squares: Squares, viewer: Viewer, open_train: Open, qtbot: Any, folder: Path
) -> None:
    labelled(viewer, squares)
    panel = open_train(viewer)
    viewer.layers["cells"].data = np.full((100, 130), 7, np.uint8)
    panel.train()
    qtbot.waitUntil(lambda: not panel.is_running, timeout=LONG)
    assert "same value (7)" in message(panel)
    assert panel.bar.train_button.isEnabled()
    panel.form.budget.choose("epochs", 3)
    assert message(panel) == ""
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("a file where the folder should be")
    panel.train()
    qtbot.waitUntil(lambda: not panel.is_running, timeout=LONG)
    assert "folder of models cannot be made" in message(panel)


def test_recipe_is_saved_and_loaded(
    squares: Squares, viewer: Viewer, open_train: Open, qtbot: Any, tmp_path: Path
) -> None:
    labelled(viewer, squares, n_planes=3)
    panel = open_train(viewer)
    panel.form.axes_field.setText("TYX")
    qtbot.waitUntil(lambda: bool(panel.form.labels.names), timeout=LONG)
    panel.form.labels.classes.item(1, 1).setText("square")
    before = panel.form.choices
    path = tmp_path / "mine"
    panel.recipes.save(path)
    qtbot.waitUntil(lambda: message(panel).startswith("Saved"), timeout=LONG)
    path = path.with_suffix(".yaml")
    assert path.exists()
    viewer.layers.clear()
    assert not panel.bar.train_button.isEnabled()
    panel.form.budget.choose("minutes", 99)
    panel.recipes.load(path)
    qtbot.waitUntil(lambda: message(panel).startswith("The recipe"), timeout=LONG)
    assert {layer.data.shape for layer in viewer.layers} == {(3, 100, 130)}
    assert panel.form.axes_field.text() == "TYX"
    qtbot.waitUntil(lambda: len(panel.form.labels.names) == 2, timeout=LONG)
    after = panel.form.choices
    assert after.class_names == {1: "class 1", 2: "square"}
    assert after.settings.model_dump() == before.settings.model_dump()


def test_panel_fits_a_small_screen(
    squares: Squares, viewer: Viewer, open_train: Open
) -> None:
    labelled(viewer, squares, n_planes=3)
    viewer.layers["cells"].name = "a name that is longer than most names are"
    panel = open_train(viewer)
    panel.bar.progress.stop("a long message " * 12, error=True)
    hint = panel.minimumSizeHint()
    assert hint.width() <= 400
    assert hint.height() <= 560
