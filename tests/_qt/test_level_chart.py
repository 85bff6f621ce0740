"""The chart from which a head is chosen, and the bar that guides."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QPointF, Qt

from napari_unetpp._qt._guide_bar import GuideBar
from napari_unetpp._qt._level_chart import LevelChart

IOU = (0.70, 0.745, 0.75, 0.748)
SECONDS = (0.2, 0.3, 0.6, 1.0)


@pytest.fixture
def chart(qtbot: Any) -> LevelChart:
    widget = LevelChart()
    widget.resize(360, 400)
    qtbot.addWidget(widget)
    return widget


def test_both_marks_are_where_they_belong(chart: LevelChart) -> None:
    chart.show_levels(IOU, 0.752, SECONDS, 1.1)
    assert chart.best_for_time is not None
    assert chart.fastest_good is not None
    assert chart.best_for_time.level == 1
    assert chart.fastest_good.level == 2
    assert "head 1 (IoU 0.700, 200 ms/Mpx)" in chart.text.text()
    assert "head 2 (IoU 0.745, 300 ms/Mpx)" in chart.text.text()
    chart.show()
    marks = {
        (point.symbol(), point.pos().x()) for point in chart._marks.points().tolist()
    }
    assert marks == {("o", 0.2), ("s", 0.3)}


def test_a_click_near_a_point_chooses_its_head(chart: LevelChart, qtbot: Any) -> None:
    chart.show_levels(IOU, 0.752, SECONDS, 1.1)
    chart.show()
    qtbot.wait(100)
    view = chart._plot.getViewBox()

    def click(x: float, y: float) -> None:
        place = chart.plots.mapFromScene(view.mapViewToScene(QPointF(x, y)))
        qtbot.mouseClick(chart.plots.viewport(), Qt.MouseButton.LeftButton, pos=place)

    with qtbot.waitSignal(chart.level_chosen) as told:
        click(0.6, 0.75)
    assert told.args == [3]
    assert "head 3, fast mode" in chart.text.text()
    with qtbot.waitSignal(chart.level_chosen) as told:
        click(1.1, 0.752)
    assert told.args == [None]
    assert "all heads, accurate mode" in chart.text.text()
    with qtbot.assertNotEmitted(chart.level_chosen, wait=50):
        click(0.05, 0.75)


def test_keys_go_from_the_fastest_to_the_slowest(chart: LevelChart, qtbot: Any) -> None:
    chosen: list[object] = []
    chart.level_chosen.connect(chosen.append)
    qtbot.keyClick(chart, Qt.Key.Key_Right)  # nothing is measured yet
    chart.show_levels(IOU, 0.752, SECONDS, 1.1)
    chart.show()
    for _ in range(6):
        qtbot.keyClick(chart, Qt.Key.Key_Right)
    qtbot.keyClick(chart, Qt.Key.Key_Left)
    assert chosen == [1, 2, 3, 4, None, None, 4]


def test_a_choice_stays_when_it_is_measured_again(chart: LevelChart) -> None:
    chart.show_levels(IOU, 0.752, SECONDS, 1.1)
    chart.show()
    chart.choose(1)
    chart.show_levels(IOU, 0.752, [2 * s for s in SECONDS], 2.2)
    assert "Chosen: head 2" in chart.text.text()
    chart.clear()
    assert "after the first epoch" in chart.text.text()
    assert chart.best_for_time is None
    assert not chart.plots.isVisible()


def test_without_validation_only_times_are_told(chart: LevelChart) -> None:
    chart.show()
    chart.show_levels((), None, SECONDS, 1.1)
    assert "Nothing is held out" in chart.text.text()
    assert "head 4: 1 s" in chart.text.text()
    assert chart.best_for_time is None
    assert not chart.plots.isVisible()
    chart.show_levels(IOU, 0.752, SECONDS, 1.1)
    assert chart.plots.isVisible()


def test_one_head_is_one_point(chart: LevelChart) -> None:
    chart.show_levels((0.8,), 0.8, (0.5,), 0.5)
    chart.show()
    assert len(chart._points.points()) == 1


def test_the_guide_asks_and_tells(qtbot: Any) -> None:
    bar = GuideBar()
    qtbot.addWidget(bar)
    bar.show()
    with qtbot.waitSignal(bar.next_place):
        qtbot.mouseClick(bar.next_button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(bar.accept):
        qtbot.keyClick(bar.accept_button, Qt.Key.Key_Space)
    assert not bar.text.isVisible()
    bar.say("3 objects accepted.")
    assert bar.text.isVisible()
