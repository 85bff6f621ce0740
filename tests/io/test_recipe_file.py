from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_unetpp._recipe import (
    RecipeClass,
    SegmentInput,
    SegmentRecipe,
    TrainInput,
    TrainRecipe,
    plain,
    same,
)
from napari_unetpp.config import PredictionConfig, TrainingConfig
from napari_unetpp.errors import OutputError, OutputExistsError, RecipeError
from napari_unetpp.io import load_recipe, recipe_text, save_recipe


def training(folder: Path, **changes: object) -> TrainRecipe:
    values = {
        "inputs": [
            TrainInput(
                image=[folder / "raw" / "a.tif", folder / "raw" / "b.tif"],
                labels=folder / "masks" / "größe 1.tif",
                axes="ZYX",
                scale={"Z": 2.0, "Y": 0.5, "X": 0.5},
            ),
            TrainInput(image=folder / "off", labels=folder / "2024-01-31", channel=1),
        ],
        "task": "classes",
        "unlabelled": 0,
        "classes": [
            RecipeClass(value=1, name="off", colour="#ff8000"),
            RecipeClass(value=2, name="1e-3"),
            RecipeClass(value=3, name="12:30"),
            RecipeClass(value=4, name="null"),
        ],
        "output": folder / "models" / "mine.safetensors",
        "settings": TrainingConfig(epochs=3, learning_rate=1e-5, seed=4),
    }
    return TrainRecipe.model_validate(values | changes)


def segmentation(folder: Path) -> SegmentRecipe:
    return SegmentRecipe(
        inputs=[SegmentInput(image=folder / "x.tif", region={"Y": (0, 8)})],
        model=str(folder / "mine.safetensors"),
        output=folder / "results",
        settings=PredictionConfig(level=2, device="cpu"),
    )


@pytest.mark.parametrize("make", [training, segmentation])
def test_what_is_written_is_read(tmp_path, make):
    recipe = make(tmp_path)
    path = save_recipe(recipe, tmp_path / "a.yaml")
    assert load_recipe(path) == recipe
    assert plain(load_recipe(path)) == plain(recipe)


