"""Budget, and all settings of a training that need no touch."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_unetpp._qt._forms import Label, SettingsForm
from napari_unetpp.config import AugmentConfig, PredictionConfig, TrainingConfig

_TRAINING = {
    "patch": Label(
        "Patch",
        "Edge of the pieces that are learnt from, in pixels; made a multiple of what\n"
        "the network pools. Larger sees more context and takes more memory and time.",
        suffix=" px",
        left_out="automatic",
    ),
    "batch": Label(
        "Patches a step",
        "Patches that are learnt from together. More is steadier, and takes more\n"
        "memory and time a step.",
        left_out="automatic",
    ),
    "steps_per_epoch": Label(
        "Steps an epoch",
        "After each epoch the model is validated, its state is saved and new strokes\n"
        "are taken up.",
    ),
    "learning_rate": Label(
        "Learning rate",
        "Largest size of a step. Lower it if the loss jumps, raise it if nothing\n"
        "moves.",
        decimals=5,
    ),
    "weight_decay": Label(
        "Weight decay", "Pull of the weights towards 0 (AdamW)", decimals=5
    ),
    "warmup": Label(
        "Warm-up", "Share of the budget in which the learning rate rises from 0"
    ),
    "ema": Label(
        "Averaging",
        "Decay of the running mean of the weights, which is the model that is kept;\n"
        "0 switches it off.",
        decimals=4,
    ),
    "patience": Label(
        "Patience",
        "Epochs without a better validation score before training ends early",
        none="never ends early",
    ),
    "validation_fraction": Label(
        "Held out",
        "Share of the labelled places that is not learnt from but judged by; 0 holds\n"
        "out nothing, and then no score can be told.",
        decimals=2,
    ),
    "class_weights": Label(
        "Class weights",
        "Balanced: pixels of rare classes weigh more",
        choices={"none": "all pixels alike", "balanced": "balanced"},
    ),
    "dice": Label(
        "Dice over",
        "Pixels that a Dice coefficient of the loss is pooled over",
        choices={"image": "each patch", "batch": "all patches of a step"},
    ),
    "loss": Label(
        "Loss",
        "Cross entropy with Dice is that of the publication",
        choices={
            "bce_dice": "cross entropy + Dice",
            "log_cosh_dice": "log-cosh Dice",
        },
    ),
    "rim": Label(
        "Rim",
        "Pixels at the inner border of a patch that are not learnt from: the network\n"
        "would see padding there that the whole image does not have.",
        suffix=" px",
    ),
    "instance_target": Label(
        "Objects by",
        "What is learnt inside objects. Distance finds small objects and parts those\n"
        "that touch; boundary keeps a seam of even width.",
        choices={"boundary": "their boundary", "distance": "distance to the outline"},
    ),
    "distance_reach": Label(
        "Reach",
        "Distance to the outline from which on all is interior; about half the\n"
        "diameter of small objects.",
        suffix=" px",
    ),
    "boundary_width": Label(
        "Boundary",
        "Half-width of the boundary that is learnt between objects; more parts\n"
        "objects that touch more surely, and loses thin ones.",
        suffix=" px",
    ),
    "precision": Label(
        "Precision",
        "bfloat16 is faster where the hardware has it; automatic takes it where it can"
        "\nbe trusted.",
        choices={"auto": "automatic"},
    ),
    "save_memory": Label(
        "Save memory",
        "Maps within the network are computed again for the gradient, not kept: steps\n"
        "take a third more time and much less memory; the result is the same.",
    ),
    "calibrate": Label(
        "Calibrate",
        "At the end, fit on what is held out how sure the model is of itself, and the\n"
        "thresholds by which objects are found.",
    ),
    "seed": Label(
        "Seed",
        "Start of all random numbers. With a budget in epochs the same seed gives the\n"
        "same weights on the same machine, if nobody paints meanwhile.",
    ),
}
_AUGMENT = {
    "flip": Label("Flip", "Mirror patches at random"),
    "rotate": Label("Rotate", "Turn patches at random"),
    "brightness": Label("Brightness", "Most that is added to a patch's intensities"),
    "noise": Label("Noise", "Most noise that is added, as part of the range"),
    "blur": Label("Blur", "Most blur, the sigma of a Gaussian", suffix=" px"),
    "invert": Label(
        "Invert", "Chance that dark and bright are exchanged in a patch", decimals=2
    ),
    "shading": Label(
        "Shading", "Most by which the light is uneven over a patch", decimals=2
    ),
    "stain": Label(
        "Stain",
        "Most by which the amount of each dye of a colour image is changed",
        decimals=2,
    ),
    "tint": Label(
        "Tint",
        "Chance that a grey image, read as colour, is shown in one or two colours",
        decimals=2,
    ),
}
_IMAGE = {
    "nonfinite": Label(
        "NaN, infinite",
        "What to do with pixels that are not numbers.",
        choices={"error": "Refuse the image", "background": "Take as background"},
    )
}

MINUTES, EPOCHS = "minutes", "epochs"


class Budget(QWidget):  # type: ignore[misc]
    """How long to train: minutes or epochs."""

    changed = Signal()

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.amount = QDoubleSpinBox()
        self.amount.setAccessibleName("Budget")
        self.amount.setDecimals(1)
        self.amount.setRange(0.1, 100_000)
        self.unit = QComboBox()
        self.unit.setAccessibleName("Unit of the budget")
        self.unit.addItems([MINUTES, EPOCHS])
        tip = (
            "Training ends when this is used up; Stop ends it sooner, and both keep the"
            "\nbest model. The learning rate falls towards the end of the budget. Only"
            "\na budget in epochs can be repeated exactly."
        )
        self.amount.setToolTip(tip)
        self.unit.setToolTip(tip)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.amount, 1)
        layout.addWidget(self.unit, 1)
        self.amount.valueChanged.connect(self.changed)
        self.unit.currentTextChanged.connect(self._unit_changed)
        self.choose(MINUTES, minutes)

    @property
    def values(self) -> dict[str, float | int | None]:
        """The two settings of the budget."""
        if self.unit.currentText() == EPOCHS:
            return {"epochs": round(self.amount.value()), "minutes": None}
        return {"epochs": None, "minutes": self.amount.value()}

    def choose(self, unit: str, amount: float) -> None:
        """Choose a budget."""
        self.unit.setCurrentText(unit)
        self.amount.setValue(amount)

    def _unit_changed(self, unit: str) -> None:
        self.amount.setDecimals(0 if unit == EPOCHS else 1)
        self.amount.setMinimum(1 if unit == EPOCHS else 0.1)
        self.changed.emit()


class TrainSettings(QWidget):  # type: ignore[misc]
    """All other settings of a training."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._start = TrainingConfig(minutes=1)
        self.training = SettingsForm(self._start, _TRAINING)
        self.augment = SettingsForm(AugmentConfig(), _AUGMENT)
        self.image = SettingsForm(PredictionConfig(), _IMAGE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.training)
        layout.addWidget(self.image)
        layout.addWidget(QLabel("Random changes of the patches"))
        layout.addWidget(self.augment)
        for form in (self.training, self.augment, self.image):
            form.changed.connect(self.changed)

    @property
    def nonfinite(self) -> Any:
        """What to do with pixels that are not numbers."""
        return self.image.values()["nonfinite"]

    def settings(self, budget: dict[str, float | int | None]) -> TrainingConfig:
        """Return the settings with this budget.

        Raises
        ------
        ValidationError
            If they exclude each other.
        """
        shown = set(_TRAINING) | {"augment", "minutes", "epochs"}
        kept = self._start.model_dump(exclude=shown, exclude_unset=True)
        changes = self._start.augment.model_dump() | self.augment.values()
        return TrainingConfig(
            **kept,
            **self.training.values(),
            **budget,
            augment=AugmentConfig(**changes),
        )

    def show_settings(self, settings: TrainingConfig, nonfinite: Any) -> None:
        """Show other settings."""
        self._start = settings
        self.training.show_settings(settings)
        self.augment.show_settings(settings.augment)
        self.image.show_settings(PredictionConfig(nonfinite=nonfinite))
