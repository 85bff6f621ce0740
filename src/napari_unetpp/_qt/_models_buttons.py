"""What can be done with the models of the Models panel: its buttons and dialogs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QMenu,
    QPushButton,
    QWidget,
)

if TYPE_CHECKING:
    from napari_unetpp._napari import ModelShown
    from napari_unetpp.io import ExportFormat

FORMATS: tuple[tuple[ExportFormat, str, str, str], ...] = (
    (
        "bioimageio",
        ".zip",
        "bioimage.io package…",
        "For ilastik, deepImageJ and others",
    ),
    ("onnx", ".onnx", "ONNX…", "For programs with onnxruntime; needs the extra onnx"),
    ("torchscript", ".pt", "TorchScript…", "For programs with libtorch"),
    ("torch-export", ".pt2", "torch.export…", "For programs with torch 2"),
)
"""Formats, how their files end, words of the menu, and what they are good for."""


class ModelButtons(QWidget):  # type: ignore[misc]
    """Buttons that ask for what they need, and tell it."""

    used = Signal()
    import_wanted = Signal(object)
    export_wanted = Signal(object, object)
    renaming_wanted = Signal()
    deletion_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self.use = self._button("Segment with it", self.used)
        self.use.setToolTip("Open the Segment panel with this model (Enter)")
        self.import_ = self._button("Import…", self.ask_for_import)
        self.import_.setToolTip(
            "A bioimage.io package (ZIP), of ours or of others, or a .safetensors file"
        )
        self.export = QPushButton("Export")
        self.export.setToolTip("Write the model for other programs")
        self.export.setMenu(self._menu())
        self.rename = self._button("Rename", self.renaming_wanted)
        self.rename.setToolTip("Type another name in the list (F2)")
        self.delete = self._button("Delete", self.deletion_wanted)
        self.delete.setToolTip("Move its file to the trash (Delete)")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.use, 0, 0, 1, 2)
        for column, button in enumerate((self.import_, self.export)):
            layout.addWidget(button, 1, column)
        for column, button in enumerate((self.rename, self.delete)):
            layout.addWidget(button, 2, column)

    def follow(self, model: ModelShown | None, *, idle: bool) -> None:
        """Offer what can be done with a model now."""
        self._name = "" if model is None else model.entry.name
        config = None if model is None else model.entry.config
        self.use.setEnabled(config is not None)
        self.import_.setEnabled(idle)
        ours = config is not None and config.network.program is None
        self.export.setEnabled(ours and idle)
        for button in (self.rename, self.delete):
            button.setEnabled(model is not None and model.is_mine and idle)

    def ask_for_import(self) -> None:
        """Ask for a package or a model file."""
        path, _ = QFileDialog.getOpenFileName(
            self,
            "Import a model",
            str(Path.home()),
            "Models (*.zip *.safetensors bioimageio.yaml rdf.yaml)",
        )
        if path:
            self.import_wanted.emit(Path(path))

    def ask_for_export(self, form: ExportFormat, suffix: str) -> None:
        """Ask for a file to write the model to."""
        start = str(Path.home() / f"{self._name}{suffix}")
        path, _ = QFileDialog.getSaveFileName(
            self, "Export a model", start, f"{form} (*{suffix})"
        )
        if path:
            self.export_wanted.emit(Path(path).with_suffix(suffix), form)

    def _menu(self) -> QMenu:
        menu = QMenu(self.export)
        menu.setToolTipsVisible(True)
        for form, suffix, words, hint in FORMATS:
            action = menu.addAction(words)
            action.setToolTip(hint)
            action.triggered.connect(partial(self._export, form, suffix))
        return menu

    def _export(self, form: ExportFormat, suffix: str, *_: object) -> None:
        self.ask_for_export(form, suffix)

    @staticmethod
    def _button(text: str, told: object) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(told)
        return button
