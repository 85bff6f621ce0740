"""A folder, typed or chosen, or none."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

_HELP = (
    "Folder in which results of a whole image grow, as OME-Zarr. A run that was"
    "\nstopped goes on there, also after napari was closed; start it again with"
    "\nthe same folder. Left empty, results are layers only."
)


class FolderChoice(QWidget):  # type: ignore[misc]
    """Line for the path of a folder with a button that lets one choose it.

    Parameters
    ----------
    none : str
        Shown while no folder is chosen.
    tip : str
        Tool tip.
    """

    changed = Signal()

    def __init__(self, none: str = "not saved", tip: str = _HELP) -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.setAccessibleName("Save to")
        self.line.setPlaceholderText(none)
        self.line.setClearButtonEnabled(True)
        self.line.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.line.setToolTip(tip)
        self.line.textChanged.connect(self._tell)
        button = QToolButton()
        button.setText("…")
        button.setToolTip("Choose a folder")
        button.clicked.connect(self._ask)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line)
        layout.addWidget(button)

    @property
    def folder(self) -> Path | None:
        """The folder, which need not exist."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def choose(self, folder: Path | None) -> None:
        """Choose a folder, or none."""
        self.line.setText("" if folder is None else str(folder))

    def _ask(self) -> None:
        start = str(self.folder or Path.home())
        path = QFileDialog.getExistingDirectory(self, "Save results to", start)
        if path:
            self.choose(Path(path))

    def _tell(self, *_: object) -> None:
        self.changed.emit()
