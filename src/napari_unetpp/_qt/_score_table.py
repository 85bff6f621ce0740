"""Measures in a table, to be read and to be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent

_MEASURES = {
    "n_true": ("True objects", "Objects of the truth"),
    "n_pred": ("Labelled objects", "Objects of the labels that are compared"),
    "n_found": ("  found", "Pairs of an IoU of at least 0.5"),
    "n_missed": ("  missed", "True objects without a partner"),
    "n_false": ("  false", "Labelled objects without a partner"),
    "n_split": ("  split", "True objects that hold two labelled ones or more"),
    "n_merged": ("  merged", "True objects of which one labelled covers several"),
    "n_outline": ("  wrong outline", "Of the missed: labelled, but not well enough"),
    "ap50": ("AP50", "TP / (TP + FP + FN) of the objects, found from an IoU of 0.5"),
    "ap75": ("AP75", "The same, found from an IoU of 0.75"),
    "mean_ap": ("Mean AP", "Mean of AP50, AP55, ... AP90"),
    "pq": ("Panoptic quality", "Mean IoU of the pairs above 0.5, times their F1"),
    "sq": ("  mean IoU of pairs", "Segmentation quality"),
    "rq": ("  F1 of objects", "Recognition quality, at an IoU above 0.5"),
    "iou": ("IoU", "Intersection over union of foreground against background"),
    "mean_iou": ("Mean IoU", "Mean over the classes, background included"),
    "dice": ("Dice", "2 |A and B| / (|A| + |B|) of the foreground"),
    "pixel_accuracy": ("Right pixels", "Share of the labelled pixels"),
    "boundary_f": (
        "Boundary F",
        "F of the shares of both outlines that lie within the tolerance of the other",
    ),
}
_MOST_COLUMNS = 2
"""More than fit into a panel are scrolled sideways."""
_LETTERS = 40
"""Width of the table, below which nothing can be read."""
_OF_CLASS = ("iou", "dice", "precision", "recall", "boundary_f")


class ScoreTable(QTableWidget):  # type: ignore[misc]
    """Table of the measures of a comparison; Ctrl+C copies all of it."""

    def __init__(self) -> None:
        super().__init__(0, 0)
        self.setAccessibleName("Scores")
        self.setToolTip("Ctrl+C copies the table, for a spreadsheet")
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.NoSelection)
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.setTabKeyNavigation(False)
        self.setMinimumWidth(_LETTERS * self.fontMetrics().averageCharWidth())
        self.hide()

    def show_scores(self, scores: dict[str, Any], *, classes: bool) -> None:
        """Show the measures of objects or classes."""
        known = [
            (*_MEASURES[name], scores[name]) for name in _MEASURES if name in scores
        ]
        rows = [[words, _text(value)] for words, _, value in known]
        hints = [hint for _, hint, _ in known]
        header = ["Measure", "Value"]
        if classes:
            header = ["Measure", "All", *(each["name"] for each in scores["classes"])]
            rows, hints = _with_classes(scores, rows, hints)
        self._fill(header, rows, hints)

    def text(self) -> str:
        """Return the table as lines of cells with tabs between them."""
        columns = range(self.columnCount())
        lines = [[self.horizontalHeaderItem(c).text() for c in columns]]
        for row in range(self.rowCount()):
            lines.append([self.item(row, c).text().strip() for c in columns])
        return "\n".join("\t".join(line) for line in lines)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the table."""
        if event.matches(QKeySequence.Copy):
            QGuiApplication.clipboard().setText(self.text())
        else:
            super().keyPressEvent(event)

    def _fill(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], hints: Sequence[str]
    ) -> None:
        self.setColumnCount(len(header))
        self.setHorizontalHeaderLabels(list(header))
        self.setRowCount(len(rows))
        for row, (cells, hint) in enumerate(zip(rows, hints, strict=True)):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(hint)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
        wide = len(header) > _MOST_COLUMNS
        mode = QHeaderView.ResizeToContents if wide else QHeaderView.Stretch
        self.horizontalHeader().setSectionResizeMode(mode)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeToContents)
        self.resizeRowsToContents()
        bar = self.horizontalScrollBar().sizeHint().height() if wide else 0
        heights = (self.rowHeight(row) for row in range(self.rowCount()))
        height = sum(heights) + 2 * self.frameWidth()  # the panel scrolls, not this
        self.setFixedHeight(height + bar + self.horizontalHeader().sizeHint().height())
        self.show()


def _with_classes(
    scores: dict[str, Any], rows: Sequence[list[str]], hints: Sequence[str]
) -> tuple[list[list[str]], list[str]]:
    """Return the rows with a cell for each class, and a row for what only they have."""
    classes, by_words = scores["classes"], {_MEASURES[n][0]: n for n in _MEASURES}
    wide = [
        [*row, *(_text(each.get(by_words[row[0]])) for each in classes)] for row in rows
    ]
    said = {by_words[row[0]] for row in rows}
    for name in _OF_CLASS:
        if name not in said and name in classes[0]:
            cells = [_text(each[name]) for each in classes]
            wide.append([_MEASURES.get(name, (name.capitalize(),))[0], "", *cells])
    more = ["Pixels of each class"] * (len(wide) - len(rows))
    return wide, [*hints, *more]


def _text(value: float | None) -> str:
    """Return a share with three digits, a number as it is, and nothing for none."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
