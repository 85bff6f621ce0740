"""Recipes from Python: what is written down is done again, to the bit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import torch
from skimage.measure import label

import napari_unetpp
from napari_unetpp import api
from napari_unetpp._recipe import (
    RecipeClass,
    Results,
    SegmentInput,
    SegmentRecipe,
    TrainInput,
    TrainRecipe,
)
from napari_unetpp.arrays import Image
from napari_unetpp.config import PredictionConfig, TrainingConfig
from napari_unetpp.errors import AxesError, RecipeError, SettingsError
from napari_unetpp.inference import result_of
from napari_unetpp.io import as_image, load_model_file

if TYPE_CHECKING:
    from napari_unetpp.nn import Model

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = TrainingConfig(
    epochs=1, steps_per_epoch=2, batch=2, patch=32, seed=3, precision="float32"
)


def squares(turns: int = 0) -> np.ndarray:
    image = np.full((64, 64), 10, np.uint8)
    for y in range(4, 52, 20):
        image[y : y + 10, 8:40] = 150 + y
    return np.rot90(image, turns).copy()


def weights(model: Model) -> dict[str, torch.Tensor]:
    return model.network.state_dict()


def equal(one: Model, other: Model) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images and their scribbles, as a colleague gets it."""
    for turns in range(2):
        pixels = squares(turns)
        scribbles = np.where(pixels > 100, 2, 1).astype(np.uint8)
        scribbles[::3] = 0
        tifffile.imwrite(tmp_path / f"image{turns}.tif", pixels)
        tifffile.imwrite(tmp_path / f"labels{turns}.tif", scribbles)
    return tmp_path


def scribbles_recipe(folder: Path) -> TrainRecipe:
    return TrainRecipe(
        inputs=[
            TrainInput(image=folder / f"image{k}.tif", labels=folder / f"labels{k}.tif")
            for k in range(2)
        ],
        task="classes",
        unlabelled=0,
        classes=[
            RecipeClass(value=1, name="ground", colour="#0000ff"),
            RecipeClass(value=2, name="cell", colour="#ff8000"),
        ],
        size="small",
        device="cpu",
        output=folder / "mine.safetensors",
        settings=SHORT,
    )


def test_a_training_is_done_again_from_its_recipe_and_from_its_model(folder):
    recipe = scribbles_recipe(folder)
    first = api.run_recipe(recipe)
    assert first.outputs == (folder / "mine.safetensors",)
    kept = load_model_file(folder / "mine.safetensors").config
    assert kept.class_names == ("ground", "cell")
    assert kept.class_colours == ("#0000ff", "#ff8000")
    text = str(kept.training["recipe"])
    assert "image0.tif" in text
    assert str(folder) not in text  # a model that is handed on tells of no folder

    assert api.model_recipe(folder / "mine.safetensors") == recipe
    path = api.save_recipe(recipe, folder / "mine.yaml")
    moved = folder.with_name(folder.name + "-moved")
    shutil.copytree(folder, moved)
    (moved / "mine.safetensors").unlink()
    again = api.run_recipe(moved / path.name)
    assert again.model is not None
    assert first.model is not None
    assert equal(first.model, again.model)
    assert equal(load_model_file(moved / "mine.safetensors"), again.model)


def test_what_images_decided_is_in_the_recipe_of_the_model(folder):
    recipe = scribbles_recipe(folder).model_copy(
        update={
            "settings": TrainingConfig(epochs=1, steps_per_epoch=1, precision="float32")
        }
    )
    done = api.run_recipe(recipe, device="cpu")
    assert done.model is not None
    settings = api.model_recipe(folder / "mine.safetensors").settings
    used = done.model.config.training["settings"]
    assert isinstance(used, dict)
    assert settings.patch == used["patch"] < 256
    assert settings.batch == used["batch"]


