"""The classes found in labels: value, colour, name and painted pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_ROWS = 6
_FEW_PIXELS = 100
"""Below this many pixels a class is hardly learnt."""


class ClassTable(QTableWidget):  # type: ignore[misc]
    """Table of classes, of which the names can be edited.

    Names stay with their value when a class goes and comes back.
    """

    names_changed = Signal()

    def __init__(self) -> None:
        super().__init__(0, 3)
        self._names: dict[int, str] = {}
        self._defaults: dict[int, str] = {}
        self.setHorizontalHeaderLabels(["Value", "Name", "Pixels"])
        self.setAccessibleName("Classes")
        self.setToolTip(
            "Classes found in the labels, in the colours of the layer. A name is edited"
            "\nby a double click or F2; it is kept in the model."
        )
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.Stretch)
        header.setSectionResizeMode(2, QHeaderView.ResizeToContents)
        self.setSelectionMode(QAbstractItemView.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.setTabKeyNavigation(False)
        self.itemChanged.connect(self._edited)

    @property
    def names(self) -> dict[int, str]:
        """Name of each class that is shown."""
        return {value: self._name(value) for value in self._values()}

    def set_names(self, names: Mapping[int, str]) -> None:
        """Give classes names, now or when they appear."""
        self._names.update(names)
        with QSignalBlocker(self):
            for row, value in enumerate(self._values()):
                self.item(row, 1).setText(self._name(value))

    def show_classes(
        self,
        pixels: Mapping[int, int],
        colours: Mapping[int, str],
        defaults: Mapping[int, str],
    ) -> None:
        """Show classes.

        Parameters
        ----------
        pixels : mapping of int to int
            Painted pixels of each class value, in order.
        colours : mapping of int to str
            "#rrggbb" of those that have a colour.
        defaults : mapping of int to str
            Name of each class that nobody has named.
        """
        self._defaults = dict(defaults)
        with QSignalBlocker(self):
            self.setRowCount(len(pixels))
            for row, (value, n) in enumerate(pixels.items()):
                self._show_row(row, value, n, colours.get(value, ""))
        self._fit_height()

    def _show_row(self, row: int, value: int, n: int, colour: str) -> None:
        key = QTableWidgetItem(_swatch(colour), str(value))
        key.setData(Qt.ItemDataRole.UserRole, value)
        name = QTableWidgetItem(self._name(value))
        count = QTableWidgetItem(f"{n:,}")
        count.setTextAlignment(
            Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        )
        if n < _FEW_PIXELS:
            count.setText(f"{n:,} (few)")
            count.setToolTip(
                f"Paint more: fewer than {_FEW_PIXELS} pixels are hardly learnt"
            )
        fixed = Qt.ItemFlag.ItemIsEnabled
        key.setFlags(fixed)
        count.setFlags(fixed)
        name.setFlags(fixed | Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsSelectable)
        for column, item in enumerate((key, name, count)):
            self.setItem(row, column, item)

    def _fit_height(self) -> None:
        rows = min(max(self.rowCount(), 1), _MOST_ROWS)
        height = sum(
            self.rowHeight(i) if i < self.rowCount() else self.rowHeight(0) or 24
            for i in range(rows)
        )
        frame = 2 * self.frameWidth()
        self.setFixedHeight(
            height + self.horizontalHeader().sizeHint().height() + frame
        )

    def _values(self) -> list[int]:
        role = Qt.ItemDataRole.UserRole
        return [self.item(row, 0).data(role) for row in range(self.rowCount())]

    def _name(self, value: int) -> str:
        return self._names.get(value) or self._defaults.get(value) or f"class {value}"

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() != 1:
            return
        value = self._values()[item.row()]
        self._names[value] = item.text().strip()
        if not self._names[value]:
            with QSignalBlocker(self):
                item.setText(self._name(value))
        self.names_changed.emit()


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor(colour) if colour else Qt.GlobalColor.transparent)
    return QIcon(pixmap)
