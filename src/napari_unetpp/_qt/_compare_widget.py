"""The Compare panel: labels against the truth, their scores and a layer of errors."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Slot
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_unetpp._napari import (
    ErrorsFound,
    find_errors,
    go_to,
    show_errors,
)
from napari_unetpp._qt._compare_form import CompareForm
from napari_unetpp._qt._error_list import ErrorList
from napari_unetpp._qt._run_bar import RunBar
from napari_unetpp._qt._score_table import ScoreTable
from napari_unetpp._qt._scrolled import Scrolled
from napari_unetpp._qt._workers import Cancelled, Failed, Sent, start_run

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_unetpp.inference import ErrorPlace

_AXES = "LMNOPQRSTUVW"
"""Letters for axes that need none but for being told apart."""


class CompareWidget(QWidget):  # type: ignore[misc]
    """Panel that compares a labels layer with another one that is right.

    Parameters
    ----------
    napari_viewer : Viewer
        Given by napari, which knows this parameter by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._run = 0
        self._running = False
        self._layer: Labels | None = None
        self.form = CompareForm(napari_viewer)
        self.form.changed.connect(self._update)
        self.button = QPushButton("Compare")
        self.button.setToolTip(
            "Score the labels, and add a layer that shows what is wrong with them"
        )
        self.button.clicked.connect(self.compare)
        self.run_bar = RunBar()
        self.table = ScoreTable()
        self.errors = ErrorList()
        self.errors.chosen.connect(self._go_to)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(
            Scrolled(self.form, self.button, self.run_bar, self.errors, self.table)
        )
        self._update()

    @property
    def is_running(self) -> bool:
        """Whether labels are being compared."""
        return self._running

    def compare(self) -> None:
        """Compare the two layers."""
        if self._running:
            return
        try:
            request = self.form.request()
        except ValueError as error:
            self.run_bar.stop(str(error), error=True)
            return
        self._run += 1
        self._running = True
        self.run_bar.start(f"Comparing {request.name!r} with {request.truth_name!r}…")
        self.run_bar.cancel.hide()  # it is one step, which nothing can interrupt
        start_run(self._viewer, partial(find_errors, request), self._run, self._receive)
        self._update()

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take an event of the present run."""
        if sent.run != self._run:
            return
        if isinstance(sent.event, ErrorsFound):
            self._show(sent.event)
            return
        self._running = False
        if isinstance(sent.event, Failed):
            self.run_bar.stop(sent.event.message, error=True)
        elif isinstance(sent.event, Cancelled):
            self.run_bar.stop("Stopped.")
        self._update()

    def _show(self, found: ErrorsFound) -> None:
        self._layer = show_errors(self._viewer, found)
        classes = found.request.task == "classes"
        self.table.show_scores(found.comparison.scores, classes=classes)
        self.errors.show_found(found)
        wrong = (
            f"Errors are shown in {str(self._layer.name)!r}; the status bar names them."
        )
        self.run_bar.stop(wrong if found.places else _all_right(found))

    @Slot(object)  # type: ignore[untyped-decorator]
    def _go_to(self, place: ErrorPlace) -> None:
        """Move the view to an error."""
        layer = self._layer
        if layer is None or layer not in self._viewer.layers:
            return
        go_to(self._viewer, layer, place, _AXES[: layer.ndim - 2] + "YX")

    def _update(self) -> None:
        self.button.setEnabled(self.form.ready and not self._running)
        self.run_bar.forget_error()


def _all_right(found: ErrorsFound) -> str:
    """Return what it means that there are no errors."""
    if found.request.task == "classes":
        return "Every pixel has the right class."
    return f"Every object is found, with an IoU of {found.request.iou:.2f} or more."