@pytest.mark.parametrize("edited", [False, True])
def test_layers_are_written_so_that_the_same_is_learnt(folder, edited):
    source = as_image(folder / "image0.tif")
    pixels = np.array(source.data)
    truth = label(pixels > 100).astype(np.int64)
    if edited:
        pixels[:4] = 90
    image = Image(as_image(pixels).data, "YX", (2.0, 2.0), ("pixel",) * 2, "my cells")
    labels = as_image(truth)
    events = api.training([image], [labels], size="small", device="cpu", settings=SHORT)
    first = [*events][-1].model
    item = api.save_training_input(
        api.recipe_folder(folder / "mine.yaml"),
        1,
        [image],
        labels,
        image_files=[folder / "image0.tif"],
    )
    written = {path.name for path in (folder / "mine.files").iterdir()}
    assert written == {"labels-1.tif", *["image-1.tif"] * edited}
    recipe = TrainRecipe(inputs=[item], size="small", device="cpu", settings=SHORT)
    api.save_recipe(recipe, folder / "mine.yaml")
    again = api.run_recipe(folder / "mine.yaml")
    assert again.model is not None
    assert equal(first, again.model)
    assert again.model.config.training["images"] == ["my cells"]


def test_several_files_are_the_channels_of_one_image(folder):
    pixels = [squares(), squares(2)]
    item = api.save_training_input(
        folder / "a.files", 1, pixels, label(pixels[0] > 100), axes="YX"
    )
    assert len(item.image) == 2
    image = api.training_arguments(TrainRecipe(inputs=[item]))["images"][0]
    assert (image.axes, image.shape) == ("CYX", (2, 64, 64))
    np.testing.assert_array_equal(np.asarray(image.data), np.stack(pixels))
    other = item.model_copy(update={"image": (*item.image, folder / "labels0.tif")})
    tifffile.imwrite(folder / "labels0.tif", np.zeros((5, 5), np.uint8))
    with pytest.raises(AxesError, match="cannot be channels of one image"):
        api.training_arguments(TrainRecipe(inputs=[other]))


def test_the_scale_of_a_layer_counts_not_that_of_its_file(folder):
    pixels = np.stack([squares(), squares(1)])
    tifffile.imwrite(folder / "z.tif", pixels, metadata={"axes": "ZYX"}, ome=True)
    # Without a unit, which files cannot tell, and other than what the file says.
    image = Image(as_image(pixels).data, "ZYX", (4.0, 1.0, 1.0), ("pixel",) * 3)
    truth = label(pixels > 100)
    for origin in (None, folder / "z.tif"):
        item = api.save_training_input(
            folder / "a.files", 1, [image], truth, image_files=[origin]
        )
        assert (item.image[0] == folder / "z.tif") is (origin is not None)
        found = api.training_arguments(TrainRecipe(inputs=[item]))["images"][0]
        assert (found.axes, found.scale) == ("ZYX", (4.0, 1.0, 1.0))


def test_planned_files_are_those_that_would_be_written(folder):
    given = ([squares()], label(squares() > 100))
    planned = api.planned_training_input(folder / "a.files", 2, *given, axes="YX")
    assert not (folder / "a.files").exists()
    assert api.save_training_input(folder / "a.files", 2, *given, axes="YX") == planned


def test_a_layer_of_one_channel_of_a_file_is_found_there(folder):
    both = np.stack([squares(), squares(1)])
    tifffile.imwrite(folder / "both.tif", both, metadata={"axes": "CYX"}, ome=True)
    item = api.save_segment_input(
        folder / "a.files", 1, both[1], image_file=folder / "both.tif"
    )
    assert item == SegmentInput(image=folder / "both.tif", channel=1)


def segment_recipe(folder: Path, model: Path, **changes: object) -> SegmentRecipe:
    item = {"image": folder / "image0.tif"} | changes
    return SegmentRecipe(
        inputs=[SegmentInput.model_validate(item)],
        model=str(model),
        output=folder / "results",
        settings=PredictionConfig(device="cpu"),
        results=Results(kinds=("labels", "mean")),
    )


def test_a_segmentation_is_done_again(folder, model_file):
    expected = napari_unetpp.segment(folder / "image0.tif", model_file, device="cpu")
    api.save_recipe(segment_recipe(folder, model_file), folder / "a.yaml")
    done = api.run_recipe(folder / "a.yaml")
    assert {path.name for path in done.outputs} == {
        "image0_labels.tif",
        "image0_mean.tif",
    }
    found = tifffile.imread(folder / "results" / "image0_labels.tif")
    np.testing.assert_array_equal(found, expected.labels)
    assert done.segmentations[0].n_objects == expected.n_objects > 0
    assert api.run_recipe(folder / "a.yaml").segmentations[0].up_to_date


