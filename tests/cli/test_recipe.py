from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
import yaml

from napari_unetpp.io import load_model_file, load_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def pair(tmp_path, image_file):
    """An image, and scribbles of two classes."""
    pixels = tifffile.imread(image_file)
    scribbles = np.where(pixels > 100, 7, 3).astype(np.uint8)
    scribbles[::3] = 0
    tifffile.imwrite(tmp_path / "labels.tif", scribbles)
    return "--images", image_file, "--labels", tmp_path / "labels.tif"


def shorter(path) -> None:
    """Make the training of a recipe as short as a test may be."""
    values = yaml.safe_load(path.read_text())
    short = {
        "epochs": 1,
        "minutes": None,
        "steps_per_epoch": 2,
        "batch": 2,
        "patch": 32,
    }
    values["settings"] |= short | {"validation_fraction": 0}
    path.write_text(yaml.safe_dump(values))


def same_weights(one, other) -> bool:
    first, second = (
        load_model_file(path).network.state_dict() for path in (one, other)
    )
    return all(torch.equal(first[key], second[key]) for key in first)


def test_a_training_is_written_run_and_run_again(cli, pair, tmp_path):
    model, recipe = tmp_path / "mine.safetensors", tmp_path / "mine.yaml"
    told = ("--type", "classes", "--unlabelled", 0, "--size", "small")
    told += ("--minutes", 1e-4)  # one step: how long it takes is not the question
    names = ("--class-names", "3=ground, 7=cell", "--device", "cpu")
    outcome = cli(
        "train", *pair, "-o", model, *told, *names, "--save-recipe", recipe, "--json"
    )
    assert outcome.code == 0, outcome.err
    assert f"recipe: {recipe}" in outcome.err
    assert "from 1 labelled region; held out: " in outcome.err
    assert load_model_file(model).config.class_names == ("ground", "cell")
    used = outcome.json["record"]["settings"]
    saved = load_recipe(recipe)
    assert (saved.settings.patch, saved.settings.batch) == (
        used["patch"],
        used["batch"],
    )
    refused = cli("run", recipe)
    assert refused.code == 3
    assert "mine.safetensors exists" in refused.err

    shorter(recipe)
    again, third = tmp_path / "again.safetensors", tmp_path / "third.safetensors"
    outcome = cli("run", recipe, "-o", again, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["model"] == str(again)
    assert "note: nothing is held out" in outcome.err
    told = cli("info", again, "--recipe").out
    (tmp_path / "deep" / "er").mkdir(parents=True)
    copy = tmp_path / "deep" / "er" / "copy.yaml"  # it is run from any folder
    copy.write_text(told, encoding="utf-8")
    assert cli("run", copy, "-o", third).code == 0
    assert same_weights(again, third)


def test_info_tells_of_a_model(cli, model_file):
    outcome = cli("info", model_file)
    assert outcome.code == 0, outcome.err
    assert "finds instances in 2-D (any image, made grey)" in outcome.out
    assert "    1: interior" in outcome.out
    assert cli("info", model_file, "--json").json["heads"] == 2
    assert cli("info", "nuclei").out.startswith("nuclei: ")
    for arguments, words in (
        ((model_file, "--recipe"), "no recipe in its header"),
        (("--recipe",), "needs a model"),
        (("no-such-model",), "no such model file"),
    ):
        refused = cli("info", *arguments)
        assert refused.code == 2
        assert words in refused.err


def test_a_segmentation_is_written_and_run_again(cli, image_file, model_file, tmp_path):
    recipe, mask = tmp_path / "a.yaml", tmp_path / "mask.tif"
    half = np.zeros(tifffile.imread(image_file).shape, np.uint8)
    half[:, :40] = 1
    tifffile.imwrite(mask, half)
    command = ("segment", image_file, "--model", model_file, "-o", tmp_path / "one")
    options = ("--mask", mask, "--save", "labels", "--device", "cpu")
    for _ in range(2):  # the same command goes on, and the recipe is no obstacle
        outcome = cli(*command, *options, "--save-recipe", recipe)
        assert outcome.code == 0, outcome.err
    other = cli(*command, "--save-recipe", recipe)
    assert other.code == 3
    assert "is another recipe" in other.err
    outcome = cli("run", recipe, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["results"][0]["up_to_date"]

    outcome = cli("run", recipe, "-o", tmp_path / "two", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["results"][0]["n_objects"] > 0
    one, two = (
        tifffile.imread(tmp_path / name / "squares_labels.tif")
        for name in ("one", "two")
    )
    np.testing.assert_array_equal(one, two)


def test_one_bad_image_of_a_recipe_does_not_stop_the_others(
    cli, image_file, nan_file, model_file, tmp_path
):
    recipe = tmp_path / "a.yaml"
    recipe.write_text(
        "recipe: segment\n"
        f"inputs: [{{image: {nan_file.name}}}, {{image: {image_file.name}}}]\n"
        f"model: {model_file}\n"
        "output: results\n"
        "results: {kinds: [labels]}\n"
    )
    outcome = cli("run", recipe)
    assert outcome.code == 2
    assert f"failed: {nan_file}" in outcome.err
    assert (tmp_path / "results" / "squares_labels.tif").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("recipe: train\ninputs: [{image: a.tif, labels: b.tif}]\n", "2 of its files"),
        ("recipe: train\nimputs: []\n", "line 2: imputs: no such entry; did you mean"),
        (
            "recipe: segment\ninputs: [{image: squares.tif}]\n",
            "names no folder for its results",
        ),
        (
            "recipe: train\ninputs: [{image: squares.tif, labels: squares.tif}]\n",
            "names no model file",
        ),
    ],
)
def test_bad_recipes_say_what_is_wrong(cli, image_file, tmp_path, content, words):
    recipe = tmp_path / "a.yaml"
    recipe.write_text(content)
    outcome = cli("run", recipe, "--json")
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.json["exit_code"] == 2


@pytest.mark.parametrize("text", ["nucleus", "1=", "x=nucleus", "1=a,2"])
def test_class_names_that_name_no_value_are_refused(cli, pair, tmp_path, text):
    outcome = cli(
        "train", *pair, "-o", tmp_path / "m.safetensors", "--class-names", text
    )
    assert outcome.code == 2
    assert "--class-names 1=nucleus,2=membrane" in outcome.err


def test_a_training_that_cannot_begin_leaves_no_recipe(cli, pair, tmp_path):
    recipe = tmp_path / "a.yaml"
    outcome = cli(
        *("train", *pair, "-o", tmp_path / "m.safetensors", "--unlabelled", 0),
        *("--save-recipe", recipe),
    )
    assert outcome.code == 2
    assert not recipe.exists()
