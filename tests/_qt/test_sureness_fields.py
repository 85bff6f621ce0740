"""The fields of the panels for turns and calibration."""

from __future__ import annotations

import pytest

from napari_unetpp._qt._forms import SettingsForm
from napari_unetpp._qt._segment_form import ADVANCED
from napari_unetpp._qt._train_settings import TrainSettings
from napari_unetpp.config import PredictionConfig, TrainingConfig


def test_turns_are_off_and_their_cost_is_told(qtbot):
    form = SettingsForm(PredictionConfig(), ADVANCED)
    qtbot.addWidget(form)
    field = form.fields["tta"]
    assert form.values()["tta"] is False
    assert "eight times the time" in field.toolTip()
    field.setChecked(True)
    assert PredictionConfig(**form.values()).tta is True
    form.show_settings(PredictionConfig())
    assert form.values()["tta"] is False


def test_nothing_stops_early_unless_it_is_asked_for(qtbot):
    form = SettingsForm(PredictionConfig(), ADVANCED)
    qtbot.addWidget(form)
    field = form.fields["adaptive"]
    assert form.values()["adaptive"] is None
    assert field.text() == "off"
    field.stepUp()
    assert form.values()["adaptive"] == pytest.approx(0.009)
    field.setValue(0.1)
    assert PredictionConfig(**form.values()).adaptive == pytest.approx(0.1)
    form.show_settings(PredictionConfig())
    assert form.values()["adaptive"] is None


def test_trainings_are_calibrated_unless_told_not_to(qtbot):
    form = TrainSettings()
    qtbot.addWidget(form)
    assert form.settings({"epochs": 3, "minutes": None}).calibrate is True
    form.training.fields["calibrate"].setChecked(False)
    assert form.settings({"epochs": 3, "minutes": None}).calibrate is False
    form.show_settings(TrainingConfig(epochs=1), "error")
    assert form.settings({"epochs": 3, "minutes": None}).calibrate is True
