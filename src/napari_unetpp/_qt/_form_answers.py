"""What the Train form asks for, found out in other threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal, Slot

from napari_unetpp._napari import (
    Described,
    LabelsCounted,
    Prepared,
    Sizes,
    count_labels,
    describe,
    prepare,
    weigh_sizes,
)
from napari_unetpp._qt._label_watcher import LabelWatcher
from napari_unetpp._qt._workers import Failed, Sent, start_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_unetpp._qt._train_form import TrainForm

_QUIET_MS = 400
"""How long nobody must paint before labels are counted again."""


class FormAnswers(QObject):  # type: ignore[misc]
    """Counts labels, weighs networks, looks into models and finds devices for a form.

    Attributes
    ----------
    is_prepared : bool
        Whether models and devices were found, and torch was imported.
    is_answering : bool
        Whether the form changes now because of an answer, not of its user.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    form : TrainForm
        Who asks.
    models_folder : Path
        Folder of the user's models.
    parent : QObject
        The panel.
    """

    prepared = Signal()

    def __init__(
        self, viewer: Viewer, form: TrainForm, models_folder: Path, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._form, self._folder = viewer, form, models_folder
        self._asked: dict[type, int] = {}
        self.is_prepared = False
        self.is_answering = False
        self._painted = LabelWatcher(self)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self._count_labels)
        self._painted.touched.connect(self._quiet.start)
        form.labels_changed.connect(self._labels_chosen)
        form.network.network_changed.connect(self._weigh)
        form.network.base_changed.connect(self._describe_base)
        self._labels_chosen()

    def prepare(self) -> None:
        """Find models and devices, once; torch is imported for it."""
        if Prepared not in self._asked:
            self._ask(Prepared, partial(prepare, self._folder))

    def look_again(self) -> None:
        """Count labels that were painted while the form was not in use."""
        self._quiet.start()

    @Slot()  # type: ignore[untyped-decorator]
    def _labels_chosen(self) -> None:
        self._painted.watch(self._form.labels_layers)
        self._quiet.start()

    @Slot()  # type: ignore[untyped-decorator]
    def _count_labels(self) -> None:
        layers = self._form.labels_layers
        data = [la.data[0] if la.multiscale else la.data for la in layers]
        if data and self._form.isEnabled():  # a training has the processor otherwise
            self._ask(LabelsCounted, partial(count_labels, data))

    @Slot()  # type: ignore[untyped-decorator]
    def _weigh(self) -> None:
        if not self.is_prepared:  # torch would be imported twice at once
            return
        dims = self._form.network.spatial_dims
        chosen = self._form.advanced.training.values()
        patch, batch = chosen.get("patch"), chosen.get("batch")
        n = self._form.n_channels
        self._ask(Sizes, partial(weigh_sizes, dims, n, patch, batch))

    @Slot()  # type: ignore[untyped-decorator]
    def _describe_base(self) -> None:
        self._ask(Described, partial(describe, self._form.network.base))

    def _ask(
        self, kind: type, make_events: Callable[[], Generator[Any, None, None]]
    ) -> None:
        """Have something found out; only the answer to the last question is taken."""
        self._asked[kind] = self._asked.get(kind, 0) + 1
        receive = self._receive_base if kind is Described else self._receive
        start_run(self._viewer, make_events, self._asked[kind], receive)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        if sent.run == self._asked.get(type(sent.event)):
            self.is_answering = True
            self._answer(sent.event)
            self.is_answering = False

    def _answer(self, event: Any) -> None:
        if isinstance(event, Prepared):
            self.is_prepared = True
            self._form.show_prepared(event)
            self._weigh()
            self.prepared.emit()
        elif isinstance(event, LabelsCounted):
            self._form.show_counts(event)
        elif isinstance(event, Sizes):
            self._form.network.show_sizes(event)
        elif isinstance(event, Described):
            self._form.show_base(event)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive_base(self, sent: Sent) -> None:
        """Take what was found out about the model to start from, or why nothing was."""
        if isinstance(sent.event, Failed) and sent.run == self._asked[Described]:
            self._form.network.show_base_problem(sent.event.message)
        else:
            self._receive(sent)
