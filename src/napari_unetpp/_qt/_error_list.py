"""Which errors there are, and buttons that lead from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_unetpp._napari import ErrorsFound
    from napari_unetpp.inference import ErrorPlace

_ALL = "all errors"


class ErrorList(QWidget):  # type: ignore[misc]
    """Names the errors in their colours; leads to their places, the largest first.

    `chosen` carries the `ErrorPlace` to look at.
    """

    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._found: ErrorsFound | None = None
        self._at = -1
        self.kinds = QComboBox()
        self.kinds.setAccessibleName("Kind of error")
        self.kinds.setToolTip("Which errors the buttons lead to, the largest first")
        self.kinds.currentIndexChanged.connect(self._restart)
        self.previous = QPushButton("Previous")
        self.next = QPushButton("Next error")
        self.previous.setToolTip("Go to the error before")
        self.next.setToolTip("Go to the next error: camera and sliders move")
        self.previous.clicked.connect(lambda: self._step(-1))
        self.next.clicked.connect(lambda: self._step(1))
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.MinimumExpanding)
        self.kinds.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        self.legend.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.MinimumExpanding)
        row = QHBoxLayout()
        row.addWidget(self.kinds, 1)
        row.addWidget(self.previous)
        row.addWidget(self.next)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.legend)
        layout.addLayout(row)
        layout.addWidget(self.text)
        self.hide()

    def show_found(self, found: ErrorsFound) -> None:
        """Offer the errors of a comparison."""
        self._found = None
        names, kinds = found.comparison.names, found.comparison.kinds
        legend = {kind.words: found.colours[value] for value, kind in kinds.items()}
        self.legend.setText(
            " &nbsp; ".join(
                f'<span style="color:{colour}">&#9632;</span>&nbsp;{words}'
                for words, colour in legend.items()
            )
        )
        self.kinds.clear()
        self.kinds.addItem(_ALL)
        for value, words in names.items():
            self.kinds.addItem(_swatch(found.colours[value]), words)
        self._found = found
        self._restart()
        self.setVisible(bool(found.places))

    @property
    def places(self) -> list[ErrorPlace]:
        """The errors that the buttons lead to."""
        if self._found is None:
            return []
        names, wanted = self._found.comparison.names, self.kinds.currentText()
        return [p for p in self._found.places if wanted in (_ALL, names[p.value])]

    def _restart(self) -> None:
        self._at = -1
        self._tell()

    def _step(self, by: int) -> None:
        n = len(self.places)
        if not n:
            return
        self._at = (self._at + by) % n if self._at >= 0 else (0 if by > 0 else n - 1)
        self._tell()
        self.chosen.emit(self.places[self._at])

    def _tell(self) -> None:
        places = self.places
        self.previous.setEnabled(bool(places))
        self.next.setEnabled(bool(places))
        if self._found is None or not places:
            self.text.setText("")
        elif self._at < 0:
            self.text.setText(
                f"{len(places):,} places; Next error leads to the largest"
            )
        else:
            place = places[self._at]
            name = self._found.comparison.names[place.value]
            where = f"{self._at + 1:,} of {len(places):,}"
            self.text.setText(f"{where}: {name}, {place.n_pixels:,} pixels")


def _swatch(colour: str) -> QIcon:
    """Return a small square of the colour of an error."""
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor(colour))
    return QIcon(pixmap)
