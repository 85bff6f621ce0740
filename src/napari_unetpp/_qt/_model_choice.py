"""Which model: one that comes with the package, one of the user's, or a file."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal, Slot
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_unetpp._napari import own_models
from napari_unetpp._qt._folder_watch import FolderWatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NONE: Mapping[str, str] = MappingProxyType({})


class ModelChoice(QWidget):  # type: ignore[misc]
    """Combo box of models with a button that opens a file.

    Parameters
    ----------
    model : str
        Chosen at the start: name of a bundled model, or path of a file.
    folder : Path
        The user's models, offered as soon as they are there; the file dialog begins
        here.
    none : str
        Text for no model, which is then the first choice, ``""``.
    """

    model_changed = Signal()

    def __init__(self, model: str, folder: Path, none: str = "") -> None:
        super().__init__()
        self._folder = folder
        self._none = none
        self._models: list[str] = []
        self._words: dict[str, str] = {}
        self._box = QComboBox()
        self._box.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self._box.setAccessibleName("Model")
        self._box.setToolTip("The network and what it was trained for")
        self._box.currentIndexChanged.connect(self._tell)
        button = QToolButton()
        button.setText("File…")
        button.setToolTip("Open a model file (.safetensors)")
        button.clicked.connect(self._ask_for_file)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        layout.addWidget(button)
        if none:
            self.choose("")
        self.choose(model)
        self._watch = FolderWatch(folder, self)
        self._watch.changed.connect(self._offer_new)

    @property
    def model(self) -> str:
        """Name of a bundled model, or path of a file; empty for none."""
        return self._models[int(self._box.currentIndex())]

    def offer(self, models: Sequence[str], words: Mapping[str, str] = _NONE) -> None:
        """Offer these models, and those offered already after them.

        Parameters
        ----------
        models : sequence of str
            Names of bundled models and paths of files.
        words : mapping of str to str
            What models are for, shown as tool tips from now on.
        """
        self._words |= words
        chosen = self.model
        first = [""] if self._none else []
        kept = [m for m in self._models if m not in models and m not in first]
        with QSignalBlocker(self._box):
            self._models = [*first, *models, *kept]
            self._box.clear()
            for model in self._models:
                self._add_item(model)
            self._box.setCurrentIndex(self._models.index(chosen))

    def choose(self, model: str) -> None:
        """Choose a model, which is offered from now on."""
        if model not in self._models:
            self._models.append(model)
            self._add_item(model)
        self._box.setCurrentIndex(self._models.index(model))

    def _add_item(self, model: str) -> None:
        path = Path(model)
        text = path.stem if path.suffix else model
        self._box.addItem(text or self._none)
        tip = "\n".join(filter(None, (self._words.get(model), model)))
        last = self._box.count() - 1
        self._box.setItemData(last, tip, Qt.ItemDataRole.ToolTipRole)

    @Slot()  # type: ignore[untyped-decorator]
    def _offer_new(self) -> None:
        """Offer models that were not there before, after those that come with us."""
        own = own_models(self._folder)
        if not set(own) <= set(self._models):
            bundled = [m for m in self._models if m and not Path(m).suffix]
            self.offer([*bundled, *own])

    def _ask_for_file(self) -> None:
        start = str(self._folder if self._folder.is_dir() else Path.home())
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a model", start, "UNet++ models (*.safetensors)"
        )
        if path:
            self.choose(path)

    def _tell(self, *_: object) -> None:
        self.model_changed.emit()
