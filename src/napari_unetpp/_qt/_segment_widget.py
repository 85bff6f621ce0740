"""The Segment panel: a form, one run at a time, its progress and its layers."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QEvent, QTimer, Slot
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_unetpp._napari import (
    ArraysReady,
    Described,
    LabelsReady,
    Note,
    Prepared,
    Progress,
    SegmentRequest,
    ShownResults,
    TrustRequest,
    describe,
    prepare,
    read_preferences,
    segment_source,
    visible_view,
)
from napari_unetpp._qt._device_queue import Waiting, device_queue, in_turn
from napari_unetpp._qt._run_bar import RunBar, clock
from napari_unetpp._qt._segment_form import SegmentForm
from napari_unetpp._qt._segment_recipes import SegmentRecipes
from napari_unetpp._qt._trust_bar import TrustBar
from napari_unetpp._qt._view_follower import ViewFollower
from napari_unetpp._qt._workers import Cancelled, Done, Failed, Sent, start_run
from napari_unetpp.errors import AxesError
from napari_unetpp.tiling import Focus

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_unetpp._napari import Source, View
    from napari_unetpp._qt._workers import EventWorker

WHOLE_IMAGE = "Whole image"
WHOLE_STACK = "Whole stack"

_STEP_MS = 100


class SegmentWidget(QWidget):  # type: ignore[misc]
    """Panel that segments an image layer, or the part of it that is in view.

    It stays in place while a run goes on; hiding it (or another tab over it) does not
    stop the run, closing it or the viewer does.

    Parameters
    ----------
    napari_viewer : Viewer
        Given by napari, which knows this parameter by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._preferences = read_preferences()
        self._run = 0
        self._worker: EventWorker | None = None
        self._description = 0
        self._shown: ShownResults | None = None
        self._progress: Progress | None = None
        self._summary = ""
        self._began = 0.0
        self._request: SegmentRequest | None = None
        self._request_fits = False
        self._follower = ViewFollower(napari_viewer, self)
        self.form = SegmentForm(napari_viewer, self._preferences)
        self.form.model_changed.connect(self._describe_model)
        self.form.changed.connect(self._form_changed)
        self.form.diameter.said.connect(self._say)
        self.view_button = QPushButton("This view")
        self.view_button.setToolTip(
            "Segment what the canvas shows of the plane it shows; pixels around it are"
            " read too, so that the result is that of the whole image"
        )
        self.view_button.clicked.connect(self.segment_view)
        self.whole_button = QPushButton(WHOLE_IMAGE)
        self.whole_button.setToolTip(
            "Segment all of it, planes, time points and positions too; what is in view"
            " comes first"
        )
        self.whole_button.clicked.connect(self.segment_whole)
        self.run_bar = RunBar()
        self.run_bar.cancelled.connect(self.cancel)
        self.recipes = SegmentRecipes(napari_viewer, self.form, self._to_save)
        self.trust = TrustBar(napari_viewer, self._trust_request)
        self.trust.said.connect(self._say)
        self.trust.failed.connect(self._refuse)
        self.recipes.said.connect(self._say)
        self.recipes.failed.connect(self._refuse)
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._step)
        self._update_buttons()

    def segment_view(self) -> None:
        """Segment the visible part of the visible plane."""
        self._segment(in_view=True)

    def segment_whole(self) -> None:
        """Segment the whole image."""
        self._segment(in_view=False)

    def cancel(self) -> None:
        """Stop the run at the next tile; what is done stays."""
        if self._worker is not None:
            self._follower.stop()
            self.run_bar.stopping()
            self._worker.quit()

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return self._worker is not None

    @property
    def is_busy(self) -> bool:
        """Whether a run goes on, or its layers are still being drawn."""
        return self.is_running or self._timer.isActive()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.view_button)
        buttons.addWidget(self.whole_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(3)  # all of it is to fit a small screen
        layout.addWidget(self.form)
        layout.addLayout(buttons)
        layout.addWidget(self.trust)
        layout.addWidget(self.recipes)
        layout.addWidget(self.run_bar)
        layout.addStretch(1)

    def _segment(self, *, in_view: bool) -> None:
        if self.is_running:
            return
        try:
            request = self._request_now(in_view=in_view)
        except ValueError as error:  # a setting, or something about the image
            self._refuse(str(error))
            return
        self._draw_all()
        self._run += 1
        self._request, self._request_fits = request, True
        self._shown, self._progress, self._summary = None, None, ""
        self._began = time.monotonic()
        self.run_bar.start("Starting…")
        what = f"the segmentation of {request.source.name!r}"
        device = request.settings.device
        events = partial(segment_source, request)
        self._worker = start_run(
            self._viewer,
            partial(in_turn, device_queue(), device, what, events),
            self._run,
            self._receive,
        )
        if not in_view:
            self._follower.follow(request, self.form.layer, self.form.spatial_dims)
        self._timer.start()
        self._update_buttons()

    def _to_save(self) -> SegmentRequest:
        """Return what a recipe is made of: the view that was run last, or all.

        Of a view only if nothing was changed in the form since.
        """
        if self._request is not None and self._request_fits:
            return self._request
        return self._request_now(in_view=False)

    def _say(self, text: str) -> None:
        """Show something while no run goes on."""
        if not self.is_running:
            self.run_bar.stop(text)

    def _refuse(self, text: str) -> None:
        """Show what went wrong before anything was begun."""
        if not self.is_running:
            self.run_bar.stop(text, error=True)

    def _request_now(self, *, in_view: bool) -> SegmentRequest:
        """Freeze what the form and the viewer say now."""
        source = self.form.source
        view = self._seen(source, needed=in_view)
        return SegmentRequest(
            source=source,
            channel=self.form.channel,
            model=self.form.models.model,
            settings=self.form.settings,
            view=view if in_view else None,
            focus=Focus(view.box if view else None),
            heads=self.form.heads.isChecked(),
            inside=self.form.inside,
            folder=None if in_view else self.form.folder,
            spare_cores=self._preferences.spare_cores,
            preview=self._preferences.preview,
        )

    def _seen(self, source: Source, *, needed: bool = False) -> View | None:
        """Return what the canvas shows of the image, ``None`` if it shows no plane."""
        dims = self.form.spatial_dims
        try:
            return visible_view(self._viewer, self.form.layer, source, dims)
        except AxesError:
            if needed:
                raise
        return None

    def _trust_request(self) -> TrustRequest:
        """Freeze what is tried before a run: what is looked at."""
        request = self._request_now(in_view=False)
        return TrustRequest.of(request, self._seen(request.source))

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take an event of the present run; late ones of an earlier run are dropped."""
        if sent.run != self._run:
            return
        event = sent.event
        if isinstance(event, ArraysReady):
            self._shown = ShownResults(self._viewer, event.group, event.arrays)
            self.run_bar.plan(event.plan)
        elif isinstance(event, Progress):
            self._progress = event
            if self._shown is not None and event.box is not None:
                self._shown.tile_done(event.box)
        elif isinstance(event, (Note, Waiting)):
            self.run_bar.say(event.text)
        elif isinstance(event, LabelsReady):
            self._labels_ready(event)
        elif isinstance(event, Failed):
            self._end(event.message, error=True)
        elif isinstance(event, Cancelled):
            self._end(self._stopped_text())
        elif isinstance(event, Done):
            self._end(f"{self._summary} ({clock(time.monotonic() - self._began)})")

    def _labels_ready(self, event: LabelsReady) -> None:
        self._summary = event.summary
        if self._shown is not None:
            self._shown.end(event)

    def _end(self, text: str, *, error: bool = False) -> None:
        self._worker = None
        self._follower.stop()
        self._progress = None
        self.run_bar.stop(text, error=error)
        self._update_buttons()

    def _stopped_text(self) -> str:
        folder = self._request.folder if self._request else None
        if folder is None:
            return "Stopped; what was done stays in the layers."
        return (
            f"Stopped; what was done is kept in {folder}, and goes on when the same is"
            " started again."
        )

    def _step(self) -> None:
        """Draw a little of what happened since the last time; called by the timer."""
        if self._progress is not None:  # first: there may always be something to draw
            self.run_bar.advance(self._progress)
            self._progress = None
        if self._shown is not None and self._shown.step():
            return
        if not self.is_running:
            self._timer.stop()

    def _draw_all(self) -> None:
        """Draw what is left of an earlier run."""
        while self._shown is not None and self._shown.step():
            pass

    @Slot()  # type: ignore[untyped-decorator]
    def _form_changed(self) -> None:
        """Forget what was wrong before: it may have been put right."""
        self.run_bar.forget_error()
        self._request_fits = False
        self._update_buttons()

    def _update_buttons(self) -> None:
        ready = not self.is_running and not self.form.problem
        self.view_button.setEnabled(ready)
        self.whole_button.setEnabled(ready)
        self.trust.setEnabled(ready)
        self.whole_button.setText(WHOLE_STACK if self.form.has_planes else WHOLE_IMAGE)

    @Slot()  # type: ignore[untyped-decorator]
    def _describe_model(self) -> None:
        """Look into the model that was chosen, in another thread."""
        self._description += 1
        start_run(
            self._viewer,
            partial(describe, self.form.models.model),
            self._description,
            self._receive_description,
        )

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive_description(self, sent: Sent) -> None:
        """Take what was found out about the present model, or all models."""
        if isinstance(sent.event, Prepared):
            self.form.show_prepared(sent.event)
        elif isinstance(sent.event, Described) and sent.run == self._description:
            self.form.show_model(sent.event)
        elif isinstance(sent.event, Failed) and sent.run == self._description:
            self.form.show_model_problem(sent.event.message)

    def _leave(self) -> None:
        """Stop, and say where what is done is kept: the panel cannot any more."""
        if self._worker is not None and self._request and self._request.folder:
            show_info(self._stopped_text())
        self.trust.stop()
        self.cancel()

    def showEvent(self, event: QShowEvent) -> None:
        """Find models and devices once the panel is on the screen."""
        super().showEvent(event)
        if not self._description:
            start_run(
                self._viewer,
                partial(prepare, self._preferences.models_folder),
                0,
                self._receive_description,
            )
            self._describe_model()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop with the viewer's window."""
        super().hideEvent(event)
        if not event.spontaneous() and not self.window().isVisible():
            self._leave()

    def event(self, event: QEvent) -> bool:
        """Stop when the panel is closed: napari takes it out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        return bool(super().event(event))
