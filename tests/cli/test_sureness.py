"""Turns, temperatures and uncertainty, as the commands take and tell them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from skimage.measure import label

from napari_unetpp.io import load_model_file, load_recipe, save_model
from napari_unetpp.nn import Model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def labels_file(image_file, tmp_path):
    truth = label(tifffile.imread(image_file) > 100, connectivity=1)
    truth[truth == 1] = 0  # one object is found that is not there
    path = tmp_path / "truth.tif"
    tifffile.imwrite(path, truth.astype(np.uint16))
    return path


def test_turning_is_an_option_that_a_recipe_keeps(
    cli, image_file, model_file, tmp_path
):
    """What the model looks for does not depend on how the image lies."""
    out, recipe = tmp_path / "out", tmp_path / "again.yaml"
    fixed = ("--output", out, "--model", model_file, "--device", "cpu")
    saved = ("--save", "labels", "--save-recipe", recipe)
    outcome = cli("segment", *fixed, image_file, "--tta", *saved)
    assert outcome.code == 0
    labels = tifffile.imread(out / "squares_labels.tif")
    assert np.array_equal(labels > 0, tifffile.imread(image_file) > 100)
    assert load_recipe(recipe).settings.tta is True
    again = cli("segment", *fixed, image_file, "--save", "labels")
    assert again.code != 0
    assert "was made in another way" in again.err


def test_scores_tell_whether_the_model_knows_where_it_is_wrong(
    cli, image_file, labels_file, model_file, tmp_path
):
    path = tmp_path / "scores.json"
    outcome = cli(
        *("evaluate", "--images", image_file, "--labels", labels_file),
        *("--model", model_file, "--json", path, "--device", "cpu", "--tta"),
    )
    assert outcome.code == 0
    found = json.loads(path.read_text())["uncertainty"]
    n = tifffile.imread(image_file).size
    assert found["n_pixels"] == n
    assert found["error_rate"] == pytest.approx(144 / n)
    assert f"{n:,} pixels, {144 / n:.2%} wrong" in outcome.out
    assert "AUROC of finding them: spread of the heads" in outcome.out


def test_info_tells_of_temperatures(cli, model_file, tmp_path):
    model = load_model_file(model_file)
    config = model.config.model_copy(update={"temperatures": (1.25, 0.8)})
    path = save_model(Model(model.network, config), tmp_path / "calibrated.safetensors")
    assert "temperatures of the heads 1.25 0.8" in cli("info", path).out
    assert cli("info", path, "--json").json["temperatures"] == [1.25, 0.8]
    assert "temperatures" not in cli("info", model_file).out
