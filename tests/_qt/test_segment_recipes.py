"""Recipes of segmentations: what is saved is what is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unetpp import api
from napari_unetpp._napari import SegmentRequest, View, read_preferences
from napari_unetpp._qt._segment_form import SegmentForm
from napari_unetpp._qt._segment_recipes import SegmentRecipes
from napari_unetpp.tiling import Focus

if TYPE_CHECKING:
    from pathlib import Path

VIEW = View(region=((10, 50), (20, 70)), loop=(1,))


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer without a window: a form needs none."""
    return ViewerModel()


@pytest.fixture
def form(viewer: ViewerModel, qtbot: Any) -> SegmentForm:
    """The form of the panel."""
    made = SegmentForm(viewer, read_preferences())
    qtbot.addWidget(made)
    return made


@pytest.fixture
def recipes(
    viewer: ViewerModel, form: SegmentForm, qtbot: Any, request: Any
) -> SegmentRecipes:
    """The buttons, over a run of a view if the test asks for one."""

    def make() -> SegmentRequest:
        return SegmentRequest(
            source=form.source,
            channel=form.channel,
            model=form.models.model,
            settings=form.settings,
            view=getattr(request, "param", None),
            focus=Focus(),
            heads=form.heads.isChecked(),
            inside=form.inside,
            folder=form.folder,
            spare_cores=1,
        )

    made = SegmentRecipes(viewer, form, make)
    qtbot.addWidget(made)
    made.texts = []
    made.said.connect(made.texts.append)
    made.failed.connect(made.texts.append)
    return made


def wait_for(qtbot: Any, recipes: SegmentRecipes, text: str) -> None:
    """Wait until something is said."""
    qtbot.waitUntil(lambda: any(text in said for said in recipes.texts), timeout=60_000)


def test_a_recipe_brings_back_layers_and_settings(
    viewer: ViewerModel,
    form: SegmentForm,
    recipes: SegmentRecipes,
    qtbot: Any,
    tmp_path: Path,
    model_file: Path,
) -> None:
    data = np.random.default_rng(0).integers(0, 99, (3, 60, 80), np.uint8)
    units = ("pixel", "um", "um")
    viewer.add_image(data, name="movie", scale=(1, 0.5, 0.5), units=units)
    mask = np.zeros((3, 60, 80), np.uint8)
    mask[:, 10:30] = 1
    form.inside_choice.choose(viewer.add_labels(mask, scale=(1, 0.5, 0.5), units=units))
    form.axes_field.setText("TYX")
    form.models.choose(str(model_file))
    form.how.fields["mode"].setCurrentIndex(1)
    form.advanced.fields["tile"].setValue(64)
    form.folder_choice.choose(tmp_path / "results")
    form.heads.setChecked(False)
    before = form.settings
    recipes.save(tmp_path / "mine.yaml")
    wait_for(qtbot, recipes, "Saved")
    viewer.layers.clear()
    form.how.fields["mode"].setCurrentIndex(0)
    recipes.load(tmp_path / "mine.yaml")
    wait_for(qtbot, recipes, "is loaded")
    assert form.settings == before
    assert form.models.model == str(model_file)
    assert form.folder == tmp_path / "results"
    assert not form.heads.isChecked()
    source = form.source
    assert source.axes == "TYX"
    assert np.array_equal(np.asarray(source.data), data)
    assert source.scale[1:] == (0.5, 0.5)
    inside = form.inside.over(source)
    assert np.array_equal(inside.data[0:3, 0:60, 0:80], mask > 0)


@pytest.mark.parametrize("recipes", [VIEW], indirect=True)
def test_a_view_is_saved_as_a_region(
    viewer: ViewerModel,
    form: SegmentForm,
    recipes: SegmentRecipes,
    qtbot: Any,
    tmp_path: Path,
) -> None:
    viewer.add_image(np.eye(80)[None, :60].repeat(3, 0), name="movie")
    form.axes_field.setText("TYX")
    recipes.save(tmp_path / "view")
    wait_for(qtbot, recipes, "Saved")
    one = api.load_recipe(tmp_path / "view.yaml").inputs[0]
    assert one.region == {"T": (1, 2), "Y": (10, 50), "X": (20, 70)}


def test_a_recipe_of_a_training_is_refused(
    viewer: ViewerModel,
    form: SegmentForm,
    recipes: SegmentRecipes,
    qtbot: Any,
    tmp_path: Path,
) -> None:
    recipes.save(tmp_path / "nothing.yaml")
    assert "no image layer" in recipes.texts[-1]
    path = tmp_path / "training.yaml"
    path.write_text(
        "recipe: train\nversion: 1\ninputs:\n- image: a.tif\n  labels: b.tif\n"
    )
    recipes.load(path)
    wait_for(qtbot, recipes, "load it in the Train panel")
