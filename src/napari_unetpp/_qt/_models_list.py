"""The list of the Models panel: bundled, trained, imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent

    from napari_unetpp._napari import ModelShown

_GROUPS = (
    ("bundled", "Bundled", "They come with the package and stay as they are"),
    ("trained", "Trained", "In your folder of models"),
    ("imported", "Imported", "Taken over from bioimage.io packages of others"),
)
_LINES = 9


class ModelList(QTreeWidget):  # type: ignore[misc]
    """Models in groups; F2 renames one's own, Delete deletes it, Enter uses it."""

    picked = Signal()
    used = Signal()
    renamed = Signal(str)
    deletion_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._models: dict[str, ModelShown] = {}
        self.setColumnCount(2)
        self.setHeaderLabels(["Model", "Finds"])
        self.setAccessibleName("Models")
        self.setRootIsDecorated(False)
        self.setIndentation(10)
        self.setUniformRowHeights(True)
        self.setEditTriggers(QAbstractItemView.EditKeyPressed)
        self.header().setSectionResizeMode(0, QHeaderView.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeToContents)
        self.header().setStretchLastSection(False)
        self.setMinimumHeight(_LINES * self.fontMetrics().lineSpacing())
        self.setToolTip("Double click: segment with it. F2: rename. Delete: delete.")
        self.currentItemChanged.connect(lambda *_: self.picked.emit())
        self.itemDoubleClicked.connect(self._double_clicked)
        self.itemChanged.connect(self._edited)

    @property
    def chosen(self) -> ModelShown | None:
        """The model that is chosen."""
        item = self.currentItem()
        return None if item is None else self._models.get(self._key(item))

    def show_models(self, models: Sequence[ModelShown], choose: str = "") -> None:
        """Show models; the chosen one stays chosen, unless another is named."""
        before = self.chosen
        wanted = choose or (before.entry.model if before else "")
        with QSignalBlocker(self):
            self.clear()
            self._models = {each.entry.model: each for each in models}
            for origin, title, hint in _GROUPS:
                members = [m for m in models if m.entry.origin == origin]
                self._add_group(title, hint, members)
            self.expandAll()
            self.choose(wanted if wanted in self._models else models[0].entry.model)
        self.picked.emit()

    def choose(self, model: str) -> None:
        """Choose a model by what it is loaded by."""
        for row in range(self.topLevelItemCount()):
            group = self.topLevelItem(row)
            for place in range(group.childCount()):
                if self._key(group.child(place)) == model:
                    self.setCurrentItem(group.child(place))

    def rename_chosen(self) -> None:
        """Let the user type another name in the list."""
        item = self.currentItem()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEditable:
            self.setFocus()
            self.editItem(item, 0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Use the chosen model with Enter, delete it with Delete."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.used.emit()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.deletion_wanted.emit()
        else:
            super().keyPressEvent(event)

    def _add_group(self, title: str, hint: str, models: list[ModelShown]) -> None:
        if not models:
            return
        group = QTreeWidgetItem([title, ""])
        group.setFlags(Qt.ItemFlag.ItemIsEnabled)
        group.setToolTip(0, hint)
        font = group.font(0)
        font.setBold(True)
        group.setFont(0, font)
        self.addTopLevelItem(group)
        for model in models:
            item = QTreeWidgetItem([model.entry.name, model.finds])
            item.setData(0, Qt.ItemDataRole.UserRole, model.entry.model)
            tip = dict(model.facts).get("For", "")
            item.setToolTip(0, "\n".join(filter(None, (tip, str(model.entry.path)))))
            if model.is_mine:
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            group.addChild(item)

    @staticmethod
    def _key(item: QTreeWidgetItem) -> str:
        return str(item.data(0, Qt.ItemDataRole.UserRole) or "")

    def _double_clicked(self, *_: object) -> None:
        if self.chosen is not None:
            self.used.emit()

    def _edited(self, item: QTreeWidgetItem, column: int) -> None:
        """Tell the new name, and show the old one until it is that of the file."""
        model = self._models.get(self._key(item))
        if model is None or column or item.text(0) == model.entry.name:
            return
        name = item.text(0)
        with QSignalBlocker(self):
            item.setText(0, model.entry.name)
        self.renamed.emit(name)
