"""Before a run: what it will take, and whether its tiles would show."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal, Slot
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_unetpp._napari import (
    Progress,
    TrustTold,
    check_for_seams,
    estimate,
)
from napari_unetpp._qt._device_queue import Waiting, device_queue, in_turn
from napari_unetpp._qt._workers import Cancelled, Failed, Sent, start_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.viewer import Viewer

    from napari_unetpp._napari import TrustRequest
    from napari_unetpp._qt._workers import EventWorker


class TrustBar(QWidget):  # type: ignore[misc]
    """Two buttons: what a run will take, and whether its tiles would show.

    `said` tells what was found, `failed` what is wrong.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    make_request : callable
        Returns what the panel says now.
    """

    said = Signal(str)
    failed = Signal(str)

    def __init__(
        self, viewer: Viewer, make_request: Callable[[], TrustRequest]
    ) -> None:
        super().__init__()
        self._viewer, self._make_request = viewer, make_request
        self._run = 0
        self._worker: EventWorker | None = None
        self.estimate_button = QPushButton("Estimate")
        self.estimate_button.setToolTip(
            "Tell before the start: device, precision, free memory, the memory and the"
            "\ntiles of this run, and about how long it takes. A piece of the image is"
            "\nsegmented for it, which takes seconds."
        )
        self.estimate_button.clicked.connect(self.estimate)
        self.seams_button = QPushButton("Check seams")
        self.seams_button.setToolTip(
            "Predict the middle of what is seen twice, on two grids of tiles whose"
            "\nborders lie at different places, and tell the largest difference: 0 if"
            "\nno tile shows."
        )
        self.seams_button.clicked.connect(self.check_seams)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.estimate_button)
        layout.addWidget(self.seams_button)

    @property
    def is_running(self) -> bool:
        """Whether something is being found out."""
        return self._worker is not None

    def estimate(self) -> None:
        """Find out what the run would take."""
        self._start(estimate, "an estimate")

    def check_seams(self) -> None:
        """Find out whether tiles would show."""
        self._start(check_for_seams, "a check for seams")

    def stop(self) -> None:
        """Leave it, at the next tile."""
        if self._worker is not None:
            self._worker.quit()

    def _start(
        self, find: Callable[[TrustRequest], Generator[Any, None, None]], what: str
    ) -> None:
        if self.is_running:
            return
        try:
            request = self._make_request()
        except ValueError as error:  # a setting, or something about the image
            self.failed.emit(str(error))
            return
        self._run += 1
        self.said.emit(f"Trying a piece of {request.name!r}…")
        events = partial(
            in_turn,
            device_queue(),
            request.settings.device,
            f"{what} of {request.name!r}",
            partial(find, request),
        )
        self._worker = start_run(self._viewer, events, self._run, self._receive)
        self._enable(False)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        event = sent.event
        if sent.run != self._run:
            return
        if isinstance(event, Progress):
            self.said.emit(
                f"{event.what.capitalize()}: {event.n_done} of {event.n_all}…"
            )
        elif isinstance(event, Waiting):
            self.said.emit(event.text)
        elif isinstance(event, TrustTold):
            (self.said if event.good else self.failed).emit(event.text)
        else:
            self._end(event)

    def _end(self, event: Any) -> None:
        self._worker = None
        self._enable(True)
        if isinstance(event, Failed):
            self.failed.emit(event.message)
        elif isinstance(event, Cancelled):
            self.said.emit("Stopped.")

    def _enable(self, enabled: bool) -> None:
        self.estimate_button.setEnabled(enabled)
        self.seams_button.setEnabled(enabled)
