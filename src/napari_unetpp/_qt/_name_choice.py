"""The name of a new model, which is a file in the folder of models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QLineEdit, QVBoxLayout, QWidget

from napari_unetpp._napari import checkpoint_of

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX = ".safetensors"
_NOT_IN_NAMES = '/\\:*?"<>|\0'
_LONGEST = 100


class NameChoice(QWidget):  # type: ignore[misc]
    """Line for a name, and what there is to say about a name that is taken.

    Parameters
    ----------
    folder : Path
        Folder of the user's models; it need not exist.
    """

    changed = Signal()

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._suggested = ""
        self.line = QLineEdit()
        self.line.setAccessibleName("Name")
        self.line.setMaxLength(_LONGEST)
        self.line.setToolTip(
            f"The model is written to a file of this name in\n{folder}"
            "\nand is at once offered in the Segment panel. While it is trained, its"
            "\nstate lies beside it, so that it can be gone on with."
        )
        self.replace = QCheckBox("Replace what is there")
        self.replace.setToolTip("The old file is kept until the new model is complete")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.line)
        layout.addWidget(self.replace)
        self.line.textChanged.connect(self._edited)
        self.replace.toggled.connect(self._tell)
        self.look()

    @property
    def output(self) -> Path:
        """The file to write."""
        return self.folder / f"{self.line.text().strip()}{_SUFFIX}"

    @property
    def overwrite(self) -> bool:
        """Whether a file of this name may be replaced."""
        return bool(self.replace.isChecked())

    @property
    def exists(self) -> bool:
        """Whether there is a model of this name."""
        return self.output.exists()

    @property
    def unfinished(self) -> bool:
        """Whether a training of this name can be gone on with."""
        return checkpoint_of(self.output).exists()

    @property
    def problem(self) -> str:
        """Why no model can be written under this name, empty if one can."""
        name = self.line.text().strip()
        bad = sorted(set(name) & set(_NOT_IN_NAMES))
        if not name or name.startswith("."):
            return "the model needs a name that does not begin with a dot"
        if bad:
            return f"the name holds {' '.join(bad)}, which cannot be in a file's name"
        if self.overwrite:
            return ""
        if self.unfinished:
            return (
                f"{name!r} is an unfinished training: press Resume to go on with it,"
                " choose another name, or tick Replace"
            )
        if self.exists:
            return f"there is a model {name!r}: choose another name, or tick Replace"
        return ""

    def suggest(self, image: str) -> None:
        """Choose the next free name for models of an image, unless the user chose."""
        if self.line.text() != self._suggested:
            return
        stem = "".join("_" if c in _NOT_IN_NAMES else c for c in image).strip(". ")
        self._suggest_free(stem)

    def go_past(self) -> None:
        """Choose the next free name, now that there is a model of the chosen one."""
        self._suggest_free(re.sub(r"-\d+$", "", self.line.text().strip()))

    def choose(self, name: str) -> None:
        """Choose a name."""
        self.line.setText(name)

    def look(self) -> None:
        """Look again whether the name is taken."""
        taken = bool(self.line.text().strip()) and (self.exists or self.unfinished)
        if not taken:
            with QSignalBlocker(self.replace):
                self.replace.setChecked(False)
        self.replace.setVisible(taken)

    def _suggest_free(self, stem: str) -> None:
        stem = stem[: _LONGEST - 10] or "model"
        number = 1
        while (self.folder / f"{stem}-{number}{_SUFFIX}").exists():
            number += 1
        self._suggested = f"{stem}-{number}"
        self.line.setText(self._suggested)

    def _edited(self, *_: object) -> None:
        with QSignalBlocker(self.replace):
            self.replace.setChecked(False)  # it was said of another name
        self.look()
        self._tell()

    def _tell(self, *_: object) -> None:
        self.changed.emit()