def test_a_view_is_segmented_again(folder, model_file):
    box = ((0, 30), (16, 64))
    *_, last = api.segmenting(
        folder / "image0.tif", model_file, PredictionConfig(device="cpu"), region=box
    )
    region = {"Y": box[0], "X": box[1]}
    api.run_recipe(segment_recipe(folder, model_file, region=region))
    found = tifffile.imread(folder / "results" / "image0_labels.tif")
    np.testing.assert_array_equal(found[:30, 16:] > 0, last.result.labels > 0)
    assert (found > 0).sum() == (found[:30, 16:] > 0).sum() > 0


def test_a_view_may_have_a_mask_too(folder, model_file):
    half = np.zeros((64, 64), np.uint8)
    half[:, :30] = 1
    region = {"Y": (0, 30)}
    item = api.save_segment_input(
        folder / "a.files", 1, squares(), mask=half, region=region
    )
    recipe = segment_recipe(folder, model_file).model_copy(update={"inputs": (item,)})
    api.run_recipe(recipe)
    found = tifffile.imread(folder / "results" / "image-1_labels.tif") > 0
    np.testing.assert_array_equal(found[:30, :30], squares()[:30, :30] > 100)
    assert found.sum() == found[:30, :30].sum()


def test_output_and_device_may_be_others(folder, model_file):
    recipe = segment_recipe(folder, model_file).model_copy(update={"output": None})
    with pytest.raises(SettingsError, match="names no folder"):
        api.run_recipe(recipe)
    done = api.run_recipe(recipe, output=folder / "there", device="cpu")
    assert done.outputs[0].parent == folder / "there"


def test_files_that_are_gone_are_named_before_any_work(folder, model_file):
    api.save_recipe(scribbles_recipe(folder), folder / "a.yaml")
    (folder / "labels1.tif").unlink()
    with pytest.raises(RecipeError, match="1 of its files are not there") as caught:
        api.run_recipe(folder / "a.yaml")
    assert str(folder / "labels1.tif") in str(caught.value)


@pytest.mark.parametrize("number", [0, 1])
def test_the_recipes_of_the_manual_can_be_read(tmp_path, number):
    manual = Path(__file__).parents[1] / "docs" / "training.md"
    text = manual.read_text(encoding="utf-8").split("```yaml\n")[1 + number]
    path = tmp_path / "manual.yaml"
    path.write_text(text.split("```")[0], encoding="utf-8")
    recipe = api.load_recipe(path)
    assert isinstance(recipe, (TrainRecipe, SegmentRecipe)[number])
    # What is shown there is all that there is, but for the settings.
    shown = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    assert shown | {"version"} == set(type(recipe).model_fields)


def test_models_without_a_recipe_say_so(small_model):
    with pytest.raises(RecipeError, match="no recipe in its header"):
        api.model_recipe(small_model)


def test_a_training_on_files_has_its_recipe_in_its_model(folder):
    """Python too: with paths there is enough to do it again, with arrays not."""
    output = folder / "models" / "mine.safetensors"
    output.parent.mkdir()
    images, labels = (
        [folder / f"{kind}{k}.tif" for k in (0, 1)] for kind in ("image", "labels")
    )
    told = {"task": "classes", "unlabelled": 0, "size": "small", "device": "cpu"}
    told |= {"class_names": {1: "ground"}, "settings": SHORT}
    model = result_of(api.training(images, labels, output=output, **told))
    recipe = api.model_recipe(output)
    assert [item.image[0] for item in recipe.inputs] == images
    assert [item.labels for item in recipe.inputs] == labels
    assert (recipe.task, recipe.unlabelled, recipe.size) == ("classes", 0, "small")
    assert recipe.class_names == {1: "ground"}
    assert recipe.output == output
    header = model.config.training["recipe"]
    assert header["inputs"][0]["image"] == f"../{images[0].name}"
    again = api.run_recipe(recipe, output=folder / "again.safetensors")
    assert equal(model, again.model)
    arrays = [tifffile.imread(path) for path in images]
    model = result_of(api.training(arrays, labels, **told))
    assert model.config.training["recipe"] is None
