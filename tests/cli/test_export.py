"""The commands about models."""

from __future__ import annotations

import packages
from napari_unetpp.io import load_model_file


def test_a_model_is_exported_and_compared(cli, model_file, tmp_path):
    path = tmp_path / "m.pt"
    outcome = cli("export", model_file, "-o", path)
    assert outcome.code == 0, outcome.err
    assert f"{path}: torchscript" in outcome.out
    assert "differs from the network by at most" in outcome.out
    again = cli("export", model_file, "-o", path, "--json")
    assert again.code == 3
    assert again.json["error"] == "OutputExistsError"
    outcome = cli("export", model_file, "-o", path, "--overwrite", "--json")
    assert outcome.json["difference"] < 1e-4
    assert outcome.json["n_bytes"] == path.stat().st_size


def test_the_file_is_called_as_the_model(cli, model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = cli("export", model_file, "--author", "A. Person", "--license", "MIT")
    assert outcome.code == 0, outcome.err
    assert [each.name for each in tmp_path.iterdir()] == ["threshold.zip"]
    back = cli("import", "threshold.zip", "--output", "back.safetensors")
    assert back.code == 0, back.err
    assert "imported: --model back.safetensors" in back.out
    ours, theirs = load_model_file("back.safetensors"), load_model_file(model_file)
    assert ours.config == theirs.config


def test_an_ending_that_names_no_format_is_refused(cli, model_file, tmp_path):
    outcome = cli("export", model_file, "-o", tmp_path / "m.bin")
    assert outcome.code == 3
    assert ".onnx (onnx)" in outcome.err


def test_a_model_of_others_is_imported_and_told(cli, tmp_path):
    package, _, _ = packages.sigmoid_package(tmp_path / "theirs.zip")
    path = tmp_path / "theirs.safetensors"
    outcome = cli("import", package, "-o", path, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json == {"path": str(path)}
    listed = cli("models", "--folder", tmp_path)
    assert "theirs: imported, 2-D instances\n    what others made" in listed.out
    assert "nuclei: bundled" in listed.out
    found = {row["name"]: row for row in cli("models", "--json").json}
    assert found["nuclei"]["origin"] == "bundled"


def test_what_is_no_model_is_refused(cli, tmp_path):
    (tmp_path / "alone.onnx").touch()
    outcome = cli("import", tmp_path / "alone.onnx", "-o", tmp_path / "m.safetensors")
    assert outcome.code == 2
    assert "a program alone does not say how its pixels are scaled" in outcome.err
    outcome = cli("import", tmp_path / "absent.zip", "-o", tmp_path / "m.safetensors")
    assert outcome.code == 2
    assert "there is no such file" in outcome.err