def test_a_folder_that_is_moved_takes_its_recipe_along(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    text = save_recipe(training(here), here / "a.yaml").read_text("utf-8")
    assert str(tmp_path) not in text
    assert "\\" not in text
    here.rename(there)
    assert load_recipe(there / "a.yaml") == training(there)


def test_relative_paths_are_those_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = training(Path("data"))
    save_recipe(recipe, Path("recipes/a.yaml"))
    assert load_recipe(Path("recipes/a.yaml")) == training(tmp_path / "data")
    assert "../data/raw/a.tif" in Path("recipes/a.yaml").read_text("utf-8")


def test_every_setting_is_written(tmp_path):
    text = recipe_text(training(tmp_path))
    for name in TrainingConfig.model_fields:
        assert f"\n  {name}:" in text


def test_what_nobody_set_and_images_decide_stays_so(tmp_path):
    path = save_recipe(training(tmp_path), tmp_path / "a.yaml")
    assert "patch: auto" in path.read_text("utf-8")
    assert not {"patch", "batch"} & load_recipe(path).settings.model_fields_set
    fixed = training(tmp_path, settings=TrainingConfig(epochs=3, patch=64))
    path = save_recipe(fixed, tmp_path / "b.yaml")
    assert load_recipe(path).settings.patch == 64
    assert "patch" in load_recipe(path).settings.model_fields_set


def test_a_recipe_by_hand_may_leave_out_most(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(
        "recipe: train\n"
        "inputs:\n"
        "- {image: 007.tif, labels: 2024-01-31}\n"
        "settings: {minutes: 3, learning_rate: 1e-4}\n"
    )
    recipe = load_recipe(path)
    assert recipe.inputs[0].image == (tmp_path / "007.tif",)
    assert recipe.inputs[0].labels == tmp_path / "2024-01-31"
    assert recipe.settings == TrainingConfig(minutes=3, learning_rate=1e-4)
    assert recipe.output is None


@pytest.mark.parametrize(
    ("old", "new", "words", "shift"),
    [
        (
            "  batch:",
            "  bacth:",
            "settings.bacth: no such entry; did you mean batch?",
            0,
        ),
        ("  epochs: 3", "  epochs: 0", "settings.epochs=0: Input should be greater", 0),
        ("size: base", "size: huge", "size='huge': Input should be 'small', 'base'", 0),
        ("  channel: 1", "  channel: -1", "inputs.channel=-1: ", 0),
        (
            "  labels: '20",
            "  label: '20",
            "inputs.label: no such entry; did you mean",
            0,
        ),
        ("colour: '#ff8000'", "colour: red", "classes.colour='red'", 0),
        ("- value: 2", "- value: 1", "value 1 stands twice", 4),
        ("  Z: 2.0", "  Z: -2.0", "size -2.0 of a pixel along Z", 1),
        ("image: 'off'", "image: 12", "inputs.image=12: give the path of a file", 0),
        ("recipe: train", "recipe: bake", "recipe='bake': a recipe says what it is", 0),
        ("version: 1", "version: 2", "upgrade napari-unetpp", 0),
        ("task: classes", "task: classes\ntask: x", "'task' stands twice", 0),
        ("task: classes", "[task]: classes", "a list cannot be a name", 0),
        ("task: classes", "task: *classes", "references", 0),
        ("  minutes: null", "  minutes: .inf", "settings.minutes=inf: ", 0),
        ("task: classes", "task: !!python/name:os.system", "not YAML", 0),
        ("task: classes", "\ttask: classes", "indent by spaces", 0),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, words, shift):
    text = recipe_text(training(tmp_path), tmp_path)
    assert old in text
    path = tmp_path / "bad.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    first = text[: text.index(old)].count("\n") + 1
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    told = str(caught.value)
    assert words in told
    assert f"bad.yaml, line {first + new.count(chr(10)) - shift}:" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no entries"),
        (b"- 1\n- 2\n", "holds no entries"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"[" * 3_000, "cannot be read as YAML"),
        (b"recipe: train\n", "inputs is missing"),
        (b"recipe: train\ninputs: []\n", "inputs=[]"),
        (b"a: 1\n---\nb: 2\n", "line 2"),
    ],
)
def test_files_that_are_no_recipes_are_refused(tmp_path, content, words):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"a\.yaml") as caught:
        load_recipe(path)
    assert words in str(caught.value)


def test_missing_files_and_models_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="check the path"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match=r"info mine\.safetensors --recipe"):
        load_recipe(tmp_path / "mine.safetensors")


def test_another_recipe_is_not_overwritten_the_same_one_may_be_saved_again(tmp_path):
    path = save_recipe(training(tmp_path), tmp_path / "a.yaml")
    save_recipe(training(tmp_path), path)
    chosen = TrainingConfig(epochs=3, learning_rate=1e-5, seed=4, patch=96, batch=8)
    save_recipe(training(tmp_path, settings=chosen), path)
    with pytest.raises(OutputExistsError, match="is another recipe"):
        save_recipe(training(tmp_path, size="small"), path)
    save_recipe(training(tmp_path, size="small"), path, overwrite=True)
    assert load_recipe(path).size == "small"
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_a_recipe_is_not_written_over_other_kinds_of_files(tmp_path):
    with pytest.raises(OutputError, match=r"ends in \.yaml; write to m\.yaml"):
        save_recipe(training(tmp_path), tmp_path / "m.safetensors", overwrite=True)


def test_recipes_differ_in_what_matters(tmp_path):
    one = training(tmp_path)
    assert same(one, training(tmp_path))
    chosen = TrainingConfig(epochs=3, learning_rate=1e-5, seed=4, batch=2)
    assert same(one, training(tmp_path, settings=chosen))
    assert not same(one, training(tmp_path, task="instances"))
    assert not same(one, segmentation(tmp_path))
