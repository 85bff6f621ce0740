"""Which head to use: measured IoU against measured time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPointF, Qt, Signal, Slot

from napari_unetpp._qt._plots import Look, PlotPanel, dress_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QFocusEvent, QKeyEvent

HEIGHT = 190
AS_GOOD = 0.01
"""IoU below that of the best that hardly matters."""

_NOT_YET = "Which head to use: measured after the first epoch."
_HINT = "Click a point, or choose with the arrow keys, to segment with it."


@dataclass(frozen=True, slots=True)
class Measured:
    """One way to run a network.

    Attributes
    ----------
    level : int or None
        The head that is used alone, ``None`` for the mean of all.
    iou : float
        On what is held out.
    seconds : float
        For a million pixels.
    """

    level: int | None
    iou: float
    seconds: float

    @property
    def name(self) -> str:
        """What it is called."""
        return "all heads" if self.level is None else f"head {self.level}"

    @property
    def words(self) -> str:
        """What was measured, in words."""
        return f"{self.name} (IoU {self.iou:.3f}, {time_text(self.seconds)}/Mpx)"


class LevelChart(PlotPanel):
    """Measured IoU against measured time of each head and of the mean of all.

    A ring marks the most IoU for the time, a square the fastest that is about as good
    as the best. `level_chosen` tells the point that the user chose: the head, or
    ``None`` for all of them.
    """

    level_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__(HEIGHT)
        self._measured: tuple[Measured, ...] = ()
        self._chosen: int | None = None  # index among the measured
        self._labels: list[Any] = []
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("IoU against time of each head")
        self.setToolTip(
            "IoU on what is held out against the time on this machine, of each head"
            "\nalone (fast mode) and of the mean of all heads (accurate mode)"
        )
        self.clear()

    def clear(self) -> None:
        """Forget what was measured, and the choice."""
        chosen, self._chosen, self._measured = self._chosen, None, ()
        self.say(_NOT_YET)
        self.draw()
        if chosen is not None:
            self.level_chosen.emit(None)

    def show_levels(
        self,
        iou: Sequence[float],
        accurate: float | None,
        seconds_per_mpx: Sequence[float],
        accurate_seconds: float,
    ) -> None:
        """Show what was measured; the choice stays.

        Parameters
        ----------
        iou : sequence of float
            IoU of each head, head 1 first; empty if nothing is held out.
        accurate : float or None
            IoU of the mean of all heads.
        seconds_per_mpx : sequence of float
            Seconds for a million pixels of each head alone.
        accurate_seconds : float
            The same of all heads together.
        """
        if accurate is None or not iou:
            times = ", ".join(
                f"head {i}: {time_text(seconds)}"
                for i, seconds in enumerate(seconds_per_mpx, start=1)
            )
            self._measured = ()
            self.say(f"Nothing is held out to compare heads with. Time a Mpx: {times}.")
        else:
            pairs = zip(iou, seconds_per_mpx, strict=True)
            heads = [Measured(i, a, s) for i, (a, s) in enumerate(pairs, start=1)]
            # A network with one head has no other way to run.
            mean = [Measured(None, accurate, accurate_seconds)] * (len(heads) > 1)
            self._measured = (*heads, *mean)
            self._tell()
        if self._chosen is not None and self._chosen >= len(self._measured):
            self._chosen = None
        if self.isVisible():
            self.draw()

    @property
    def best_for_time(self) -> Measured | None:
        """The most IoU for a unit of time."""
        ways = (way for way in self._measured if way.seconds > 0)
        return max(ways, key=lambda way: way.iou / way.seconds, default=None)

    @property
    def fastest_good(self) -> Measured | None:
        """The fastest of those within `AS_GOOD` of the best."""
        best = max((way.iou for way in self._measured), default=0.0)
        good = (way for way in self._measured if way.iou >= best - AS_GOOD)
        return min(good, key=lambda way: way.seconds, default=None)

    def choose(self, index: int) -> None:
        """Choose one of the points, counted from 0, and tell of it."""
        self._chosen = index
        self._tell()
        self.draw()
        self.level_chosen.emit(self._measured[index].level)

    def make(self) -> None:
        """Put the plot into place."""
        import pyqtgraph

        self._plot = self.plain_plot(0)
        self._plot.setLabel("left", "IoU")
        self._line = self._plot.plot()
        self._marks = pyqtgraph.ScatterPlotItem(size=20)
        self._points = pyqtgraph.ScatterPlotItem(size=10)
        self._plot.addItem(self._marks)
        self._plot.addItem(self._points)
        self._plot.scene().sigMouseClicked.connect(self._clicked)

    def dress(self, look: Look) -> None:
        """Give the plot its colours."""
        import pyqtgraph

        self._shown_look = look
        dress_axes(self._plot, look)
        self._line.setPen(pyqtgraph.mkPen(look.faint, width=1))
        self._marks.setPen(pyqtgraph.mkPen(look.text, width=1.5))
        self._marks.setBrush(None)
        self._draw_points()

    def draw(self) -> None:
        """Draw what was measured."""
        if self.plots is None:
            return
        self.plots.setVisible(bool(self._measured))
        if not self._measured:
            return
        self._plot.setLabel("bottom", f"{self._unit[0]} for a million pixels")
        heads = zip(self._measured, self._places, strict=True)
        line = [place for way, place in heads if way.level is not None]
        self._line.setData([x for x, _ in line], [y for _, y in line])
        self._draw_points()
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose the next point with the arrow keys."""
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(event.key())
        if step is None or not self._measured:
            super().keyPressEvent(event)
            return
        order = sorted(
            range(len(self._measured)), key=lambda i: self._measured[i].seconds
        )
        at = -1 if self._chosen is None else order.index(self._chosen)
        at = max(0, at + step) if self._chosen is not None else 0
        self.choose(order[min(at, len(order) - 1)])

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Say what the keys do."""
        super().focusInEvent(event)
        self._tell()

    @property
    def _unit(self) -> tuple[str, float]:
        """Return the unit of the times, and how many of it are a second."""
        slow = any(way.seconds >= 1 for way in self._measured)
        return ("s", 1.0) if slow else ("ms", 1000.0)

    @property
    def _places(self) -> list[tuple[float, float]]:
        """Return where each point lies in the plot."""
        return [(way.seconds * self._unit[1], way.iou) for way in self._measured]

    def _fit(self) -> None:
        """Leave room around the points for marks and names."""
        most = max(x for x, _ in self._places)
        low, high = min(y for _, y in self._places), max(y for _, y in self._places)
        room = max(0.25 * (high - low), 0.01)
        self._plot.setXRange(0, 1.15 * most, padding=0)
        self._plot.setYRange(low - room, high + 1.4 * room, padding=0)

    def _draw_points(self) -> None:
        import pyqtgraph

        look = self._shown_look
        for label in self._labels:
            self._plot.removeItem(label)
        self._labels = []
        points, marks = [], []
        for index, way in enumerate(self._measured):
            place = self._places[index]
            colour = look.text if way.level is None else look.colour(way.level - 1)
            chosen = index == self._chosen
            brush = colour if chosen else look.ground
            pen = pyqtgraph.mkPen(colour, width=2)
            points.append({"pos": place, "brush": brush, "pen": pen, "symbol": "o"})
            if way == self.best_for_time:
                marks.append({"pos": place, "symbol": "o", "size": 22})
            if way == self.fastest_good:
                marks.append({"pos": place, "symbol": "s", "size": 22})
            name, above = ("all", -0.5) if way.level is None else (str(way.level), 1.5)
            label = pyqtgraph.TextItem(name, color=look.text, anchor=(0.5, above))
            label.setPos(*place)
            self._plot.addItem(label, ignoreBounds=True)
            self._labels.append(label)
        self._points.setData(points)
        self._marks.setData(marks)

    def _tell(self) -> None:
        """Say in words what the marks mean, and what is chosen."""
        good, quick = self.fastest_good, self.best_for_time
        if good is None or quick is None:
            return
        lines = [
            f"◯ most IoU for the time: {quick.words}",
            f"▢ fastest within {AS_GOOD} of the best: {good.words}",
        ]
        if self._chosen is None:
            lines.append(_HINT)
        else:
            way = self._measured[self._chosen]
            how = "accurate" if way.level is None else "fast"
            lines.append(f"Chosen: {way.name}, {how} mode.")
        self.say("\n".join(lines))

    @Slot(object)  # type: ignore[untyped-decorator]
    def _clicked(self, event: Any) -> None:
        """Choose the point nearest to where the mouse was clicked, if it is near."""
        if not self._measured or event.button() != Qt.MouseButton.LeftButton:
            return
        view = self._plot.getViewBox()
        places = [view.mapViewToScene(QPointF(*place)) for place in self._places]
        away = [
            (place - event.scenePos()).x() ** 2 + (place - event.scenePos()).y() ** 2
            for place in places
        ]
        nearest = min(range(len(away)), key=away.__getitem__)
        if away[nearest] <= _NEAR**2:
            self.choose(nearest)


_NEAR = 20  # pixels


def time_text(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    return f"{seconds:.2g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
