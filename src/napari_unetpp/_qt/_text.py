"""Texts that fit into a narrow panel."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy


def small_label() -> QLabel:
    """Return a label that wraps and never widens the panel."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Minimum)
    return label
