"""The Compare panel in the real viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_unetpp._napari._layers import KEY
from napari_unetpp._qt._score_table import ScoreTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari import Viewer

    from napari_unetpp._qt._compare_widget import CompareWidget

PANEL = ("napari-unetpp", "UNet++: compare with truth")


@pytest.fixture
def objects(squares: Callable[..., np.ndarray]) -> np.ndarray:
    """Numbers of 4 by 5 squares."""
    from scipy import ndimage

    numbered: np.ndarray = ndimage.label(squares())[0]
    return numbered.astype(np.uint16)


@pytest.fixture
def compare(qtbot: Any) -> Callable[[CompareWidget], None]:
    """Press the button and wait."""

    def press(panel: CompareWidget) -> None:
        assert panel.button.isEnabled()
        qtbot.mouseClick(panel.button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not panel.is_running, timeout=60_000)

    return press


def cells(panel: CompareWidget) -> dict[str, list[str]]:
    """Return the rows of the table by the name of the measure."""
    rows = (line.split("\t") for line in panel.table.text().splitlines())
    return {first: rest for first, *rest in rows}


def test_a_result_is_compared_with_the_other_labels(
    viewer: Viewer, objects: np.ndarray, compare: Callable[[CompareWidget], None]
) -> None:
    found = np.where(objects % 7 == 3, 0, objects)
    found[145:150, 180:195] = 99
    viewer.add_labels(objects, name="mine")
    _, panel = viewer.window.add_plugin_dock_widget(*PANEL)
    assert not panel.button.isEnabled()
    made = {KEY: {"result": "labels", "task": "instances"}}
    viewer.add_labels(found, name="cells | labels", metadata=made)
    panel.form.suggest()
    names = panel.form.labels.currentText(), panel.form.truth.currentText()
    assert names == ("cells | labels", "mine")

    compare(panel)

    n_missed = len({*objects[objects % 7 == 3]})
    table = cells(panel)
    assert table["missed"] == [str(n_missed)]
    assert table["false"] == ["1"]
    assert table["AP50"] == [f"{(20 - n_missed) / 21:.3f}"]
    assert viewer.layers[-1].name == "cells | errors"
    assert "cells | errors" in panel.run_bar.text.text()
    kinds = [panel.errors.kinds.itemText(i) for i in range(panel.errors.kinds.count())]
    assert kinds == ["all errors", "missed", "false"]

    panel.errors.kinds.setCurrentText("false")
    panel.errors.next.click()
    assert panel.errors.text.text() == "1 of 1: false, 75 pixels"
    assert np.allclose(viewer.scene.camera.center[-2:], (147, 187), atol=1)

    panel.table.setFocus()
    panel.table.keyPressEvent(_copy())
    assert QGuiApplication.clipboard().text().startswith("Measure\tValue\n")

    viewer.layers["mine"].data = found
    compare(panel)
    assert (
        panel.run_bar.text.text()
        == "Every object is found, with an IoU of 0.50 or more."
    )
    assert not panel.errors.isVisible()


def _copy() -> Any:
    from qtpy.QtGui import QKeyEvent

    control = Qt.KeyboardModifier.ControlModifier
    return QKeyEvent(QKeyEvent.Type.KeyPress, Qt.Key.Key_C, control)


def test_what_does_not_fit_is_told(
    viewer: Viewer, objects: np.ndarray, compare: Callable[[CompareWidget], None]
) -> None:
    viewer.add_labels(objects[:50], name="half")
    viewer.add_labels(objects, name="all")
    _, panel = viewer.window.add_plugin_dock_widget(*PANEL)

    panel.compare()

    assert "(160, 200) and (50, 200)" in panel.run_bar.text.text()
    assert len(viewer.layers) == 2
    panel.form.tolerance.setValue(3)
    assert panel.run_bar.text.text() == ""


def test_a_table_of_classes_has_a_column_for_each(qtbot: Any) -> None:
    from napari_unetpp.api import compare

    truth = np.array([[0, 0, 3, 3, 7, 7]] * 6)
    labels = np.array([[0, 3, 3, 3, 3, 7]] * 6)
    table = ScoreTable()
    qtbot.addWidget(table)

    table.show_scores(compare(labels, truth, task="classes").scores, classes=True)

    lines = [line.split("\t") for line in table.text().splitlines()]
    rows = {line[0]: line[1:] for line in lines}
    assert lines[0] == ["Measure", "All", "background", "class 3", "class 7"]
    assert rows["Precision"] == ["", "1.000", "0.500", "1.000"]
    assert rows["Recall"] == ["", "0.500", "1.000", "0.500"]
    assert rows["IoU"][1:] == ["0.500", "0.500", "0.500"]
