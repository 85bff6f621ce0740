"""The Train panel: a form, one training at a time, and what is seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer, Slot
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_unetpp._napari import Begun, Trained, TrainRequest, read_preferences
from napari_unetpp._qt._device_queue import Waiting, device_queue
from napari_unetpp._qt._form_answers import FormAnswers
from napari_unetpp._qt._scrolled import Scrolled
from napari_unetpp._qt._segment_with import segment_with
from napari_unetpp._qt._train_bar import (
    IDLE,
    Doing,
    TrainBar,
    TrainingClock,
    progress_text,
)
from napari_unetpp._qt._train_form import TrainForm
from napari_unetpp._qt._train_job import TrainJob
from napari_unetpp._qt._train_recipes import TrainRecipes
from napari_unetpp._qt._train_watch import TrainWatch
from napari_unetpp._qt._training_view import TrainingView
from napari_unetpp._qt._workers import Cancelled, Done, Failed, Sent, start_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.viewer import Viewer
    from qtpy.QtGui import QEnterEvent, QHideEvent, QShowEvent

    from napari_unetpp._napari import Choices, Told
    from napari_unetpp._qt._workers import EventWorker
    from napari_unetpp.training import EpochDone, LabelsTaken, StepDone

_STEP_MS = 100


class TrainWidget(QWidget):  # type: ignore[misc]
    """Panel that trains a model on what is labelled in the viewer.

    Hiding it (or another tab over it) does not end a training; closing it or the
    viewer does, and the training can be resumed from its last epoch.

    Parameters
    ----------
    napari_viewer : Viewer
        Given by napari, which knows this parameter by its name.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._preferences = read_preferences()
        self._queue = device_queue()
        self._run = 0
        self._worker: EventWorker | None = None
        self._job: TrainJob | None = None
        self._doing = IDLE
        self._has_begun = False
        self._step: StepDone | None = None
        self._clock = TrainingClock()
        self._trained: Path | None = None
        self._summary = ""
        self._level: int | None = None
        self.form = TrainForm(napari_viewer, self._preferences)
        self.watch = TrainWatch()
        self.bar = TrainBar()
        self.view = TrainingView(napari_viewer, self)
        self.recipes = TrainRecipes(napari_viewer, self.form, self._request)
        folder = self._preferences.models_folder
        self._answers = FormAnswers(napari_viewer, self.form, folder, self)
        self._timer = QTimer(self)
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._draw)
        self._lay_out()
        self._connect()
        self._update()

    @property
    def is_running(self) -> bool:
        """Whether a training goes on, waits or is paused."""
        return self._worker is not None

    def train(self) -> None:
        """Begin a training of what the form says."""
        self._start(resume=False)

    def resume(self) -> None:
        """Go on with the unfinished training of the form's name, as it was begun."""
        if not self.recipes.load_unfinished(self.form.name.output):
            self._start(resume=True)

    def pause(self) -> None:
        """Rest, or go on."""
        if self._job is None:
            return
        if self._job.paused:
            self._job.go_on()
            self.bar.progress.say("Going on…")
        else:
            self._job.pause()
            self.bar.progress.say("Pausing after the present step…")
        self._show_doing(self._now(paused=self._job.paused))

    def stop(self) -> None:
        """End the training with the best model; one that has not begun just ends."""
        if self._job is None or self._worker is None:
            return
        if not self._has_begun:
            self._worker.quit()
        else:
            self._job.stop()
        self.bar.progress.say("Stopping after the present step…")
        self._show_doing(self._now(ending=True))

    def segment(self) -> None:
        """Open the Segment panel with the new model, and the level that was chosen."""
        if self._trained is not None:
            images = self.form.image_layers[0]
            layer = images[0] if images else None
            segment_with(self._viewer, self._trained, self._level, layer)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _resume_as(self, choices: Choices) -> None:
        """Go on with a training as it was begun, whatever the form says now."""
        self._start(resume=True, choices=choices)

    def _start(self, *, resume: bool, choices: Choices | None = None) -> None:
        if self.is_running:
            return
        try:
            request = self._request(resume=resume, choices=choices)
        except ValueError as error:  # a setting, or something about the layers
            self._refuse(str(error))
            return
        self._run += 1
        self._job = TrainJob(request, self._queue)
        self._has_begun = False
        self._step, self._clock = None, TrainingClock()
        self._trained, self._summary = None, ""
        self.watch.clear()
        images = [layers[0] for layers in self.form.image_layers]
        self.view.follow(self._job, images, self.form.labels_layers)
        self.bar.start("Starting…")
        self._worker = start_run(
            self._viewer, self._job.events, self._run, self._receive
        )
        self._timer.start()
        self.tabs.setCurrentIndex(1)
        self._show_doing(self._now())

    def _request(
        self, *, resume: bool = False, choices: Choices | None = None
    ) -> TrainRequest:
        """Freeze what the form and the layers say now."""
        return TrainRequest(
            pairs=self.form.frozen(),
            choices=choices or self.form.choices,
            device=self.form.device,
            output=self.form.name.output,
            resume=resume,
            overwrite=self.form.name.overwrite,
            spare_cores=self._preferences.spare_cores,
        )

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take an event of the present run; late ones of an earlier run are dropped."""
        if sent.run != self._run or self._worker is None:
            return
        event = sent.event
        if isinstance(event, Waiting):
            self._wait(event)
        elif isinstance(event, Failed):
            self._end(event.message, error=True)
        elif isinstance(event, Cancelled):
            self._end("Cancelled.")
        elif isinstance(event, Done):
            self._end(self._summary)
        else:
            self._hear(event)

    def _hear(self, told: Told) -> None:
        """Take what a training tells."""
        takes: dict[str, Callable[[Any], object]] = {
            "Begun": self._begin,
            "StepDone": self._step_done,
            "EpochDone": self._epoch_done,
            "PreviewTile": self.view.show,
            "PlacesFound": self.view.found,
            "LevelsMeasured": self.watch.add_levels,
            "Notice": self._noticed,
            "LabelsTaken": self._labels_taken,
            "Paused": self._rest,
            "GoingOn": self._go_on,
            "Trained": self._finish,
        }
        if told.kind in takes:
            takes[told.kind](told.event)

    def _wait(self, waiting: Waiting) -> None:
        self.bar.progress.say(waiting.text)
        paused = bool(self._job and self._job.paused)
        self._show_doing(self._now(waiting=True, paused=paused))

    def _begin(self, begun: Begun) -> None:
        if not self._has_begun:
            self.watch.begin(begun.config.network.n_heads)
        self._has_begun = True
        self.watch.note(begun.text)
        self.view.begin(begun)
        self.bar.progress.say("The first steps take longest…")
        self._show_doing(self._now())

    def _step_done(self, step: StepDone) -> None:
        self._step = step
        self.watch.add_step(step, self._clock.step())

    def _epoch_done(self, epoch: EpochDone) -> None:
        self._clock.step(epoch.seconds_total)
        self.watch.add_epoch(epoch)
        self.view.epoch_done()

    def _noticed(self, notice: Any) -> None:
        self.watch.note(notice.text)

    def _labels_taken(self, taken: LabelsTaken) -> None:
        self.watch.note(
            f"New strokes are learnt from epoch {taken.epoch} on:"
            f" {taken.n_labelled:,} labelled pixels in all."
        )

    def _rest(self, _: object) -> None:
        self._clock.rest()
        self.bar.progress.say("Paused; the device is free for others.")
        self._show_doing(self._now(paused=True))

    def _go_on(self, _: object) -> None:
        self._clock.rest()
        self._show_doing(self._now())

    def _finish(self, trained: Trained) -> None:
        self._trained = trained.path
        how = "Stopped; the best model is kept" if trained.stopped else "Done"
        score = "" if trained.score is None else f", IoU {trained.score:.3f}"
        best = (
            ""
            if trained.best_epoch is None
            else f" (epoch {trained.best_epoch}{score})"
        )
        self._summary = f"{how}{best}: {trained.path}"
        self.watch.note(self._summary)

    def _end(self, text: str, *, error: bool = False) -> None:
        self._worker = self._job = None
        self.view.stop()
        if self._trained is not None:
            self.view.trained(self._trained)
            self.form.name.go_past()
        self.form.suggest_name()
        self._answers.look_again()
        self.bar.progress.stop(text, error=error)
        if error:
            self.watch.note(text)
        self.bar.segment_button.setVisible(self._trained is not None)
        self._show_doing(IDLE)

    @Slot()  # type: ignore[untyped-decorator]
    def _draw(self) -> None:
        """Draw a little of what happened since the last time; called by the timer."""
        step = self._step
        if self.is_running and step is not None and self._doing == self._now():
            self.bar.advance(step.progress)
            left = self._clock.left(step.progress)
            self.bar.progress.say(progress_text(step, self.watch.last_epoch, left))
        if not self.view.step() and not self.is_running:
            self._timer.stop()

    def _refuse(self, text: str) -> None:
        """Say what went wrong before anything was begun."""
        if not self.is_running:
            self.bar.progress.stop(text, error=True)

    def _now(self, **what: bool) -> Doing:
        """Return what a training that goes on does now."""
        return Doing(running=True, begun=self._has_begun, **what)

    def _show_doing(self, doing: Doing) -> None:
        self._doing = doing
        self._update()

    @Slot()  # type: ignore[untyped-decorator]
    def _form_changed(self) -> None:
        """Forget what was wrong before: it may have been put right."""
        if not (self.is_running or self._answers.is_answering):
            self.bar.progress.forget_error()
        self._update()

    def _update(self) -> None:
        """Show what can be done now, and why something cannot."""
        running = self.is_running
        problem = "" if running else self.form.problem
        if not self._answers.is_prepared:
            problem = "Looking for devices…"
        resumable = self.form.name.unfinished and not self.form.name.overwrite
        name = self.form.name.problem
        self.form.setEnabled(not running)
        self.bar.show_problem("" if running else problem or name)
        self.bar.show_doing(
            self._doing,
            can_train=not problem and not name,
            can_resume=resumable and not problem,
        )
        can_search = self.view.can_search and not self._doing.waiting
        self.watch.guide.next_button.setEnabled(can_search)
        self.watch.guide.accept_button.setEnabled(self.view.can_accept)

    def _chose_level(self, level: int | None) -> None:
        self._level = level

    def _lay_out(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.addTab(Scrolled(self.form, self.recipes), "Set up")
        self.tabs.addTab(Scrolled(self.watch), "Watch")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.bar)

    def _connect(self) -> None:
        for signal, slot in (
            (self.form.changed, self._form_changed),
            (self._answers.prepared, self._update),
            (self.recipes.unfinished, self._resume_as),
            (self.recipes.said, self.bar.progress.say),
            (self.recipes.failed, self._refuse),
            (self.bar.train, self.train),
            (self.bar.resume, self.resume),
            (self.bar.pause, self.pause),
            (self.bar.stop, self.stop),
            (self.bar.segment, self.segment),
            (self.watch.level_chosen, self._chose_level),
            (self.watch.guide.next_place, self.view.next_place),
            (self.watch.guide.accept, self.view.accept),
            (self.view.said, self.watch.guide.say),
            (self.view.lost, self.watch.note),
        ):
            signal.connect(slot)

    def _leave(self) -> None:
        """Stop; the last checkpoint stays."""
        if self._worker is not None:
            self._worker.quit()

    def showEvent(self, event: QShowEvent) -> None:
        """Find models and devices once the panel is on the screen."""
        super().showEvent(event)
        self._answers.prepare()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Look again: layers may have been moved, or files removed, meanwhile."""
        super().enterEvent(event)
        self.form.name.look()
        self._update()

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
