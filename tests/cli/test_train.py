from __future__ import annotations

import numpy as np
import pytest
import tifffile
from skimage.measure import label

from napari_unetpp.io import load_model_file


@pytest.fixture
def pairs(tmp_path, image_file):
    """Three small images and their labels."""
    image = tifffile.imread(image_file)
    folders = tmp_path / "images", tmp_path / "labels"
    for folder in folders:
        folder.mkdir()
    for turns in range(3):
        pixels = np.rot90(image, turns).copy()
        name = f"{turns}.tif"
        tifffile.imwrite(folders[0] / name, pixels)
        tifffile.imwrite(folders[1] / name, label(pixels > 100).astype(np.uint16))
    return "--images", folders[0], "--labels", folders[1]


def test_writes_a_model_that_segments(cli, pairs, tmp_path, image_file):
    model = tmp_path / "mine.safetensors"
    budget = ("--size", "small", "--minutes", 0.05, "--seed", 3)
    outcome = cli("train", *pairs, "--output", model, *budget, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["model"] == str(model)
    assert outcome.json["record"]
    assert outcome.json["run_id"]
    assert "training on" in outcome.err
    assert "epoch" in outcome.err
    assert load_model_file(model).config.task == "instances"
    assert cli("segment", image_file, "-o", tmp_path, "--model", model).code == 0


def test_axes_channel_and_nonfinite_are_handed_on(cli, pairs, tmp_path):
    model = tmp_path / "mine.safetensors"
    for path in pairs[1].iterdir():
        pixels = tifffile.imread(path).astype(np.float32)
        pixels[0, 0] = np.nan
        both = np.stack([np.zeros_like(pixels), pixels], axis=-1)
        tifffile.imwrite(path, both, photometric="minisblack")
    told = ("--axes", "YXC", "--channel", 1, "--minutes", 0.02, "--size", "small")
    refused = cli("train", *pairs, "--output", model, *told)
    assert refused.code == 2
    assert "--nonfinite background" in refused.err
    told = (*told, "--nonfinite", "background")
    outcome = cli("train", *pairs, "--output", model, *told)
    assert outcome.code == 0, outcome.err
    assert load_model_file(model).config.network.in_channels == 1


def test_an_existing_model_is_refused_before_any_work(cli, pairs, tmp_path):
    model = tmp_path / "mine.safetensors"
    model.write_text("mine")
    outcome = cli("train", *pairs, "--output", model)
    assert outcome.code == 3
    assert model.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], "epochs=0"),
        (["--base", "no-such-model"], "no-such-model"),
        (["--size", "huge"], "huge"),
        (["--unlabelled", "0"], "unlabelled=0"),
    ],
)
def test_bad_options_name_what_is_wrong(cli, pairs, tmp_path, arguments, words):
    outcome = cli("train", *pairs, "--output", tmp_path / "m.safetensors", *arguments)
    assert outcome.code == 2
    assert words in outcome.err


def test_numbers_of_images_and_labels_must_agree(cli, pairs, tmp_path):
    images, folder = pairs[:2]
    outcome = cli(
        "train",
        images,
        folder,
        "--labels",
        folder / "0.tif",
        "-o",
        tmp_path / "m.safetensors",
    )
    assert outcome.code == 2
    assert "3 images and 1 labels" in outcome.err
