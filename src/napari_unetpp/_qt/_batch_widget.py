"""The Batch panel: many images, one model, one folder; a line for each image."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QEvent, Qt, Slot
from qtpy.QtWidgets import QPushButton, QSplitter, QVBoxLayout, QWidget

from napari_unetpp._napari import (
    BatchRequest,
    Described,
    Note,
    Prepared,
    ResultOpened,
    Source,
    TrustRequest,
    describe,
    open_result,
    prepare,
    read_preferences,
    segment_batch,
    show_result,
)
from napari_unetpp._qt._batch_form import BatchForm
from napari_unetpp._qt._batch_images import BatchImages
from napari_unetpp._qt._batch_progress import BatchProgress
from napari_unetpp._qt._batch_recipes import BatchRecipes
from napari_unetpp._qt._device_queue import Waiting, device_queue, in_turn
from napari_unetpp._qt._run_bar import RunBar
from napari_unetpp._qt._scrolled import Scrolled
from napari_unetpp._qt._trust_bar import TrustBar
from napari_unetpp._qt._workers import Cancelled, Done, Failed, Sent, start_run
from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_unetpp._qt._workers import EventWorker

START, GO_ON = "Start", "Go on"
_START_HELP = (
    "Segment all images of the table, one after the other, into the folder.\n"
    "What is done is not done again; one that fails does not stop the others."
)
_STOPPED = (
    "Stopped. What is done is kept; Go on does the rest, also of the image at which it"
    " stopped."
)


class BatchWidget(QWidget):  # type: ignore[misc]
    """Panel that segments many images into a folder.

    It stays in place while a run goes on; hiding it does not stop the run, closing it
    or the viewer does, and the run goes on with what is left when it is started again.

    Parameters
    ----------
    napari_viewer : Viewer
        Given by napari, which knows this parameter by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._preferences = read_preferences()
        self._run = self._description = self._opening = 0
        self._worker: EventWorker | None = None
        self._problem = ""
        self.form = BatchForm(napari_viewer, self._preferences)
        self.images = BatchImages(napari_viewer)
        self.table = self.images.table
        self.start_button = QPushButton(START)
        self.run_bar = RunBar()
        self.run_bar.cancel.setText("Stop")
        self.run_bar.cancel.setToolTip("Stop at the next tile; what is done is kept")
        self.recipes = BatchRecipes(
            napari_viewer, self.form, self.images, self._request_now
        )
        self.trust = TrustBar(napari_viewer, self._trust_request)
        self.progress = BatchProgress(self.table)
        self._lay_out()
        self._connect()
        self._update()

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return self._worker is not None

    def start(self) -> None:
        """Segment the images of the table, as far as they are not done."""
        if self.is_running:
            return
        try:
            request = self._request_now()
        except ValueError as error:  # a setting
            self._refuse(str(error))
            return
        self._run += 1
        self.progress.start(time.monotonic())
        self.run_bar.start("Looking at the images…")
        n = len(request.items)
        events = partial(segment_batch, request)
        what = f"the batch of {n} image{'s' * (n != 1)}"
        device = request.settings.device
        self._worker = start_run(
            self._viewer,
            partial(in_turn, device_queue(), device, what, events),
            self._run,
            self._receive,
        )
        self._update()

    def stop(self) -> None:
        """Stop the run at the next tile; what is done stays."""
        if self._worker is not None:
            self.run_bar.stopping()
            self._worker.quit()

    @Slot(int)  # type: ignore[untyped-decorator]
    def open_result(self, index: int) -> None:
        """Show an image and its results as layers."""
        row = self.table.row_at(index)
        if row.done is None:
            return
        self._opening += 1
        self._say(f"Opening {row.item.name!r}…")
        find = partial(open_result, index, row.item, row.done.outputs)
        start_run(self._viewer, find, self._opening, self._receive_result)

    def _request_now(self) -> BatchRequest:
        """Freeze what the panel says now."""
        form, items = self.form, self.images.items
        if not items:
            raise SettingsError("there are no images; add a folder, files or layers")
        if form.folder is None:
            raise SettingsError("choose a folder for the results (Save to)")
        return BatchRequest(
            items=items,
            model=form.models.model,
            settings=form.settings,
            folder=form.folder,
            kinds=form.kinds,
            form=form.form,
            axes=form.axes,
            channel=form.one_channel,
            overwrite=form.overwrite.isChecked(),
            spare_cores=self._preferences.spare_cores,
        )

    def _trust_request(self) -> TrustRequest:
        """Freeze what is tried before a run: the selected image, or the first."""
        if not self.images.items:
            raise SettingsError("there are no images; add a folder, files or layers")
        item = self.table.row_at((self.table.chosen or [0])[0]).item
        own, image = item.own, item.image
        axes = self.form.axes if own is None else own.axes
        return TrustRequest(
            image=image,
            name=item.name,
            axes=axes or (image.axes if isinstance(image, Source) else None),
            channel=self.form.one_channel if own is None else own.channel,
            model=self.form.models.model,
            settings=self.form.settings,
            spare_cores=self._preferences.spare_cores,
        )

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 4, 6)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.images)
        parts.addWidget(Scrolled(self.form))
        parts.setChildrenCollapsible(False)
        parts.setSizes([1, 1])
        layout.addWidget(parts, 1)
        layout.addWidget(self.trust)
        layout.addWidget(self.start_button)
        layout.addWidget(self.recipes)
        layout.addWidget(self.run_bar)

    def _connect(self) -> None:
        self.form.changed.connect(self._update)
        self.form.described.connect(self._update_buttons)
        self.form.model_changed.connect(self._describe_model)
        self.form.diameter.said.connect(self._say)
        self.images.changed.connect(self._update)
        self.images.added.connect(self.form.suggest_folder)
        self.images.failed.connect(self._refuse)
        self.table.opened.connect(self.open_result)
        self.start_button.clicked.connect(self.start)
        self.run_bar.cancelled.connect(self.stop)
        self.trust.said.connect(self._say)
        self.trust.failed.connect(self._refuse)
        self.recipes.said.connect(self._say)
        self.recipes.failed.connect(self._refuse)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take an event of the present run; late ones of an earlier run are dropped."""
        if sent.run != self._run:
            return
        event = sent.event
        if isinstance(event, (Note, Waiting)):
            self.run_bar.say(event.text)
        elif isinstance(event, Failed):
            self._end(event.message, error=True)
        elif isinstance(event, Cancelled):
            self._end(_STOPPED)
        elif isinstance(event, Done):
            self._end(self.progress.summary(time.monotonic()))
        else:
            self.progress.take(event)
            self.progress.show_in(self.run_bar, time.monotonic())

    def _end(self, text: str, *, error: bool = False) -> None:
        self._worker = None
        self.progress.stop()
        self.run_bar.stop(text, error=error)
        self._update_buttons()

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive_result(self, sent: Sent) -> None:
        """Show a result that was opened, unless another one has been asked for."""
        if isinstance(sent.event, ResultOpened) and sent.run == self._opening:
            shown = show_result(self._viewer, sent.event)
            self._viewer.reset_view()
            name = self.table.row_at(sent.event.index).item.name
            results = ", ".join(str(layer.name) for layer in reversed(shown))
            self._say(f"{name!r} is shown: {results}.")
        elif isinstance(sent.event, Failed) and sent.run == self._opening:
            self._refuse(sent.event.message)

    @Slot(str)  # type: ignore[untyped-decorator]
    def _say(self, text: str) -> None:
        """Show something while no run goes on."""
        if not self.is_running:
            self.run_bar.stop(text)

    @Slot(str)  # type: ignore[untyped-decorator]
    def _refuse(self, text: str) -> None:
        """Show what went wrong before anything was begun."""
        if not self.is_running:
            self.run_bar.stop(text, error=True)

    @Slot()  # type: ignore[untyped-decorator]
    def _update(self) -> None:
        """Forget what was wrong before: it may have been put right."""
        if not self.is_running:
            self.run_bar.forget_error()
        self._update_buttons()

    @Slot()  # type: ignore[untyped-decorator]
    def _update_buttons(self) -> None:
        """Let the buttons follow the form, the table and the run."""
        self.images.fix(self.is_running)
        self.trust.setEnabled(not self.is_running and bool(self.images.items))
        self.form.setEnabled(not self.is_running)
        self.recipes.load_button.setEnabled(not self.is_running)
        problem = self.form.problem if self.images.items else "add images first"
        self.start_button.setEnabled(not self.is_running and not problem)
        self.start_button.setToolTip(problem or _START_HELP)
        self.start_button.setText(GO_ON if self.progress.goes_on else START)
        if not self.is_running and not self.run_bar.text.styleSheet():
            self._show_problem(f"{problem[:1].upper()}{problem[1:]}")

    def _show_problem(self, problem: str) -> None:
        """Say what is still to be chosen, as long as it is."""
        if self.run_bar.text.text() in ("", self._problem):
            self.run_bar.stop(problem)
        self._problem = problem

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
        if self._worker is not None:
            show_info(f"{_STOPPED} The results are in {self.form.folder}.")
        self.trust.stop()
        self.stop()

    def showEvent(self, event: QShowEvent) -> None:
        """Find models and devices once the panel is on the screen."""
        super().showEvent(event)
        if not self._description:
            find = partial(prepare, self._preferences.models_folder)
            start_run(self._viewer, find, 0, self._receive_description)
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
