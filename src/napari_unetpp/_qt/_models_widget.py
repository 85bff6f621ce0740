"""The Models panel: which there are, what they are, and files in and out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QFile, Slot
from qtpy.QtWidgets import (
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_unetpp._napari import (
    ModelExported,
    ModelMade,
    ModelPreview,
    ModelsListed,
    PreviewRequest,
    export_source,
    import_source,
    is_result,
    list_source,
    preview_model,
    read_layer,
    read_preferences,
    rename_source,
    visible_view,
)
from napari_unetpp._qt._device_queue import Waiting, device_queue, in_turn
from napari_unetpp._qt._folder_watch import FolderWatch
from napari_unetpp._qt._models_buttons import ModelButtons
from napari_unetpp._qt._models_list import ModelList
from napari_unetpp._qt._models_page import ModelPage
from napari_unetpp._qt._run_bar import RunBar
from napari_unetpp._qt._segment_with import segment_with
from napari_unetpp._qt._workers import Cancelled, Failed, Sent, start_run
from napari_unetpp.errors import ImageError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent

    from napari_unetpp._qt._workers import EventWorker
    from napari_unetpp.io import ExportFormat

_LIST_RUN = -1


class ModelsWidget(QWidget):  # type: ignore[misc]
    """Panel with the models at hand.

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
        self._listed = False
        self._choose = self._text = ""
        self.models = ModelList()
        self.models.picked.connect(self._picked)
        self.models.used.connect(self.use)
        self.models.renamed.connect(self._rename_to)
        self.models.deletion_wanted.connect(self.delete)
        self.page = ModelPage()
        self.page.preview_wanted.connect(self.preview)
        self.run_bar = RunBar()
        self.run_bar.cancelled.connect(self.cancel)
        self.buttons = ModelButtons()
        self.buttons.used.connect(self.use)
        self.buttons.import_wanted.connect(self.import_from)
        self.buttons.export_wanted.connect(self.export_to)
        self.buttons.renaming_wanted.connect(self.models.rename_chosen)
        self.buttons.deletion_wanted.connect(self.delete)
        self._lay_out()
        self._watch = FolderWatch(self._preferences.models_folder, self)
        self._watch.changed.connect(self.refresh)
        self._update()

    @property
    def is_running(self) -> bool:
        """Whether something is written, read or tried."""
        return self._worker is not None

    def refresh(self, choose: str = "") -> None:
        """Look for models again."""
        self._choose = choose
        events = partial(list_source, self._preferences.models_folder)
        start_run(self._viewer, events, _LIST_RUN, self._receive)

    def use(self) -> None:
        """Open the Segment panel with the chosen model."""
        model = self.models.chosen
        if model is not None:
            segment_with(self._viewer, Path(model.entry.model), None, self._image())

    def preview(self) -> None:
        """Try the chosen model on what is in view."""
        model = self.models.chosen
        if model is None or model.entry.config is None:
            return
        dims = model.entry.config.network.spatial_dims
        try:
            request = self._preview_request(model.entry.model, dims)
        except ValueError as error:
            self.run_bar.stop(str(error), error=True)
            return
        what = f"a preview of {model.entry.name}"
        events = partial(preview_model, request)
        turn = partial(in_turn, device_queue(), request.device, what, events)
        self._start(f"Trying {model.entry.name}…", turn)

    @Slot(object)  # type: ignore[untyped-decorator]
    def import_from(self, path: Path) -> None:
        """Take over a model."""
        events = partial(import_source, path, self._preferences.models_folder)
        self._start(f"Importing {path.name}…", events)

    @Slot(object, object)  # type: ignore[untyped-decorator]
    def export_to(self, path: Path, form: ExportFormat) -> None:
        """Write the chosen model for other programs."""
        model = self.models.chosen
        if model is not None:
            events = partial(export_source, model.entry.model, path, form)
            self._start(f"Writing {path.name}…", events)

    def delete(self) -> None:
        """Move the chosen model to the trash, once the user agrees."""
        model = self.models.chosen
        if model is None or not model.is_mine or self.is_running:
            return
        asked = QMessageBox.question(
            self, "Delete a model", f"Move {model.entry.name} to the trash?"
        )
        if asked == QMessageBox.StandardButton.Yes:
            self._delete(model.entry.path)

    def cancel(self) -> None:
        """Stop what goes on."""
        if self._worker is not None:
            self.run_bar.stopping()
            self._worker.quit()

    def showEvent(self, event: QShowEvent) -> None:
        """Find the models once the panel is on the screen."""
        super().showEvent(event)
        if not self._listed:
            self._listed = True
            self.refresh()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.models, 1)
        layout.addWidget(self.buttons)
        layout.addWidget(self.run_bar)
        layout.addWidget(self.page, 2)

    def _image(self) -> Image | None:
        """Return the image that is looked at: the active one, else the topmost."""
        active = self._viewer.layers.selection.active
        layers = [active, *reversed(self._viewer.layers)]
        found = (la for la in layers if isinstance(la, Image) and not is_result(la))
        return next((la for la in found if la.visible), None)

    def _preview_request(self, model: str, spatial_dims: int) -> PreviewRequest:
        layer = self._image()
        if layer is None:
            raise ImageError("no image is in view; open one to try a model on it")
        source = read_layer(layer)
        return PreviewRequest(
            source=source,
            view=visible_view(self._viewer, layer, source, spatial_dims),
            model=model,
            device=self._preferences.prediction.device,
            spare_cores=self._preferences.spare_cores,
        )

    def _start(
        self, text: str, events: Callable[[], Generator[Any, None, Any]]
    ) -> None:
        if self.is_running:
            return
        self._run += 1
        self.run_bar.start(text)
        self._worker = start_run(self._viewer, events, self._run, self._receive)
        self._update()

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take the list of models, or an event of the present run."""
        if isinstance(sent.event, ModelsListed):
            self.models.show_models(sent.event.models, self._choose)
        elif sent.run == self._run:
            self._follow(sent.event)
        elif sent.run == _LIST_RUN and isinstance(sent.event, Failed):
            self.run_bar.stop(sent.event.message, error=True)

    def _follow(self, event: object) -> None:
        if isinstance(event, Waiting):
            self.run_bar.say(event.text)
        elif isinstance(event, ModelPreview):
            model = self.models.chosen
            if model is not None and model.entry.model == event.model:
                self.page.show_preview(event)
            self._text = ""
        elif isinstance(event, ModelMade):
            self._text = event.text
            self.refresh(event.model)
        elif isinstance(event, ModelExported):
            self._text = event.text
        elif event is not None:
            self._end(event)

    def _end(self, event: object) -> None:
        """Take the last event of a run."""
        self._worker = None
        if isinstance(event, Failed):
            self.run_bar.stop(event.message, error=True)
        else:
            self.run_bar.stop(
                "Stopped." if isinstance(event, Cancelled) else self._text
            )
        self._update()

    @Slot(str)  # type: ignore[untyped-decorator]
    def _rename_to(self, name: str) -> None:
        model = self.models.chosen
        if model is not None and model.is_mine:
            events = partial(rename_source, model.entry.path, name)
            self._start(f"Renaming {model.entry.name}…", events)

    def _delete(self, path: Path) -> None:
        """Move a model's files to the trash, or delete them where there is none."""
        from napari_unetpp.io import delete_model, model_files

        try:
            moved = [QFile(str(each)).moveToTrash() for each in model_files(path)]
            if not all(moved):
                delete_model(path)
        except OutputError as error:
            self.run_bar.stop(str(error), error=True)
            return
        self.run_bar.stop(f"Deleted: {path.name}")
        self.refresh()

    @Slot()  # type: ignore[untyped-decorator]
    def _picked(self) -> None:
        self.page.show_model(self.models.chosen)
        self.run_bar.forget_error()
        self._update()

    def _update(self) -> None:
        model, idle = self.models.chosen, not self.is_running
        sound = model is not None and model.entry.config is not None
        self.page.preview_button.setEnabled(sound and idle)
        self.buttons.follow(model, idle=idle)
