"""What a training tells while it goes on: curves, levels, places and notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from napari_unetpp._qt._curves import Curves
from napari_unetpp._qt._guide_bar import GuideBar
from napari_unetpp._qt._level_chart import LevelChart

if TYPE_CHECKING:
    from napari_unetpp.inference import LevelsMeasured
    from napari_unetpp.training import EpochDone, StepDone

_NOTES_HEIGHT = 110
_MOST_NOTES = 500


class TrainWatch(QWidget):  # type: ignore[misc]
    """Curves, the chart of the levels, the guide and the notices of a training.

    `level_chosen` carries the level for fast mode, ``None`` for all heads.
    """

    level_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._best: EpochDone | None = None
        self._last: EpochDone | None = None
        self._levels: LevelsMeasured | None = None
        self.guide = GuideBar()
        self.curves = Curves()
        self.levels = LevelChart()
        self.levels.level_chosen.connect(self.level_chosen)
        self.notes = QPlainTextEdit()
        self.notes.setReadOnly(True)
        self.notes.setMaximumBlockCount(_MOST_NOTES)
        self.notes.setFixedHeight(_NOTES_HEIGHT)
        self.notes.setTabChangesFocus(True)
        self.notes.setAccessibleName("Notices")
        self.notes.setToolTip("What happened in this training")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        for widget in (self.guide, self.curves, self.notes, self.levels):
            layout.addWidget(widget)
        layout.addStretch(1)

    @property
    def last_epoch(self) -> EpochDone | None:
        """The last epoch, if one is done."""
        return self._last

    def clear(self) -> None:
        """Forget the run before."""
        self._best = self._last = self._levels = None
        self.notes.clear()
        self.levels.clear()
        self.guide.say("")

    def begin(self, n_heads: int) -> None:
        """Prepare for the curves of a network."""
        self.curves.begin(n_heads)

    def add_step(self, step: StepDone, seconds: float) -> None:
        """Take a step."""
        self.curves.add_step(step.step, step.loss, seconds)

    def add_epoch(self, epoch: EpochDone) -> None:
        """Take the end of an epoch."""
        self._last = epoch
        if epoch.best:
            self._best = epoch
        self.curves.add_epoch(epoch)
        self._show_levels()

    def add_levels(self, levels: LevelsMeasured) -> None:
        """Take the times of the levels."""
        self._levels = levels
        self._show_levels()

    def note(self, text: str) -> None:
        """Add a notice."""
        if text:
            self.notes.appendPlainText(text)

    def _show_levels(self) -> None:
        best, levels = self._best, self._levels
        if best is None or levels is None:
            return
        times = levels.seconds_per_mpx
        if len(best.validation) == len(times):
            self.levels.show_levels(
                best.validation, best.accurate, times, levels.accurate
            )
        elif not best.validation:
            self.levels.show_levels((), None, times, levels.accurate)
