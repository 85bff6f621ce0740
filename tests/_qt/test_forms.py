"""Forms made from settings."""

from __future__ import annotations

from typing import Any

from napari_unetpp._qt._forms import Label, SettingsForm
from napari_unetpp.config import AugmentConfig, PredictionConfig, TrainingConfig

LABELS = {
    "mode": Label("Mode", "how", choices={"fast": "one head"}),
    "level": Label("Level", "how deep", none="deepest"),
    "device": Label("Device", "where"),
    "tile": Label("Tile", "how large", suffix=" px"),
    "batch": Label("Batch", "how many"),
    "nonfinite": Label("NaN", "what"),
}


def test_values_come_back(qtbot: Any) -> None:
    for start in (
        PredictionConfig(),
        PredictionConfig(mode="fast", level=3, device="cuda:1", tile=512, batch=4),
    ):
        form = SettingsForm(start, LABELS)
        qtbot.addWidget(form)
        assert PredictionConfig(**form.values()) == start


def test_none_is_a_word(qtbot: Any) -> None:
    form = SettingsForm(PredictionConfig(level=1), {"level": LABELS["level"]})
    qtbot.addWidget(form)
    box = form.fields["level"]
    with qtbot.waitSignal(form.changed):
        box.setValue(0)
    assert box.text() == "deepest"
    assert form.values() == {"level": None}


def test_limits_of_the_model_hold_in_the_form(qtbot: Any) -> None:
    start = TrainingConfig(epochs=3)
    form = SettingsForm(
        start,
        {
            "patch": Label("Patch", "size"),
            "learning_rate": Label("Rate", "speed"),
            "minutes": Label("Minutes", "time"),
        },
    )
    qtbot.addWidget(form)
    form.fields["patch"].setValue(1)
    assert form.values()["patch"] == 16
    switches = SettingsForm(AugmentConfig(), {"flip": Label("Flip", "mirror")})
    qtbot.addWidget(switches)
    switches.fields["flip"].setChecked(False)
    assert switches.values() == {"flip": False}
