"""How the images of a batch are segmented, and what is kept: fields of the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_unetpp._qt._device_choice import DeviceChoice
from napari_unetpp._qt._diameter_field import DiameterField
from napari_unetpp._qt._folder_choice import FolderChoice
from napari_unetpp._qt._forms import SettingsForm
from napari_unetpp._qt._model_choice import ModelChoice
from napari_unetpp._qt._segment_form import ADVANCED, HOW
from napari_unetpp._qt._text import small_label
from napari_unetpp.config import PredictionConfig

if TYPE_CHECKING:
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_unetpp._napari import Described, Preferences, Prepared
    from napari_unetpp._recipe import SegmentRecipe
    from napari_unetpp.config import OutputKind

    Form = Literal["auto", "tif", "zarr"]

_KEPT: tuple[tuple[str, tuple[OutputKind, ...] | None], ...] = (
    ("Labels", ("labels",)),
    ("Labels and probabilities", ("labels", "mean", "uncertainty")),
    ("All, each head too", None),
)
_FORMS: tuple[tuple[str, Form], ...] = (
    ("TIFF, huge ones OME-Zarr", "auto"),
    ("OME-TIFF", "tif"),
    ("OME-Zarr", "zarr"),
)
_ALL = -1
_FOLDER_HELP = (
    "Folder for the results, NAME_labels.tif or NAME.ome.zarr; made if needed. What is"
    "\ndone lies there: a batch that was stopped goes on, also after napari was closed,"
    "\nwhen the same images are started again with the same folder."
)


class BatchForm(QWidget):  # type: ignore[misc]
    """Fields of the Batch panel, without its images.

    `changed` tells that the user changed any of them, `model_changed` that a model was
    chosen which is to be described (`show_model`), `described` that it was.
    """

    changed = Signal()
    described = Signal()
    model_changed = Signal()

    def __init__(self, viewer: Viewer, preferences: Preferences) -> None:
        super().__init__()
        self._viewer = viewer
        self._described: Described | None = None
        self._model_problem = ""
        prediction = preferences.prediction
        self.models = ModelChoice(preferences.model, preferences.models_folder)
        self.model_text = small_label()
        self.devices = DeviceChoice(prediction.device)
        self.how = SettingsForm(prediction, HOW)
        self.diameter = DiameterField(viewer, self._active_image)
        self.folder_choice = FolderChoice("choose a folder", _FOLDER_HELP)
        self.kept = QComboBox()
        self.forms = QComboBox()
        self.axes_field = QLineEdit()
        self.channel = QSpinBox()
        self.overwrite = QCheckBox("Replace other results")
        self.advanced = SettingsForm(prediction, ADVANCED)
        self._set_up_fields()
        self._lay_out()
        self._connect()

    @property
    def settings(self) -> PredictionConfig:
        """How the model is run."""
        values = self.how.values() | self.advanced.values()
        return PredictionConfig(
            device=self.devices.device, diameter=self.diameter.value, **values
        )

    @property
    def folder(self) -> Path | None:
        """Where results lie, ``None`` while nothing is chosen."""
        return self.folder_choice.folder

    @property
    def kinds(self) -> tuple[OutputKind, ...] | None:
        """Results that are kept, ``None`` for all."""
        index: int = self.kept.currentIndex()
        return _KEPT[index][1]

    @property
    def form(self) -> Form:
        """TIFF or OME-Zarr."""
        index: int = self.forms.currentIndex()
        return _FORMS[index][1]

    @property
    def axes(self) -> str | None:
        """Axes of the images, ``None`` to take what they say themselves."""
        return self.axes_field.text().strip().upper() or None

    @property
    def one_channel(self) -> int | None:
        """The one channel that is used, ``None`` for all."""
        value: int = self.channel.value()
        return None if value == _ALL else value

    @property
    def problem(self) -> str:
        """Why nothing can be segmented with these settings, empty if it can."""
        if self._model_problem:
            return self._model_problem
        if self.folder is None:
            return "choose a folder for the results (Save to)"
        if self._described is not None and self.diameter.value is not None:
            return self._described.without_diameter(self.diameter.value)
        return ""

    def suggest_folder(self, folder: Path) -> None:
        """Choose a folder, unless one is chosen."""
        if self.folder is None:
            self.folder_choice.choose(folder)

    def show_prepared(self, found: Prepared) -> None:
        """Offer models and devices."""
        self.models.offer(found.models, found.words)
        self.devices.offer(found.devices)

    def show_model(self, described: Described) -> None:
        """Say what a model is, and let the other fields follow it."""
        self._described, self._model_problem = described, ""
        config = described.config
        self.how.fields["level"].setMaximum(config.network.depth)
        what = (
            "objects" if config.task == "instances" else ", ".join(config.class_names)
        )
        dims = f"{config.network.spatial_dims}-D, {what}"
        self.model_text.setText("\n".join(filter(None, (config.description, dims))))
        self.diameter.show_learnt(config.diameter)
        self.described.emit()

    def show_model_problem(self, message: str) -> None:
        """Say why a model cannot be used."""
        self._described, self._model_problem = None, message
        self.model_text.setText("")
        self.described.emit()

    def show_recipe(self, recipe: SegmentRecipe) -> None:
        """Show all that a recipe says but its images."""
        settings, kept = recipe.settings, recipe.results
        self.models.choose(recipe.model)
        self.how.show_settings(settings)
        self.advanced.show_settings(settings)
        self.diameter.show_value(settings.diameter)
        self.devices.choose(settings.device)
        self.folder_choice.choose(recipe.output)
        kinds = [kinds for _, kinds in _KEPT]
        wanted = None if kept.kinds is None else tuple(sorted(kept.kinds))
        same = [None if k is None else tuple(sorted(k)) for k in kinds]
        self.kept.setCurrentIndex(
            same.index(wanted) if wanted in same else len(same) - 1
        )
        self.forms.setCurrentIndex([form for _, form in _FORMS].index(kept.form))

    def _active_image(self) -> Image | None:
        """Return the layer across whose objects a line can be drawn."""
        layer = self._viewer.layers.selection.active
        return layer if isinstance(layer, Image) else None

    def _set_up_fields(self) -> None:
        for text, _ in _KEPT:
            self.kept.addItem(text)
        self.kept.setAccessibleName("Keep")
        self.kept.setToolTip(
            "What is written of each image. Probabilities take one byte a pixel and"
            "\nclass, each head as much again."
        )
        for text, _ in _FORMS:
            self.forms.addItem(text)
        self.forms.setAccessibleName("Files")
        self.forms.setToolTip("OME-Zarr has several sizes, for images of any extent")
        for box in (self.kept, self.forms):
            box.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.axes_field.setAccessibleName("Axes")
        self.axes_field.setPlaceholderText("as each image says")
        self.axes_field.setToolTip(
            "One letter for each axis of the images as stored, such as ZCYX, where they"
            "\ndo not say so: T time, C channels, Z depth, Y rows, X columns"
        )
        self.channel.setAccessibleName("Channel")
        self.channel.setRange(_ALL, 999)
        self.channel.setValue(_ALL)
        self.channel.setSpecialValueText("all")
        self.channel.setToolTip("The one channel that the model sees, counted from 0")
        self.overwrite.setToolTip(
            "Results in the folder that were made with other settings, another model or"
            "\nof another image are replaced. Otherwise they are in the way, and told."
        )

    def _lay_out(self) -> None:
        rows = self.how.rows
        rows.insertRow(0, "Model", self.models)
        rows.insertRow(1, "", self.model_text)
        rows.addRow("Object size", self.diameter)
        rows.addRow("Save to", self.folder_choice)
        rows.addRow("Keep", self.kept)
        more = self.advanced.rows
        more.insertRow(0, "Device", self.devices)
        more.insertRow(1, "Files", self.forms)
        more.insertRow(2, "Axes", self.axes_field)
        more.insertRow(3, "Channel", self.channel)
        more.addRow(self.overwrite)
        collapsed = QCollapsible("Advanced")
        collapsed.addWidget(self.advanced)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.how)
        layout.addWidget(collapsed)

    def _connect(self) -> None:
        self.models.model_changed.connect(self.model_changed)
        for signal in (
            self.models.model_changed,
            self.how.changed,
            self.advanced.changed,
            self.diameter.changed,
            self.folder_choice.changed,
            self.devices.currentIndexChanged,
            self.kept.currentIndexChanged,
            self.forms.currentIndexChanged,
            self.axes_field.textChanged,
            self.channel.valueChanged,
            self.overwrite.toggled,
        ):
            signal.connect(self._tell)

    def _tell(self, *_: object) -> None:
        self.changed.emit()
