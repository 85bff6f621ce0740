"""What is to be learnt, from what and how: the fields of the Train panel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_unetpp._napari import (
    Choices,
    LabelledSource,
    file_of,
    read_labels_layer,
    read_layer,
    snapshot,
)
from napari_unetpp._qt._device_choice import DeviceChoice
from napari_unetpp._qt._label_fields import LabelFields
from napari_unetpp._qt._name_choice import NameChoice
from napari_unetpp._qt._network_fields import NetworkFields
from napari_unetpp._qt._pairs_table import PairsTable
from napari_unetpp._qt._train_settings import EPOCHS, MINUTES, Budget, TrainSettings
from napari_unetpp.arrays import parse_axes
from napari_unetpp.config import wrong_settings
from napari_unetpp.errors import AxesError, InputError, LabelsError

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_unetpp._napari import (
        Described,
        LabelsCounted,
        Preferences,
        Prepared,
        Source,
    )

_MINUTES = 10.0


class TrainForm(QWidget):  # type: ignore[misc]
    """Fields of the Train panel.

    `changed` tells that any of them did, `labels_changed` that other layers were chosen
    whose pixels are to be counted (`show_counts`).
    """

    changed = Signal()
    labels_changed = Signal()

    def __init__(self, viewer: Viewer, preferences: Preferences) -> None:
        super().__init__()
        self.pairs = PairsTable(viewer)
        self.axes_field = QLineEdit()
        self.channels = QComboBox()
        self.labels = LabelFields(self)
        self.network = NetworkFields(preferences.models_folder, self)
        self.budget = Budget(_MINUTES)
        self.devices = DeviceChoice(preferences.prediction.device)
        self.name = NameChoice(preferences.models_folder)
        self.advanced = TrainSettings()
        self._set_up_fields()
        self._lay_out()
        self._connect()
        self._layers_changed()

    @property
    def image_layers(self) -> list[tuple[Image, ...]]:
        """Layers of each image."""
        return [pair.images for pair in self.pairs.pairs]

    @property
    def labels_layers(self) -> list[Labels]:
        """Labels layers that are chosen."""
        return [p.labels for p in self.pairs.pairs if p.labels is not None]

    @property
    def choices(self) -> Choices:
        """What decides the training, but for the layers.

        Raises
        ------
        ValidationError
            If settings exclude each other.
        """
        return Choices(
            task=self.labels.task,
            unlabelled=self.labels.unlabelled,
            class_names=self.labels.names,
            class_colours=self.labels.colours,
            base=self.network.base,
            size=self.network.size,
            spatial_dims=self.network.chosen_dims,
            channel=self.channels.currentData(),
            settings=self.advanced.settings(self.budget.values),
            nonfinite=self.advanced.nonfinite,
        )

    @property
    def device(self) -> str:
        """What computes."""
        device: str = self.devices.currentData()
        return device

    def sources(self) -> list[LabelledSource]:
        """Return the layers as they are now, labels not copied.

        Raises
        ------
        InputError
            If a layer is missing, or layers do not fit each other.
        """
        found: list[LabelledSource] = []
        for layers in self.pairs.pairs:
            if not layers.images:
                raise AxesError("no image layer; open an image, or a sample from File")
            images = tuple(self._source(layer) for layer in layers.images)
            if layers.labels is None:
                raise LabelsError(
                    f"no labels for {images[0].name!r}: press New and paint, or choose"
                    " a labels layer"
                )
            if any(images[0].data is one.images[0].data for one in found):
                raise LabelsError(
                    f"{images[0].name!r} is chosen twice; leave it out once, so that"
                    " nothing is learnt that is held out"
                )
            labels = read_labels_layer(layers.labels, images[0])
            files = tuple(file_of(layer) for layer in layers.images)
            found.append(LabelledSource(images, labels, files, file_of(layers.labels)))
        return found

    def frozen(self) -> tuple[LabelledSource, ...]:
        """Return the layers as they are now, with copies of the labels."""
        return tuple(
            replace(pair, labels=pair.labels.with_data(snapshot(pair.labels.data)))
            for pair in self.sources()
        )

    @property
    def problem(self) -> str:
        """Why nothing can be learnt now, empty if something can."""
        try:
            sources = self.sources()
            self._check_dimensions(sources)
            _ = self.choices
        except ValidationError as error:
            return wrong_settings(error, "; ")
        except InputError as error:
            return str(error)
        return self.labels.problem

    def show_prepared(self, found: Prepared) -> None:
        """Offer models and devices."""
        self.network.models.offer(found.models, found.words)
        self.devices.offer(found.devices)
        self._tell()

    def show_counts(self, counted: LabelsCounted) -> None:
        """Show what is in the labels."""
        self.labels.show_counts(counted)

    def show_base(self, described: Described) -> None:
        """Say what the model is that training starts from; its classes have names."""
        config = described.config
        if config.task == "classes":
            names = zip(config.class_values, config.class_names, strict=True)
            self.labels.classes.set_names(dict(names))
        self.network.show_base(described)

    def show_choices(self, choices: Choices) -> None:
        """Show what a recipe chooses; layers stay as they are."""
        self.labels.choose(choices.task, choices.unlabelled)
        self.labels.classes.set_names(choices.class_names)
        self.network.show_choices(choices)
        self.channels.setCurrentIndex(self.channels.findData(choices.channel))
        settings = choices.settings
        if settings.epochs is not None:
            self.budget.choose(EPOCHS, settings.epochs)
        else:
            self.budget.choose(MINUTES, settings.minutes or _MINUTES)
        self.advanced.show_settings(settings, choices.nonfinite)
        self._tell()

    def choose_device(self, device: str) -> None:
        """Choose a device if it is there."""
        index = self.devices.findData(device)
        if index >= 0:
            self.devices.setCurrentIndex(index)

    def suggest_name(self) -> None:
        """Suggest the next free name, and look again whether the present one is."""
        layers = self.image_layers[0]
        if layers:
            self.name.suggest(str(layers[0].name))
        self.name.look()
        self._tell()

    def _set_up_fields(self) -> None:
        self.axes_field.setToolTip(
            "One letter for each axis of the image, guessed; correct it if it is wrong."
            "\nT time, C channels, Z depth, Y rows, X columns"
        )
        self.axes_field.setAccessibleName("Axes")
        self.channels.setToolTip("What the network sees; channels are counted from 0")
        self.channels.addItem("all", None)
        self.devices.setToolTip(
            "What computes, and its free memory. One run at a time on each device:\n"
            "others wait, also those of the Segment panel."
        )
        self.channels.setAccessibleName("Channel")
        self.channels.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)

    def _lay_out(self) -> None:
        self.rows = QFormLayout()
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        self.rows.addRow("Axes", self.axes_field)
        self.rows.addRow("Channel", self.channels)
        self.labels.add_to(self.rows)
        self.network.add_to(self.rows)
        self.rows.addRow("Train for", self.budget)
        self.rows.addRow("Device", self.devices)
        self.rows.addRow("Name", self.name)
        more = QCollapsible("Advanced")
        more.addWidget(self.advanced)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        layout.addWidget(self.pairs)
        layout.addLayout(self.rows)
        layout.addWidget(more)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.pairs.changed.connect(self._layers_changed)
        self.axes_field.textChanged.connect(self._axes_changed)
        self.channels.currentIndexChanged.connect(self._channel_chosen)
        for signal in (
            self.labels.changed,
            self.network.changed,
            self.budget.changed,
            self.devices.currentIndexChanged,
            self.name.changed,
            self.advanced.changed,
        ):
            signal.connect(self._tell)

    def _layers_changed(self) -> None:
        """Show the axes of the first image, and let the rest of the form follow."""
        first = self.pairs.pairs[0]
        self.axes_field.setEnabled(bool(first.images))
        with QSignalBlocker(self.axes_field):
            axes = read_layer(first.images[0]).axes if first.images else ""
            self.axes_field.setText(axes)
        self.labels.follow(first.labels)
        self.suggest_name()
        self._axes_changed()
        self.labels_changed.emit()

    def _axes_changed(self, *_: object) -> None:
        """Offer the channels and dimensions that the images have."""
        try:
            sources = [self._source(one[0]) for one in self.image_layers if one]
        except AxesError:
            sources = []
        n = sources[0].n_channels if sources else 1
        rgb = bool(sources) and sources[0].rgb
        with QSignalBlocker(self.channels):
            chosen = self.channels.currentIndex()
            self.channels.clear()
            self.channels.addItem("all (colour)" if rgb else "all", None)
            for i in range(n if n > 1 else 0):
                self.channels.addItem(f"only channel {i}", i)
            self.channels.setCurrentIndex(min(chosen, self.channels.count() - 1))
        self.rows.setRowVisible(self.channels, n > 1)
        has_z = bool(sources) and all("Z" in source.axes for source in sources)
        self.network.set_has_z(has_z)
        self._channel_chosen()

    def _channel_chosen(self, *_: object) -> None:
        self.network.network_changed.emit()
        self._tell()

    @property
    def n_channels(self) -> int:
        """Channels that the network sees."""
        images = self.image_layers[0]
        if self.channels.currentData() is not None or not images:
            return 1
        n_offered: int = self.channels.count() - 1
        return max(len(images), n_offered, 1)

    def _check_dimensions(self, sources: list[LabelledSource]) -> None:
        """Refuse a 3-D model for images that have no planes."""
        base = self.network.base
        for pair in sources:
            image = pair.images[0]
            if self.network.spatial_dims == 3 and "Z" not in image.axes:
                which = (
                    f"the 3-D model {Path(base).stem!r}" if base else "a 3-D network"
                )
                raise AxesError(
                    f"{image.name!r} has the axes {image.axes} without Z, which {which}"
                    " needs; correct the axes, or start from something else"
                )

    def _source(self, layer: Image) -> Source:
        """Return a layer with the axes of the form, if it has as many of them."""
        source, text = read_layer(layer), self.axes_field.text()
        if layer in self.image_layers[0] or len(text.strip()) == source.data.ndim:
            source = source.with_axes(parse_axes(text, source.data.shape))
        return source

    def _tell(self, *_: object) -> None:
        self.changed.emit()
