"""Which images a batch is about: buttons over the table that add and remove them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt, Signal, Slot
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_unetpp._image_files import SUFFIXES
from napari_unetpp._napari import BatchItem, ItemsFound, file_of, find_items, is_result
from napari_unetpp._napari import read_layer as read
from napari_unetpp._qt._batch_table import BatchTable
from napari_unetpp._qt._text import small_label
from napari_unetpp._qt._workers import Failed, Sent, start_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

_ALL_LAYERS = "All images of the viewer"
_IMAGES = " ".join(f"*{suffix}" for suffix in SUFFIXES if suffix != ".zarr")
_RESULTS = "segmented"
"""Folder for results beside the images, unless another one is chosen."""


class BatchImages(QWidget):  # type: ignore[misc]
    """The table of a batch, and what fills it.

    `added` carries a folder that suits for the results, `failed` what went wrong.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    """

    added = Signal(object)
    failed = Signal(str)
    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._run = 0
        self._fixed = False
        self.table = BatchTable()
        self.table.dropped.connect(self.add_paths)
        self.table.removed.connect(self._remove)
        self.table.selected.connect(self._tell_selected)
        self.detail = small_label()
        self.detail.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.MinimumExpanding)
        self.detail.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        self.folder_button = QPushButton("Folder…")
        self.folder_button.setToolTip("Add the images right inside a folder")
        self.folder_button.clicked.connect(self._ask_folder)
        self.files_button = QPushButton("Files…")
        self.files_button.setToolTip("Add image files; files can be dropped here, too")
        self.files_button.clicked.connect(self._ask_files)
        self.layers_button = QPushButton("Layers")
        self.layers_button.setToolTip("Add image layers of this viewer")
        self.layers_menu = QMenu(self.layers_button)
        self.layers_menu.aboutToShow.connect(self._offer_layers)
        self.layers_button.setMenu(self.layers_menu)
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip(
            "Take the selected images out of the table, or all where none is selected;"
            "\nno file is deleted"
        )
        self.remove_button.clicked.connect(self._remove_chosen)
        self._lay_out()

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """The images, as they stand in the table."""
        return tuple(row.item for row in self.table.model_rows.rows)

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Add files, and what is in folders; folders are read in another thread."""
        if self._fixed:
            return
        self._run += 1
        find = partial(find_items, list(paths))
        start_run(self._viewer, find, self._run, self._receive)

    def add_layers(self, layers: Sequence[Layer]) -> None:
        """Add image layers, as they are now."""
        items = [_item_of(la) for la in layers if _is_offered(la)]
        files = [item.file for item in items if item.file is not None]
        self.add_items(items, files[0].parent / _RESULTS if files else None)

    def add_items(self, items: Sequence[BatchItem], folder: Path | None = None) -> None:
        """Add images, and suggest a folder for their results."""
        self.table.model_rows.add(items)
        if folder is not None:
            self.added.emit(folder)
        self.changed.emit()

    def replace(self, items: Sequence[BatchItem]) -> None:
        """Show these images, and no others."""
        rows = self.table.model_rows
        rows.remove(range(len(rows.rows)))
        self.add_items(items)

    def fix(self, fixed: bool) -> None:
        """Let images be added and removed, or not: while a run goes on."""
        self._fixed = fixed
        for button in (
            self.folder_button,
            self.files_button,
            self.layers_button,
            self.remove_button,
        ):
            button.setEnabled(not fixed)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take the images that were found."""
        if isinstance(sent.event, ItemsFound):
            items = sent.event.items
            found = [item.file for item in items if item.file is not None]
            self.add_items(items, found[0].parent / _RESULTS if found else None)
        elif isinstance(sent.event, Failed):
            self.failed.emit(sent.event.message)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (
            self.folder_button,
            self.files_button,
            self.layers_button,
            self.remove_button,
        ):
            button.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)  # may shrink
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.detail)
        self.detail.hide()

    def _offer_layers(self) -> None:
        """Fill the menu with the layers that there are now."""
        self.layers_menu.clear()
        layers = [la for la in self._viewer.layers if _is_offered(la)]
        entry = self.layers_menu.addAction(_ALL_LAYERS)
        entry.setEnabled(bool(layers))
        entry.triggered.connect(partial(self._add_triggered, layers))
        self.layers_menu.addSeparator()
        for layer in reversed(layers):
            one = self.layers_menu.addAction(str(layer.name))
            one.triggered.connect(partial(self._add_triggered, [layer]))

    def _add_triggered(self, layers: Sequence[Layer], *_: object) -> None:
        self.add_layers(layers)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Add a folder", str(Path.home()))
        if path:
            self.add_paths([Path(path)])

    def _ask_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Add images", str(Path.home()), f"Images ({_IMAGES});;All files (*)"
        )
        if paths:
            self.add_paths([Path(path) for path in paths])

    def _remove_chosen(self) -> None:
        n = len(self.table.model_rows.rows)
        self._remove(self.table.chosen or list(range(n)))

    @Slot(object)  # type: ignore[untyped-decorator]
    def _remove(self, indices: Sequence[int]) -> None:
        if not self._fixed:
            self.table.model_rows.remove(indices)
            self.changed.emit()

    @Slot()  # type: ignore[untyped-decorator]
    def _tell_selected(self) -> None:
        """Show what there is to say of the selected image: why it failed."""
        chosen = self.table.chosen
        text = self.table.row_at(chosen[0]).detail if len(chosen) == 1 else ""
        self.detail.setText(text)
        self.detail.setVisible(bool(text))


def _is_offered(layer: Layer) -> bool:
    """Return whether a layer is an image, and none of our results."""
    return isinstance(layer, Image) and not is_result(layer)


def _item_of(layer: Image) -> BatchItem:
    """Return a layer as it is now."""
    return BatchItem(str(layer.name), read(layer), file_of(layer))
