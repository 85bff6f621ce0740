from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from skimage.measure import label


@pytest.fixture
def pairs(tmp_path, image_file):
    """Two images and their exact labels."""
    image = tifffile.imread(image_file)
    folders = tmp_path / "images", tmp_path / "labels"
    for folder in folders:
        folder.mkdir()
    for name, pixels in (("a.tif", image), ("b.tif", image[::-1, ::-1].copy())):
        tifffile.imwrite(folders[0] / name, pixels)
        truth = label(pixels > 100, connectivity=1).astype(np.uint16)
        tifffile.imwrite(folders[1] / name, truth)
    return folders


def test_scores_every_head_and_their_mean(cli, pairs, model_file, tmp_path):
    images, labels = pairs
    path = tmp_path / "scores.json"
    outcome = cli(
        "evaluate",
        "--images",
        *sorted(images.iterdir()),
        "--labels",
        labels,
        "--model",
        model_file,
        "--json",
        path,
    )
    assert outcome.code == 0
    scores = json.loads(path.read_text())
    assert scores["n_images"] == 2
    assert len(scores["heads"]) == 2
    for measures in (scores["accurate"], *scores["heads"]):
        for name in ("iou", "mean_iou", "dice", "ap50"):
            assert measures[name] == 1.0
    for word in ("accurate", "head 1", "head 2", "ap50", "1.0000"):
        assert word in outcome.out


def test_a_dash_prints_all_scores_as_json(cli, pairs, model_file):
    images, labels = pairs
    arguments = ("--images", images, "--labels", labels, "--model", model_file)
    assert cli("evaluate", *arguments, "--json", "-").json["n_images"] == 2


def test_an_existing_report_is_refused(cli, pairs, model_file, tmp_path):
    images, labels = pairs
    path = tmp_path / "scores.json"
    path.write_text("mine")
    arguments = ("--images", images, "--labels", labels, "--model", model_file)
    outcome = cli("evaluate", *arguments, "--json", path)
    assert outcome.code == 3
    assert path.read_text() == "mine"
    assert cli("evaluate", *arguments, "--json", path, "--overwrite").code == 0
    assert json.loads(path.read_text())["n_images"] == 2


def test_a_report_that_cannot_be_written_is_an_output_error(cli, pairs, model_file):
    images, labels = pairs
    arguments = ("--images", images, "--labels", labels, "--model", model_file)
    outcome = cli("evaluate", *arguments, "--json", images / "none" / "scores.json")
    assert outcome.code == 3
    assert "scores.json" in outcome.err
    assert cli("evaluate", *arguments, "--json", images, "--overwrite").code == 3


def test_a_report_that_cannot_be_written_is_refused_before_any_work(cli, tmp_path):
    missing = tmp_path / "missing.tif"
    arguments = ("--images", missing, "--labels", missing)
    outcome = cli("evaluate", *arguments, "--json", tmp_path / "none" / "scores.json")
    assert outcome.code == 3


def test_numbers_of_images_and_labels_must_agree(cli, pairs, model_file):
    images, labels = pairs
    outcome = cli("evaluate", "--images", images, "--labels", labels / "a.tif")
    assert outcome.code == 2
    assert "2 images and 1 labels" in outcome.err


def test_labels_that_do_not_fit_are_bad_input(cli, pairs, model_file):
    images, labels = pairs
    tifffile.imwrite(labels / "b.tif", np.zeros((5, 5), np.uint16))
    outcome = cli(
        "evaluate", "--images", images, "--labels", labels, "--model", model_file
    )
    assert outcome.code == 2
    assert "(5, 5)" in outcome.err
