from __future__ import annotations

import platform

import torch

from napari_unetpp.cli._info import lines, models
from napari_unetpp.io import bundled_models, read_model_config


def test_tells_versions_devices_and_models(cli):
    outcome = cli("info", "--json")
    assert outcome.code == 0
    found = outcome.json
    assert found["python"] == platform.python_version()
    assert found["versions"]["torch"] == torch.__version__
    assert "cpu" in [device["name"] for device in found["devices"]]
    for device in found["devices"]:
        assert 0 < device["free_bytes"] <= device["total_bytes"]
    for model in found["models"]:
        assert model["heads"] > 0
        assert model["description"]
        assert model["parameters"] > 0
    for problem in found["problems"]:
        assert problem["cure"]


def test_tells_a_person_too(cli):
    outcome = cli("info")
    assert outcome.code == 0
    assert f"torch {torch.__version__}" in outcome.out
    assert "devices:\n    " in outcome.out
    for name, path in bundled_models().items():
        assert f"    {name}: " in outcome.out
        assert f"\n        {read_model_config(path).description}" in outcome.out


def test_damaged_models_are_a_problem_with_a_cure(tmp_path, model_file):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(model_file.read_bytes()[:1000])
    good, problems = models({"good": model_file, "damaged": damaged})
    assert [model["name"] for model in good] == ["good"]
    assert good[0]["heads"] == 2
    assert "damaged.safetensors" in problems[0]["problem"]
    assert problems[0]["cure"]


def test_no_models_are_a_problem():
    assert models({}) == (
        [],
        [
            {
                "problem": "no model came with the package",
                "cure": "install napari-unetpp again",
            }
        ],
    )


def test_lines_show_problems_with_their_cures():
    found = {
        "python": "3.11",
        "system": "here",
        "versions": {"napari": None, "PyQt6": None},
        "torch_cuda": "12.8",
        "devices": [],
        "models": [],
        "problems": [{"problem": "it is broken", "cure": "mend it"}],
    }
    text = "\n".join(lines(found))
    assert "napari not installed" in text
    assert "PyQt6" not in text
    assert "CUDA 12.8" in text
    assert "it is broken; cure: mend it" in text
