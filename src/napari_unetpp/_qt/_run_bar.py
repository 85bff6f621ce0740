"""Progress of a run, its cancel button, and what there is to say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_unetpp._napari import Progress

_ERROR_STYLE = "QLabel { border: 1px solid #d9534f; border-radius: 3px; padding: 4px; }"


class RunBar(QWidget):  # type: ignore[misc]
    """Progress bar, Cancel and a line of text that wraps."""

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop after the present tile; what is done stays")
        self.cancel.clicked.connect(self.cancelled)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Long paths in a message must not widen the panel.
        self.text.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.MinimumExpanding)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.text)
        self.stop("")

    def start(self, text: str) -> None:
        """Show that a run has begun; how long it takes is not known yet."""
        self.bar.setRange(0, 0)
        self.bar.setToolTip("")
        self.bar.show()
        self.cancel.setEnabled(True)
        self.cancel.show()
        self.say(text)

    def plan(self, plan: str) -> None:
        """Show what the run will do, and keep it in reach while it goes on."""
        self.bar.setToolTip(plan)
        self.say(f"Starting ({plan})…")

    def advance(self, progress: Progress) -> None:
        """Show how much is done."""
        self.setUpdatesEnabled(False)  # a bar repaints at once, which is slow
        self.bar.setRange(0, progress.n_all)
        self.bar.setValue(progress.n_done)
        if self.cancel.isEnabled():
            self.say(progress_text(progress))
        self.setUpdatesEnabled(True)

    def say(self, text: str) -> None:
        """Show something about the run that goes on."""
        self._say(text, error=False)

    def stopping(self) -> None:
        """Show that Cancel was heard."""
        self.cancel.setEnabled(False)
        self.say("Stopping after the present tile…")

    def stop(self, text: str, *, error: bool = False) -> None:
        """Show that no run goes on, and how the last one ended."""
        self.bar.hide()
        self.cancel.hide()
        self._say(text, error=error)

    def forget_error(self) -> None:
        """Take an error away that may no longer hold."""
        if self.text.styleSheet():
            self.stop("")

    def _say(self, text: str, *, error: bool) -> None:
        self.text.setStyleSheet(_ERROR_STYLE if error else "")
        self.text.setText(text)
        self.text.setVisible(bool(text))


def progress_text(progress: Progress) -> str:
    """Return what is done, how fast it goes and how long it still takes, in words."""
    parts = [f"{progress.what.capitalize()}: {progress.n_done} of {progress.n_all}"]
    n_done = progress.n_done - progress.n_before
    if n_done > 0 and progress.seconds > 0:
        rate = n_done / progress.seconds
        if progress.n_pixels:
            speed = rate * progress.n_pixels / progress.n_all
            parts.append(f"{speed / 1e6:.2g} Mpx/s")
        parts.append(f"{clock((progress.n_all - progress.n_done) / rate)} left")
    return " · ".join(parts)


def clock(seconds: float) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
