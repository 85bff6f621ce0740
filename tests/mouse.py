"""A mouse over the canvas of a viewer, by the events that Qt sends."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from napari import Viewer

_LEFT = Qt.MouseButton.LeftButton


class Mouse:
    """Presses, drags and releases the left button; places in pixels of the canvas.

    Parameters
    ----------
    viewer : Viewer
        A viewer that is shown.
    qtbot : QtBot
        Of pytest-qt.
    """

    def __init__(self, viewer: Viewer, qtbot: Any) -> None:
        with warnings.catch_warnings():  # the canvas itself is not public
            warnings.simplefilter("ignore", FutureWarning)
            self._canvas = viewer.window._qt_viewer.canvas.native
        self._qtbot = qtbot
        self.middle = self._canvas.rect().center()

    def press(self, right: int, down: int = 0) -> None:
        """Press so many pixels right of and below the middle."""
        self._qtbot.mousePress(self._canvas, _LEFT, pos=self._point(right, down))

    def drag(self, right: int, down: int = 0) -> None:
        """Move on with the button held, and let the viewer draw."""
        point = self._point(right, down)
        at = QPointF(self._canvas.mapToGlobal(point))
        event = QMouseEvent(
            QEvent.Type.MouseMove, QPointF(point), at, _LEFT, _LEFT, Qt.NoModifier
        )
        QApplication.sendEvent(self._canvas, event)
        self._qtbot.wait(50)

    def release(self, right: int, down: int = 0) -> None:
        """Let the button go."""
        self._qtbot.mouseRelease(self._canvas, _LEFT, pos=self._point(right, down))

    def stroke(self, start: int, stop: int, down: int) -> None:
        """Draw from one place to another on a line."""
        self.press(start, down)
        for share in (0.25, 0.5, 0.75):
            self.drag(round(start + share * (stop - start)), down)
        self.release(stop, down)

    def _point(self, right: int, down: int) -> Any:
        return QPointF(self.middle.x() + right, self.middle.y() + down).toPoint()
