"""Buttons of a training, its progress, and what there is to say about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_unetpp._qt._run_bar import RunBar, clock
from napari_unetpp._qt._text import small_label

if TYPE_CHECKING:
    from napari_unetpp.training import EpochDone, StepDone

_PARTS = 1000
"""Steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a training does now, and what can be done about it."""

    running: bool
    waiting: bool = False
    begun: bool = False
    paused: bool = False
    ending: bool = False


IDLE = Doing(running=False)


class TrainBar(QWidget):  # type: ignore[misc]
    """Train, Resume, Pause and Stop, with the progress and a line of text."""

    train = Signal()
    resume = Signal()
    pause = Signal()
    stop = Signal()
    segment = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.train_button = _button(
            "Train",
            "Begin; painting may go on meanwhile, and is learnt from the next epoch on",
            self.train,
        )
        self.resume_button = _button(
            "Resume",
            "Go on with the unfinished training of this name, from its last epoch",
            self.resume,
        )
        self.pause_button = _button(
            "Pause",
            "Rest after the step under way; others may use the device",
            self.pause,
        )
        self.stop_button = _button(
            "Stop",
            "End after the step under way, and keep the best model so far",
            self.stop,
        )
        self.segment_button = _button(
            "Segment with it", "Open the Segment panel with the new model", self.segment
        )
        self.problem = small_label()
        self.progress = RunBar()
        self.progress.cancel.hide()
        buttons = QGridLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.train_button, 0, 0)
        buttons.addWidget(self.resume_button, 0, 1)
        buttons.addWidget(self.pause_button, 0, 0)
        buttons.addWidget(self.stop_button, 0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.problem)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.segment_button)
        self.segment_button.hide()

    def show_doing(self, doing: Doing, *, can_train: bool, can_resume: bool) -> None:
        """Show the buttons that make sense now."""
        idle = not doing.running
        self.train_button.setVisible(idle)
        self.train_button.setEnabled(can_train)
        self.resume_button.setVisible(idle and can_resume)
        self.pause_button.setVisible(doing.running)
        self.pause_button.setEnabled(
            not (doing.waiting or doing.ending) or doing.paused
        )
        self.pause_button.setText("Go on" if doing.paused else "Pause")
        self.stop_button.setVisible(doing.running)
        self.stop_button.setEnabled(not doing.ending)
        self.stop_button.setText("Stop" if doing.begun else "Cancel")

    def show_problem(self, text: str) -> None:
        """Say why nothing can be trained; an empty text takes no room."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def start(self, text: str) -> None:
        """Show that a run has begun."""
        self.segment_button.hide()
        self.progress.start(text)
        self.progress.cancel.hide()

    def advance(self, share: float) -> None:
        """Show which share of the budget is used up."""
        bar = self.progress.bar
        bar.setUpdatesEnabled(False)  # a bar repaints at once, which is slow
        bar.setRange(0, _PARTS)
        bar.setValue(round(_PARTS * share))
        bar.setUpdatesEnabled(True)


class TrainingClock:
    """How long a training has been training, and how long it still will."""

    def __init__(self) -> None:
        self._told = 0.0
        self._since: float | None = None

    def step(self, n_seconds: float | None = None) -> float:
        """Go on to now, or to what the training says; return the seconds."""
        now = time.monotonic()
        if n_seconds is not None:
            self._told = n_seconds
        elif self._since is not None:
            self._told += now - self._since
        self._since = now
        return self._told

    def rest(self) -> None:
        """Stand still until the next step."""
        self._since = None

    def left(self, share: float) -> str:
        """Return how long it still takes, in words; empty if it cannot be told yet."""
        if share <= 0.01 or self._told <= 0:
            return ""
        return f"{clock(self._told * (1 - share) / share)} left"


def progress_text(step: StepDone, epoch: EpochDone | None, left: str) -> str:
    """Return in words how far a training has come."""
    parts = [f"Step {step.step}, epoch {step.epoch}", f"loss {step.loss:.3g}"]
    if epoch is not None and epoch.accurate is not None:
        parts.append(f"IoU {epoch.accurate:.3f}")
    if left:
        parts.append(left)
    return " · ".join(parts)


def _button(text: str, tip: str, clicked: QObject) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(clicked)
    return button
