"""Recipes: saved from a form, and loaded into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal, Slot
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_unetpp._napari import RecipeSaved
from napari_unetpp._qt._workers import Failed, Sent, start_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.viewer import Viewer

_KINDS = "Recipes (*.yaml *.yml)"
_SUFFIXES = (".yaml", ".yml")


class RecipeButtons(QWidget):  # type: ignore[misc]
    """Buttons that save a recipe and load one.

    `said` tells what became of it, `failed` what went wrong.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    """

    said = Signal(str)
    failed = Signal(str)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = 0
        self.save_button = QPushButton("Save recipe…")
        self.save_button.setToolTip(
            "Write all that is chosen here to a file, to be run again from here, from"
            "\nthe command line (napari-unetpp run FILE) or from Python. Layers that"
            "\nlie in no file are written beside it."
        )
        self.save_button.clicked.connect(self._ask_save)
        self.load_button = QPushButton("Load recipe…")
        self.load_button.setToolTip("Open a recipe with the files that it names")
        self.load_button.clicked.connect(self._ask_load)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.save_button)
        layout.addWidget(self.load_button)

    def save(self, path: Path) -> None:
        """Write a recipe of what the form says now."""
        if path.suffix not in _SUFFIXES:
            path = path.with_name(f"{path.name}{_SUFFIXES[0]}")
        try:
            make_events = self._saving(path)
        except ValueError as error:  # a setting, or something about the layers
            self.failed.emit(str(error))
            return
        self.said.emit("Saving the recipe…")
        self._start(make_events)

    def load(self, path: Path) -> None:
        """Open a recipe: its files as layers, all else into the form."""
        self.said.emit("Loading the recipe…")
        self._start(self._loading(path))

    def _saved_text(self, path: Path) -> str:
        """Return what is said once a recipe was saved."""
        return f"Saved: {path}"

    def _suggested(self) -> str:
        """Return a name for the file of a recipe."""
        raise NotImplementedError

    def _saving(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        """Return what saves a recipe in another thread."""
        raise NotImplementedError

    def _loading(self, path: Path) -> Callable[[], Generator[Any, None, None]]:
        """Return what loads a recipe in another thread."""
        raise NotImplementedError

    def _show(self, opened: Any) -> None:
        """Show a recipe that was loaded."""
        raise NotImplementedError

    def _start(self, make_events: Callable[[], Generator[Any, None, None]]) -> None:
        self._run += 1
        start_run(self._viewer, make_events, self._run, self._receive)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        event = sent.event
        if sent.run != self._run:
            return
        if isinstance(event, Failed):
            self.failed.emit(event.message)
        elif isinstance(event, RecipeSaved):
            self.said.emit(self._saved_text(event.path))
        elif self._is_opened(event):
            self._show(event)

    def _is_opened(self, event: Any) -> bool:
        """Return whether an event is a recipe that was loaded."""
        raise NotImplementedError

    def _ask_save(self) -> None:
        start = str(Path.home() / f"{self._suggested()}{_SUFFIXES[0]}")
        path, _ = QFileDialog.getSaveFileName(self, "Save a recipe", start, _KINDS)
        if path:
            self.save(Path(path))

    def _ask_load(self) -> None:
        start = str(Path.home())
        path, _ = QFileDialog.getOpenFileName(self, "Load a recipe", start, _KINDS)
        if path:
            self.load(Path(path))
