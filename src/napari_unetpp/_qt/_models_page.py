"""What the Models panel shows of one model: facts, preview, scores, card."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_unetpp._qt._text import small_label

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

    from napari_unetpp._napari import ModelPreview, ModelShown

_COLUMNS = ("", "IoU", "Temp.", "Share")
_HINTS = (
    "",
    "Mean intersection over union on what was held out in the training",
    "Temperature: what its logits are divided by, so that it is as sure as it is right",
    "How much the head counts in the mean",
)
_NO_SCORES = (
    "This model says nothing of its scores. Compare what it finds with labels of your"
    " own (Measure > UNet++: compare with truth)."
)
_NO_PREVIEW = "Shows what the model finds in the middle of what you look at."
_LEAST_HEIGHT = 150


class _Picture(QLabel):  # type: ignore[misc]
    """A picture as wide as there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap = QPixmap()
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)
        self.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self.setAccessibleName("What was found in the image")

    def show_preview(self, preview: ModelPreview | None) -> None:
        """Show a preview, or nothing."""
        self._pixmap = QPixmap()
        if preview is not None:
            height, width, _ = preview.picture.shape
            content = preview.picture.tobytes()
            form = QImage.Format.Format_RGB888
            image = QImage(content, width, height, 3 * width, form)
            self._pixmap = QPixmap.fromImage(image)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Follow the width of the panel."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._pixmap.isNull():
            self.clear()
            self.setFixedHeight(0)
            return
        width = min(self.width(), self._pixmap.width())
        smooth = Qt.TransformationMode.SmoothTransformation
        fitted = self._pixmap.scaledToWidth(max(width, 1), smooth)
        self.setPixmap(fitted)
        self.setFixedHeight(fitted.height())


class ModelPage(QTabWidget):  # type: ignore[misc]
    """Tabs about one model."""

    preview_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setDocumentMode(True)
        self.facts = QTextBrowser()
        self.card = QTextBrowser()
        self.card.setOpenExternalLinks(True)
        for browser, name in ((self.facts, "About"), (self.card, "Card")):
            browser.setAccessibleName(name)
            browser.setMinimumHeight(_LEAST_HEIGHT)
            browser.setTabChangesFocus(True)
        self.scores = QTableWidget(0, len(_COLUMNS))
        self._lay_out_scores()
        self.no_scores = small_label()
        self.picture = _Picture()
        self.preview_text = small_label()
        self.preview_button = QPushButton("Try it on what is in view")
        self.preview_button.setToolTip(
            "Segments up to 384 x 384 pixels in the middle of the canvas; adds no layer"
        )
        self.preview_button.clicked.connect(self.preview_wanted)
        self.addTab(self.facts, "About")
        self.addTab(
            self._column(self.preview_button, self.preview_text, self.picture),
            "Preview",
        )
        self.addTab(self._column(self.scores, self.no_scores), "Scores")
        self.addTab(self.card, "Card")

    def show_model(self, model: ModelShown | None) -> None:
        """Show what is known of a model."""
        facts = () if model is None else model.facts
        self.facts.setHtml(
            "<table cellpadding='2'>"
            + "".join(
                f"<tr><td><b>{escape(name)}</b></td><td>{escape(value)}</td></tr>"
                for name, value in facts
            )
            + "</table>"
        )
        card = (model.card if model else "") or "*No card lies beside this model.*"
        self.card.setMarkdown(re.sub(r"^#+ ", "### ", card, flags=re.MULTILINE))
        self._show_scores(() if model is None else model.scores)
        self.show_preview(None)

    def show_preview(self, preview: ModelPreview | None) -> None:
        """Show what the model found, or that nothing was tried yet."""
        self.picture.show_preview(preview)
        self.preview_text.setText(preview.text if preview else _NO_PREVIEW)

    def _lay_out_scores(self) -> None:
        table = self.scores
        table.setAccessibleName("Scores")
        table.setHorizontalHeaderLabels(list(_COLUMNS))
        for column, hint in enumerate(_HINTS):
            table.horizontalHeaderItem(column).setToolTip(hint)
        table.verticalHeader().hide()
        table.setEditTriggers(QTableWidget.NoEditTriggers)
        table.setSelectionMode(QTableWidget.NoSelection)
        table.setTabKeyNavigation(False)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeToContents)

    def _show_scores(self, rows: tuple[tuple[str, ...], ...]) -> None:
        self.scores.setVisible(bool(rows))
        self.no_scores.setText("" if rows else _NO_SCORES)
        self.scores.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.scores.setItem(row, column, item)

    @staticmethod
    def _column(*widgets: QWidget) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 6, 4, 4)
        for widget in widgets:
            layout.addWidget(widget)
        layout.addStretch(1)
        return page
