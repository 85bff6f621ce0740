from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from skimage.measure import label

from napari_unetpp.io import save_model


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


def test_a_table_and_pictures_of_the_worst_are_written(
    cli, pairs, model_file, tmp_path
):
    images, labels = pairs
    truth = tifffile.imread(labels / "b.tif")
    truth[truth == 1] = 0
    tifffile.imwrite(labels / "b.tif", truth)
    arguments = ("--images", images, "--labels", labels, "--model", model_file)
    files = ("--csv", tmp_path / "s.csv", "--pictures", tmp_path / "worst")

    outcome = cli("evaluate", *arguments, *files, "--worst", 1)

    assert outcome.code == 0
    assert [path.name for path in (tmp_path / "worst").iterdir()] == ["01_b.png"]
    rows = (tmp_path / "s.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3 + 3
    for words in ("1 false", "0 missed", "worst images, by ap50", "01_b.png", "s.csv"):
        assert words in outcome.out
    again = cli("evaluate", *arguments, "--pictures", tmp_path / "worst")
    assert again.code == 3
    assert "01_b.png" in again.err


def test_classes_have_a_table_of_their_own(
    cli, tmp_path, image_file, small_class_model
):
    model = save_model(small_class_model, tmp_path / "classes.safetensors")
    truth = np.where(tifffile.imread(image_file) > 100, 7, 3).astype(np.uint8)
    tifffile.imwrite(tmp_path / "truth.tif", truth)
    arguments = ("--images", image_file, "--labels", tmp_path / "truth.tif")
    files = ("--csv", tmp_path / "s.csv", "--pictures", tmp_path / "worst")

    outcome = cli("evaluate", *arguments, "--model", model, *files)

    assert outcome.code == 0
    for words in ("classes, pixels of all images", "3  ground", "7  cell", "recall"):
        assert words in outcome.out
    header = (tmp_path / "s.csv").read_text().splitlines()[0].split(",")
    assert {"iou:3", "recall:7", "boundary_f:7"} <= set(header)
    assert "ap50" not in header
    assert [path.name for path in (tmp_path / "worst").iterdir()] == ["01_squares.png"]


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
