"""What is to be segmented, and how: the fields of the Segment panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_unetpp._napari import Inside, Source, read_inside, read_layer
from napari_unetpp._qt._device_choice import DeviceChoice
from napari_unetpp._qt._diameter_field import DiameterField
from napari_unetpp._qt._folder_choice import FolderChoice
from napari_unetpp._qt._forms import Label, SettingsForm
from napari_unetpp._qt._layer_choice import ImageChoice, InsideChoice
from napari_unetpp._qt._model_choice import ModelChoice
from napari_unetpp._qt._text import small_label
from napari_unetpp.arrays import parse_axes
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import AxesError

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_unetpp._napari import Described, Preferences, Prepared
    from napari_unetpp._recipe import SegmentRecipe

HOW = {
    "mode": Label(
        "Mode",
        "Accurate: mean of all heads, each by the share that suits the model.\n"
        "Fast: one head alone.",
        choices={"accurate": "Accurate (all heads)", "fast": "Fast (one head)"},
    ),
    "level": Label(
        "Level",
        "Deepest level of the network that is computed: lower is faster and sees less"
        "\ncontext. In fast mode it is the head that is used.",
        none="deepest",
    ),
}
ADVANCED = {
    "tta": Label(
        "Flip and turn",
        "Average over the eight flips and right-angle turns of the image (test-time\n"
        "augmentation): usually a little better, for eight times the time.",
    ),
    "precision": Label(
        "Precision",
        "float32 is exact; bfloat16 takes half the time and memory where the device\n"
        "computes with it, and changes few labels. Automatic: bfloat16 there.",
        choices={
            "auto": "Automatic",
            "float32": "float32 (exact)",
            "bfloat16": "bfloat16 (fast)",
        },
    ),
    "adaptive": Label(
        "Stop early",
        "Deep levels only where they matter: what another level may still change of a\n"
        "probability, such as 0.1. Faster on sparse images, slower on dense ones.",
        none="off",
    ),
    "link": Label(
        "Join planes",
        "Make one object of what lies over each other in neighbouring Z planes.\n"
        "Off: every plane is numbered on its own. 3-D models do not need it.",
    ),
    "tile": Label(
        "Tile",
        "Edge of the pieces that go through the network, in pixels.\n"
        "The result does not depend on it, only memory and speed do.",
        suffix=" px",
    ),
    "batch": Label(
        "Tiles at once",
        "More may be faster on a GPU and takes more of its memory.",
    ),
    "memory": Label(
        "Memory",
        "Most main memory that a run may take; tiles are made smaller for it.\n"
        "The result stays the same.",
        suffix=" MiB",
        unit=2**20,
    ),
    "skip_bad": Label(
        "Skip bad",
        "Take pieces of the image that cannot be read as dark and tell of them.\n"
        "Off: the run stops there, and goes on once they can be read.",
    ),
    "nonfinite": Label(
        "NaN, infinite",
        "What to do with pixels that are not numbers.",
        choices={"error": "Refuse the image", "background": "Take as background"},
    ),
}


class SegmentForm(QWidget):  # type: ignore[misc]
    """Fields of the Segment panel.

    `changed` tells that any of them did, `model_changed` that a model was chosen which
    is to be described (`show_model`).
    """

    changed = Signal()
    model_changed = Signal()

    def __init__(self, viewer: Viewer, preferences: Preferences) -> None:
        super().__init__()
        self._described: Described | None = None
        self._source: Source | None = None
        self.layers = ImageChoice(viewer)
        self.axes_field = QLineEdit()
        self.channels = QComboBox()
        self.models = ModelChoice(preferences.model, preferences.models_folder)
        self.model_text = small_label()
        self.devices = DeviceChoice(preferences.prediction.device)
        self.how = SettingsForm(preferences.prediction, HOW)
        self.diameter = DiameterField(viewer, lambda: self.layer)
        self.advanced = SettingsForm(preferences.prediction, ADVANCED)
        self.inside_choice = InsideChoice(viewer)
        self.folder_choice = FolderChoice()
        self.heads = QCheckBox("Show every head and the uncertainty")
        self.problem_text = small_label()
        self._set_up_fields()
        self._lay_out()
        self._connect()
        self._read_layer()

    @property
    def layer(self) -> Image | None:
        """The layer that is to be segmented."""
        return self.layers.layer

    @property
    def source(self) -> Source:
        """The layer as it is now, with the axes of the form.

        Raises
        ------
        AxesError
            If there is no layer, or the axes do not fit it.
        """
        if self.layer is None:
            raise AxesError("no image layer; open an image, or a sample from File")
        source = read_layer(self.layer)
        return source.with_axes(parse_axes(self.axes_field.text(), source.data.shape))

    @property
    def channel(self) -> int | None:
        """The one channel that is used, ``None`` for all."""
        chosen: int | None = self.channels.currentData()
        return chosen

    @property
    def inside(self) -> Inside | None:
        """Where results are wanted, as it is now; ``None`` for everywhere."""
        layer = self.inside_choice.layer
        return None if layer is None else read_inside(layer)

    @property
    def folder(self) -> Path | None:
        """Where results of a whole image are kept, ``None`` for nowhere."""
        return self.folder_choice.folder

    @property
    def has_planes(self) -> bool:
        """Whether the image is more than one picture of Y and X."""
        try:
            source = self.source
        except AxesError:
            return True
        sizes = zip(source.shown_axes, source.shown_shape, strict=True)
        return any(size > 1 for letter, size in sizes if letter not in "CYX")

    @property
    def settings(self) -> PredictionConfig:
        """How the model is run."""
        values = self.how.values() | self.advanced.values()
        device, diameter = self.devices.device, self.diameter.value
        return PredictionConfig(device=device, diameter=diameter, **values)

    @property
    def spatial_dims(self) -> int:
        """Dimensions of the model, 2 while it is not known."""
        return self._described.config.network.spatial_dims if self._described else 2

    @property
    def problem(self) -> str:
        """Why nothing can be segmented now, empty if it can."""
        try:
            axes = self.source.axes
        except AxesError as error:
            return str(error)
        if self.spatial_dims == 3 and "Z" not in axes:
            return f"axes {axes} have no Z, which this 3-D model needs"
        if self._described is not None and self.diameter.value is not None:
            return self._described.without_diameter(self.diameter.value)
        return ""

    def show_prepared(self, found: Prepared) -> None:
        """Offer models and devices."""
        self.models.offer(found.models, found.words)
        self.devices.offer(found.devices)

    def show_model(self, described: Described) -> None:
        """Say what a model is, and let the other fields follow it."""
        self._described = described
        config = described.config
        network = config.network
        self.how.fields["level"].setMaximum(network.depth)
        kind = (
            "objects" if config.task == "instances" else ", ".join(config.class_names)
        )
        if config.diameter is not None:
            kind += f" of {config.diameter:.3g} px"
        heads = f"{network.n_heads} head{'s' * (network.n_heads > 1)}"
        what = f"{network.spatial_dims}-D, {kind}, {heads}"
        # A line of its own: what the model is for decides whether it fits the image.
        self.model_text.setText("\n".join(filter(None, (config.description, what))))
        self.model_text.setToolTip(f"{described.n_parameters:,} weights")
        self.diameter.show_learnt(config.diameter)
        self._offer_channels()
        self._check()

    def show_model_problem(self, message: str) -> None:
        """Say why a model cannot be used."""
        self._described = None
        self.model_text.setText(message)
        self._check()

    def show_recipe(
        self, recipe: SegmentRecipe, image: Image, mask: Labels | None
    ) -> None:
        """Show what a recipe says of one image, which is a layer now."""
        one, settings = recipe.inputs[0], recipe.settings
        self.layers.choose(image)
        if one.axes:
            self.axes_field.setText(one.axes)
        self.channels.setCurrentIndex(self.channels.findData(one.channel))
        self.models.choose(recipe.model)
        self.how.show_settings(settings)
        self.advanced.show_settings(settings)
        self.diameter.show_value(settings.diameter)
        if self.devices.findData(settings.device) >= 0:
            self.devices.choose(settings.device)
        self.inside_choice.choose(mask)
        self.folder_choice.choose(recipe.output)
        kinds = recipe.results.kinds
        self.heads.setChecked(kinds is None or "heads" in kinds)

    def _set_up_fields(self) -> None:
        self.axes_field.setToolTip(
            "One letter for each axis of the image, guessed; correct it if it is wrong."
            "\nT time, C channels, Z depth, Y rows, X columns"
        )
        self.axes_field.setAccessibleName("Axes")
        self.channels.setToolTip("The channel that the model sees, counted from 0")
        self.heads.setChecked(True)
        self.heads.setToolTip("Otherwise only the mean is shown, in less memory")

    def _lay_out(self) -> None:
        rows = self.how.rows
        rows.insertRow(0, "Image", self.layers)
        rows.insertRow(1, "Axes", self.axes_field)
        rows.insertRow(2, "Channel", self.channels)
        rows.insertRow(3, "Model", self.models)
        rows.insertRow(4, "", self.model_text)
        rows.insertRow(5, "Device", self.devices)
        rows.addRow("Object size", self.diameter)
        rows.addRow("Only inside", self.inside_choice)
        rows.addRow("Save to", self.folder_choice)
        self.advanced.rows.addRow(self.heads)
        more = QCollapsible("Advanced")
        more.addWidget(self.advanced)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.how)
        layout.addWidget(more)
        layout.addWidget(self.problem_text)

    def _connect(self) -> None:
        self.layers.layer_changed.connect(self._read_layer)
        self.axes_field.textChanged.connect(self._offer_channels)
        self.models.model_changed.connect(self.model_changed)
        for signal in (
            self.axes_field.textChanged,
            self.channels.currentIndexChanged,
            self.how.changed,
            self.diameter.changed,
            self.advanced.changed,
            self.inside_choice.layer_changed,
            self.folder_choice.changed,
        ):
            signal.connect(self._check)

    def _read_layer(self) -> None:
        """Show the axes of the layer that was chosen."""
        layer = self.layer
        self.axes_field.setEnabled(layer is not None)
        self.axes_field.setText("" if layer is None else read_layer(layer).axes)
        self._check()

    def _offer_channels(self, *_: object) -> None:
        """Offer the channels of the image; all of them where the model takes them."""
        try:
            source = self.source
            n, rgb = source.n_channels, source.rgb
        except AxesError:
            n, rgb = 1, False
        config = self._described.config if self._described else None
        takes_all = (
            rgb
            if config is None or config.channels != "as_is"
            else (config.network.in_channels == n)
        )
        in_colour = config is not None and config.channels == "rgb"
        colour = "colour" if in_colour else "colour, made grey"
        with QSignalBlocker(self.channels):
            self.channels.clear()
            if takes_all or n == 1:
                self.channels.addItem(colour if rgb else "all", None)
            for i in range(n if n > 1 else 0):
                self.channels.addItem(str(i), i)
        for widget in (self.channels, self.how.rows.labelForField(self.channels)):
            widget.setVisible(n > 1)

    def _check(self, *_: object) -> None:
        problem = self.problem
        self.problem_text.setText(problem)
        self.problem_text.setVisible(bool(problem))
        self.changed.emit()
