"""Plots in a panel: made when they are first seen, in the colours of the theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_unetpp.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtGui import QShowEvent

PICTURE_WIDTH = 1600
"""Pixels of a saved picture."""

# Hues of Okabe and Ito, made lighter or darker until they stand out from the ground.
_ON_DARK: Final = ("#56b4e9", "#f0a830", "#2fc79a", "#e08fc0", "#f0e442", "#ff8552")
_ON_LIGHT: Final = ("#0069a8", "#b35900", "#00795a", "#a8428a", "#7a6c00", "#c0361a")
SYMBOLS: Final = ("o", "s", "t", "d", "t1", "star")
"""One for each head, so that colour is not all that tells them apart."""


class Look:
    """Colours of a plot.

    Parameters
    ----------
    text, ground : QColor
        Of axes and numbers, and what they stand on.
    """

    def __init__(self, text: QColor, ground: QColor) -> None:
        self.text, self.ground = text, ground

    @property
    def dark(self) -> bool:
        """Whether the text is lighter than the ground."""
        return bool(self.text.lightness() > self.ground.lightness())

    @property
    def faint(self) -> QColor:
        """For what lies behind: halfway to the ground."""
        return _mixed(self.text, self.ground, 0.55)

    def colour(self, index: int) -> QColor:
        """Return the colour of the head `index`, counted from 0."""
        colours = _ON_DARK if self.dark else _ON_LIGHT
        return QColor(colours[index % len(colours)])


class PlotPanel(QWidget):  # type: ignore[misc]
    """Base of panels that hold plots.

    pyqtgraph is imported when one is first seen (`make`), and nothing is drawn (`draw`)
    while it is out of sight.

    Parameters
    ----------
    height : int
        Of the plots, in pixels.
    """

    def __init__(self, height: int) -> None:
        super().__init__()
        self._height = height
        self._look = Look(QColor("#f0f1f2"), QColor("#23242b"))
        self.plots: Any = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Minimum)
        self.text.hide()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.addWidget(self.text)

    def make(self) -> None:
        """Put plots into `self.plots`, a pyqtgraph GraphicsLayoutWidget."""
        raise NotImplementedError

    def dress(self, look: Look) -> None:
        """Give the plots their colours."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what is to be shown now."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Show a line of text below the plots."""
        self.text.setText(text)
        self.text.setVisible(bool(text))

    def save_png(self, path: Path) -> None:
        """Write the plots as a picture, black on white.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        self.ensure_made()
        from pyqtgraph.exporters import ImageExporter

        self.draw()
        self._dress(Look(QColor("#000000"), QColor("#ffffff")))
        if not self.isVisible():
            self.plots.resize(PICTURE_WIDTH // 4, self._height)
        self.plots.grab()  # what was never on the screen is laid out by this
        exporter = ImageExporter(self.plots.scene())
        exporter.parameters()["width"] = PICTURE_WIDTH
        picture = exporter.export(toBytes=True)
        self._dress(self._look)
        if not picture.save(str(path), "PNG"):
            raise OutputError(
                f"{path} cannot be written; choose a folder that exists and that you"
                " may write to"
            )

    def ensure_made(self) -> None:
        """Make the plots, if that has not been done."""
        if self.plots is not None:
            return
        import pyqtgraph

        self.plots = pyqtgraph.GraphicsLayoutWidget()
        self.plots.setMinimumHeight(self._height)
        self.plots.setFixedHeight(self._height)
        self.plots.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.plots.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        for widget in (self.plots, self.plots.viewport()):
            widget.installEventFilter(self)
        self.column.insertWidget(0, self.plots)
        self.make()
        self._look = self._look_of_theme()
        self._dress(self._look)

    def plain_plot(self, row: int) -> Any:
        """Return a new plot that the mouse does not move."""
        plot = self.plots.addPlot(row=row, col=0)
        plot.setMouseEnabled(x=False, y=False)
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.getAxis("left").setWidth(48)
        for name in ("left", "bottom"):
            plot.getAxis(name).enableAutoSIPrefix(False)
        return plot

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Leave the wheel to the panel, which scrolls."""
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return bool(super().eventFilter(watched, event))

    def showEvent(self, event: QShowEvent) -> None:
        """Make the plots when they are first seen, and draw what has happened since."""
        super().showEvent(event)
        self.ensure_made()
        self.draw()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange and self.plots is not None:
            self._look = self._look_of_theme()
            self._dress(self._look)
            self.draw()

    def sizeHint(self) -> QSize:
        """Return the size it likes to have."""
        return QSize(320, super().sizeHint().height())

    def _look_of_theme(self) -> Look:
        """Return the colours that napari's style sheet gives to text here."""
        palette = self.text.palette()
        return Look(
            palette.color(QPalette.ColorRole.WindowText),
            palette.color(QPalette.ColorRole.Window),
        )

    def _dress(self, look: Look) -> None:
        self.plots.setBackground(look.ground)
        self.dress(look)


def dress_axes(plot: Any, look: Look) -> None:
    """Give the axes of a plot their colours."""
    for name in ("left", "bottom"):
        axis = plot.getAxis(name)
        axis.setPen(look.faint)
        axis.setTextPen(look.text)


def _mixed(one: QColor, other: QColor, share: float) -> QColor:
    """Return a colour between two; `share` is how much of the first."""
    pairs = zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)
    return QColor(*(round(a * share + b * (1 - share)) for a, b in pairs))
