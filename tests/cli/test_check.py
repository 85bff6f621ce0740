"""What is told before a run, on the command line."""

from __future__ import annotations

import torch


def test_info_tells_what_an_image_will_take(cli, image_file, model_file):
    outcome = cli("info", model_file, "--image", image_file, "--memory", "2GB")
    assert outcome.code == 0
    assert f"{image_file}:\n" in outcome.out
    assert torch.__version__ in outcome.out
    assert "1 tile of" in outcome.out
    assert "\n    about " in outcome.out


def test_a_dry_run_writes_nothing(cli, image_file, model_file, tmp_path):
    out = tmp_path / "out"
    options = ("--model", model_file, "--tile", 32, "-o", out, "--dry-run", "--json")
    outcome = cli("segment", image_file, *options)
    assert outcome.code == 0
    (found,) = outcome.json["preflight"]
    assert found["core"] == [32, 32]
    assert found["n_tiles"] == 9
    assert found["fits"]
    assert found["seconds"] > 0
    assert not list(out.iterdir())


def test_a_dry_run_refuses_what_the_run_would_refuse(cli, image_file, model_file):
    out = image_file.parent
    (out / "squares_labels.tif").write_bytes(b"by somebody else")
    outcome = cli("segment", image_file, "--model", model_file, "-o", out, "--dry-run")
    assert outcome.code == 3
    assert "exists already" in outcome.err


def test_seams_are_looked_for(cli, image_file, model_file):
    outcome = cli("seams", image_file, "--model", model_file)
    assert outcome.code == 0
    assert "there can be no seam" in outcome.out
    found = cli("seams", image_file, "--model", model_file, "--json").json
    assert found["passed"]
    assert found["largest"] == 0


def test_seams_of_what_is_no_image(cli, tmp_path, model_file):
    outcome = cli("seams", tmp_path / "none.tif", "--model", model_file)
    assert outcome.code == 2
    assert "no such file" in outcome.err


def test_a_result_tells_what_made_it(cli, image_file, model_file, tmp_path):
    for form, name in (("tif", "squares_labels.tif"), ("zarr", "squares.ome.zarr")):
        out = tmp_path / form
        options = ("--model", model_file, "-o", out, "--format", form, "--level", 1)
        assert cli("segment", image_file, *options).code == 0
        outcome = cli("info", out / name)
        assert outcome.code == 0
        assert f"{name}: by small, napari-unetpp 0" in outcome.out
        assert "    level: 1\n" in outcome.out
        assert "    image: squares.tif, " in outcome.out
        found = cli("info", out / name, "--json").json
        assert found["recipe"]["level"] == 1
        assert found["made"]["model"].startswith("small ")
    assert cli("info", image_file).code == 2  # an image, no result
