"""Which network is trained: a new one of some size, or a model to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_unetpp._qt._model_choice import ModelChoice
from napari_unetpp._qt._text import small_label

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtWidgets import QFormLayout, QWidget

    from napari_unetpp._napari import Choices, Described, Sizes

NEW_NETWORK = "a new network"
_SIZES = ("small", "base", "paper")


class NetworkFields(QObject):  # type: ignore[misc]
    """Fields that say which network is trained.

    `base_changed` tells that a model was chosen which is to be described
    (`show_base`), `network_changed` that the sizes are to be weighed (`show_sizes`).
    """

    changed = Signal()
    base_changed = Signal()
    network_changed = Signal()

    def __init__(self, models_folder: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._base: Described | None = None
        self._has_z = False
        self.dimensions = QComboBox()
        self.dimensions.setToolTip(
            "3-D sees neighbouring planes, and needs strokes in several of them;\n2-D"
            " looks at every plane on its own, is faster and needs fewer labels."
        )
        self.dimensions.addItem("3-D (planes together)", 3)
        self.dimensions.addItem("2-D (each plane on its own)", 2)
        self.models = ModelChoice("", models_folder, none=NEW_NETWORK)
        self.models.setToolTip(
            "A model that has learnt something similar needs less time and fewer"
            "\nlabels. It may have other classes or channels: what fits is kept."
        )
        self.base_text = small_label()
        self.sizes = QComboBox()
        self.sizes.setToolTip("Feature maps of a new network; more learns more, slower")
        for size in _SIZES:
            self.sizes.addItem(size, size)
        self.size_text = small_label()
        for box, name in ((self.dimensions, "Dimensions"), (self.sizes, "Size")):
            box.setAccessibleName(name)
            box.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.dimensions.currentIndexChanged.connect(self._network_chosen)
        self.sizes.setCurrentIndex(self.sizes.findData("base"))
        self.sizes.currentIndexChanged.connect(self._show_size)
        self.models.model_changed.connect(self._base_chosen)

    def add_to(self, rows: QFormLayout) -> None:
        """Put the fields into a form."""
        self._rows = rows
        for text, field in (
            ("Start from", self.models),
            ("", self.base_text),
            ("Network", self.dimensions),
            ("Size", self.sizes),
            ("", self.size_text),
        ):
            rows.addRow(text, field)
        self._show_rows()

    @property
    def base(self) -> str:
        """Name or path of the model to start from, empty for none."""
        return self.models.model

    @property
    def described(self) -> Described | None:
        """The model to start from, once it was looked into."""
        return self._base if self.base else None

    @property
    def size(self) -> Literal["small", "base", "paper"]:
        """Width of a new network."""
        size: Literal["small", "base", "paper"] = self.sizes.currentData()
        return size

    @property
    def chosen_dims(self) -> Literal[2, 3] | None:
        """Dimensions of a new network, ``None`` for those of the model."""
        return None if self.base else self._dims

    @property
    def spatial_dims(self) -> int:
        """Dimensions of the network, as far as they are known."""
        described = self.described
        return described.config.network.spatial_dims if described else self._dims

    def set_has_z(self, has_z: bool) -> None:
        """Offer 3-D if all images have planes; it is chosen when they first have."""
        if has_z and not self._has_z:
            with QSignalBlocker(self.dimensions):
                self.dimensions.setCurrentIndex(0)
        self._has_z = has_z
        self._show_rows()

    def show_base(self, described: Described) -> None:
        """Say what the model is that training starts from."""
        self._base = described
        config = described.config
        n = config.network.in_channels
        sees = {"grey": "grey", "rgb": "grey or colour"}.get(
            config.channels, f"{n} channel{'s' * (n > 1)}"
        )
        self.base_text.setText(
            f"{config.network.spatial_dims}-D, {sees}: {', '.join(config.class_names)}."
            " What fits is kept, and said at the start."
        )
        self._network_chosen()

    def show_base_problem(self, message: str) -> None:
        """Say why a model cannot be started from."""
        self._base = None
        self.base_text.setText(message)
        self.changed.emit()

    def show_sizes(self, sizes: Sizes) -> None:
        """Say what each size of a network costs."""
        role = Qt.ItemDataRole.ToolTipRole
        for i in range(self.sizes.count()):
            self.sizes.setItemData(i, sizes.words.get(self.sizes.itemData(i), ""), role)
        self._show_size()

    def show_choices(self, choices: Choices) -> None:
        """Show what a recipe chooses."""
        self.models.choose(choices.base)
        self.sizes.setCurrentIndex(self.sizes.findData(choices.size))
        if choices.spatial_dims:
            at = self.dimensions.findData(choices.spatial_dims)
            self.dimensions.setCurrentIndex(at)

    @property
    def _dims(self) -> Literal[2, 3]:
        return 3 if self._has_z and self.dimensions.currentData() == 3 else 2

    def _base_chosen(self) -> None:
        self._base = None
        self.base_text.setText("")
        self._show_rows()
        self.changed.emit()
        if self.base:
            self.base_changed.emit()

    def _network_chosen(self, *_: Any) -> None:
        self.network_changed.emit()
        self.changed.emit()

    def _show_size(self, *_: Any) -> None:
        words = self.sizes.currentData(Qt.ItemDataRole.ToolTipRole)
        self.size_text.setText(words or "")
        self.changed.emit()

    def _show_rows(self) -> None:
        new = not self.base
        shown: tuple[tuple[QWidget, bool], ...] = (
            (self.base_text, not new),
            (self.dimensions, new and self._has_z),
            (self.sizes, new),
            (self.size_text, new),
        )
        for field, visible in shown:
            self._rows.setRowVisible(field, visible)
