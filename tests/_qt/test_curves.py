"""Curves of a training, in the panel and in files."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QFileDialog

from napari_unetpp._qt._curves import Curves
from napari_unetpp._qt._history import MOST_POINTS, History
from napari_unetpp.errors import OutputError
from napari_unetpp.training import EpochDone

if TYPE_CHECKING:
    from pathlib import Path


def epoch(number: int, scores: tuple[float, ...] = (0.5, 0.6), best: bool = True):
    return EpochDone(
        run_id="run",
        epoch=number,
        progress=0.1,
        seconds=2.0,
        loss=0.4,
        validation=scores,
        accurate=0.65 if scores else None,
        best=best,
        seconds_total=2.0 * number,
    )


@pytest.fixture
def curves(qtbot: Any) -> Curves:
    widget = Curves()
    qtbot.addWidget(widget)
    return widget


def fill(curves: Curves, n_epochs: int = 3) -> None:
    curves.begin(2)
    for number in range(1, n_epochs + 1):
        for k in range(4):
            curves.add_step(4 * (number - 1) + k + 1, 1.0 / number, 0.5 * k)
        curves.add_epoch(epoch(number, best=number < 3))


def test_rows_tell_steps_and_epochs_in_order(curves: Curves) -> None:
    fill(curves, 2)
    rows = curves.rows()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]
    assert rows[3]["loss"] == 1.0
    assert rows[3]["iou_head_1"] is None
    assert (rows[4]["iou_head_1"], rows[4]["iou_head_2"]) == (0.5, 0.6)
    assert (rows[4]["epoch"], rows[4]["seconds"]) == (1, 2.0)
    assert (rows[4]["iou_all_heads"], rows[4]["best"]) == (0.65, True)
    curves.begin(2)
    assert curves.rows() == []


def test_a_table_is_written(curves: Curves, tmp_path: Path) -> None:
    fill(curves)
    curves.save_csv(tmp_path / "run.csv")
    with (tmp_path / "run.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    assert rows[4]["iou_all_heads"] == "0.65"
    with pytest.raises(OutputError, match="cannot be written"):
        curves.save_csv(tmp_path / "nowhere" / "run.csv")
    with pytest.raises(OutputError, match="cannot be written"):
        curves.save_png(tmp_path / "nowhere" / "run.png")


def test_a_picture_is_written_that_was_never_on_the_screen(
    curves: Curves, tmp_path: Path
) -> None:
    fill(curves)
    curves.save_png(tmp_path / "run.png")
    picture = QImage(str(tmp_path / "run.png"))
    assert picture.width() == 1600
    assert picture.pixelColor(2, 2).name() == "#ffffff"
    colours = {
        picture.pixelColor(x, y).name()
        for x in range(0, 1600, 3)
        for y in range(0, picture.height(), 3)
    }
    assert "#0069a8" in colours  # head 1
    assert "#000000" in colours


def test_plots_are_made_when_they_are_seen(curves: Curves, qtbot: Any) -> None:
    fill(curves)
    assert curves.plots is None
    curves.show()
    assert curves.plots is not None
    steps, iou = curves._lines[1].getData()
    assert steps.tolist() == [4, 8, 12]
    assert iou.tolist() == [0.6, 0.6, 0.6]
    assert curves._best.value() == 8  # epoch 3 was not better
    assert "head 2 0.600" in curves._legend.text
    curves.add_step(13, 0.1, 9.0)
    qtbot.waitUntil(lambda: len(curves._loss.getData()[0]) == 13)


def test_a_later_run_does_not_show_the_earlier_one(curves: Curves) -> None:
    curves.show()
    fill(curves)
    curves.draw()
    curves.begin(1)
    for line in curves._lines.values():
        assert line.getData()[0] is None or not len(line.getData()[0])
    assert "head 2" not in curves._legend.text


def test_without_validation_it_is_said(curves: Curves) -> None:
    curves.begin(2)
    curves.add_step(1, 0.5, 1.0)
    curves.add_epoch(epoch(1, ()))
    curves.show()
    assert "Nothing is held out" in curves.text.text()
    assert curves.rows()[-1]["iou_all_heads"] is None


def test_colours_follow_the_style_sheet(curves: Curves) -> None:
    curves.setStyleSheet("QWidget { background-color: #222222; color: #eeeeee }")
    curves.show()
    fill(curves)
    curves.draw()
    dark = curves._legend.text
    curves.setStyleSheet("QWidget { background-color: #eeeeee; color: #222222 }")
    assert "#56b4e9" in dark
    assert "#0069a8" in curves._legend.text
    assert curves.plots.backgroundBrush().color().name() == "#eeeeee"


def test_the_wheel_is_left_to_the_panel(curves: Curves) -> None:
    curves.show()
    event = QEvent(QEvent.Type.Wheel)
    assert curves.eventFilter(curves.plots, event)
    assert not event.isAccepted()


def test_a_file_that_was_chosen_is_written(
    curves: Curves, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(curves)
    chosen = [str(tmp_path / "chosen")]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen[0], ""))
    qtbot.mouseClick(curves.csv_button, Qt.MouseButton.LeftButton)
    assert (tmp_path / "chosen.csv").exists()
    chosen[0] = str(tmp_path / "nowhere" / "run.csv")
    qtbot.mouseClick(curves.csv_button, Qt.MouseButton.LeftButton)
    assert "cannot be written" in curves.text.text()


def test_a_long_run_is_thinned_to_what_can_be_drawn() -> None:
    history = History(1)
    for step in range(1, 5001):
        history.add_step(step, np.nan if step == 7 else 2.0, 0.0)
    at, loss, mean = history.loss()
    assert len(at) <= MOST_POINTS
    assert np.allclose(mean, 2.0)
    assert np.isnan(loss[0])
    assert np.allclose(loss[1:], 2.0)
    assert at[-1] <= 5000
