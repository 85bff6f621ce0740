"""The form of the Train panel: what it guesses, refuses and hands over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unetpp._napari import (
    LabelsCounted,
    count_labels,
    read_labels_layer,
    read_layer,
    read_preferences,
)
from napari_unetpp._qt._label_fields import ASK
from napari_unetpp._qt._name_choice import NameChoice
from napari_unetpp._qt._train_form import TrainForm
from napari_unetpp.arrays import LabelMeaning
from napari_unetpp.config import TrainingConfig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer without a window: a form needs none."""
    return ViewerModel()


@pytest.fixture
def make_form(viewer: ViewerModel, qtbot: Any, tmp_path: Path) -> Any:
    """Make a form whose models lie in a temporary folder."""

    def make() -> TrainForm:
        mine = replace(read_preferences(), models_folder=tmp_path / "models")
        form = TrainForm(viewer, mine)
        qtbot.addWidget(form)
        return form

    return make


def count(form: TrainForm) -> None:
    """Count the labels of a form now; the panel does it in a thread."""
    found = list(count_labels([layer.data for layer in form.labels_layers]))
    assert isinstance(found[0], LabelsCounted)
    form.show_counts(found[0])


def strokes(shape: tuple[int, ...] = (60, 80)) -> np.ndarray:
    """Return labels with a stroke of each of two classes."""
    labels = np.zeros(shape, np.uint8)
    labels[..., 5:8, 5:40] = 1
    labels[..., 30:33, 5:40] = 2
    return labels


def test_first_row_fills_itself(viewer: ViewerModel, make_form: Any) -> None:
    image = viewer.add_image(np.zeros((60, 80)), name="cells")
    viewer.add_image(np.zeros((9, 9)), name="other")
    viewer.layers.selection.active = image
    form = make_form()
    assert form.image_layers[0] == (image,)
    assert "press New" in form.problem
    viewer.add_labels(np.zeros((9, 9), int))
    assert "press New" in form.problem
    layer = viewer.add_labels(strokes())
    assert form.labels_layers == [layer]
    count(form)
    assert form.problem == ""
    assert form.name.output.name == "cells-1.safetensors"


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((60, 80), {}, (60, 80)),
        ((60, 80, 3), {"rgb": True}, (60, 80)),
        ((5, 60, 80), {"scale": (2, 0.5, 0.5)}, (5, 60, 80)),
        ((4, 2, 60, 80), {"axis_labels": tuple("TCYX")}, (4, 1, 60, 80)),
    ],
)
def test_new_labels_lie_on_the_image(
    viewer: ViewerModel,
    make_form: Any,
    shape: tuple[int, ...],
    options: dict[str, Any],
    expected: tuple[int, ...],
) -> None:
    image = viewer.add_image(np.zeros(shape, np.uint8), name="cells", **options)
    form = make_form()
    form.pairs.rows[0].new_button.click()
    labels = viewer.layers["cells labels"]
    assert labels.data.shape == expected
    assert (viewer.layers.selection.active, labels.mode) == (labels, "paint")
    read = read_labels_layer(labels, read_layer(image))
    assert "C" not in read.axes
    assert read.data.shape == tuple(s for s in expected if s != 1)
    labels.paint((*(0,) * (len(expected) - 2), 30, 40), 2)
    assert read.data.any()  # a view of what is painted
    corner = (*(0,) * (len(expected) - 2), 7, 9)
    at = image.world_to_data(labels.data_to_world(corner))
    assert tuple(np.round(at[-2:])) == (7, 9)


def test_labels_of_another_place_are_refused(
    viewer: ViewerModel, make_form: Any
) -> None:
    viewer.add_image(np.zeros((60, 80)), name="cells", scale=(0.5, 0.5))
    layer = viewer.add_labels(strokes(), name="mine")
    form = make_form()
    assert "'mine' have the scale (1, 1)" in form.problem
    layer.scale = (0.5, 0.5)
    assert form.problem == ""
    layer.translate = (0, 5)
    assert "(0, 10) pixels beside" in form.problem
    other = viewer.add_labels(np.zeros((50, 80), int), name="small")
    form.pairs.rows[0].labels.choose(other)
    assert "'small' have shape (50, 80) but the image 'cells' has (60, 80)" in (
        form.problem
    )


def test_what_cannot_be_learnt_is_said(viewer: ViewerModel, make_form: Any) -> None:
    viewer.add_image(np.zeros((60, 80)))
    layer = viewer.add_labels(np.zeros((60, 80), np.uint8))
    form = make_form()
    count(form)
    assert "nothing is painted" in form.problem
    layer.data[5:8] = 3
    count(form)
    assert "only class 3" in form.problem
    form.labels.choose("instances", None)
    assert form.problem == ""
    layer.data[:] = 0
    count(form)
    assert "paint objects" in form.problem


def test_classes_have_colours_names_and_pixels(
    viewer: ViewerModel, make_form: Any
) -> None:
    viewer.add_image(np.zeros((60, 80)))
    layer = viewer.add_labels(strokes())
    form = make_form()
    count(form)
    table = form.labels.classes
    assert [table.item(i, 0).text() for i in range(2)] == ["1", "2"]
    assert [table.item(i, 2).text() for i in range(2)] == ["105", "105"]
    table.item(1, 1).setText("axon")
    layer.data[50:52, :10] = 7
    count(form)
    choices = form.choices
    assert (choices.task, choices.unlabelled) == ("classes", 0)
    assert choices.class_names == {1: "class 1", 2: "axon", 7: "class 7"}
    assert "few" in table.item(2, 2).text()
    rgb = [round(255 * v) for v in layer.get_color(2)[:3]]
    assert choices.class_colours[2] == "#{:02x}{:02x}{:02x}".format(*rgb)
    form.labels.choose("instances", None)
    assert not form.choices.class_names


def test_meaning_is_guessed_until_it_is_chosen(
    viewer: ViewerModel, make_form: Any
) -> None:
    viewer.add_image(np.zeros((60, 80)))
    objects = np.zeros((60, 80), np.uint16)
    objects[5:55, 5:75] = np.kron(
        np.arange(1, 36).reshape(5, 7), np.pad(np.ones((8, 8), int), 1)
    )
    layer = viewer.add_labels(strokes())
    form = make_form()
    count(form)
    assert (form.labels.task, form.labels.unlabelled) == ("classes", 0)
    layer.data = objects
    count(form)
    assert form.labels.task == "instances"
    form.labels.choose("classes", None)
    count(form)
    assert (form.labels.task, form.labels.unlabelled) == ("classes", None)


def test_a_guess_does_not_change_while_somebody_paints(
    viewer: ViewerModel, make_form: Any
) -> None:
    viewer.add_image(np.zeros((60, 80)))
    layer = viewer.add_labels(np.zeros((60, 80), np.uint8))
    form = make_form()
    for row in range(0, 12, 2):  # one class, two, ever more of the image
        count(form)
        assert (form.labels.task, form.labels.unlabelled) == ("classes", 0)
        assert form.labels.meaning.currentData() is not None
        layer.data[row] = 1 + row % 4 // 2


def test_who_cannot_tell_asks(viewer: ViewerModel, make_form: Any) -> None:
    viewer.add_image(np.zeros((60, 80)))
    viewer.add_labels(strokes())
    form = make_form()
    unsure = LabelMeaning("classes", 0, ambiguous=True)
    form.show_counts(LabelsCounted({0: 4000, 1: 300, 2: 500}, unsure))
    assert form.labels.meaning.currentText() == ASK
    assert form.problem == "say what 0 means in the labels"
    form.labels.choose("classes", None)
    assert form.problem == ""
    form.show_counts(LabelsCounted({0: 3000, 1: 1300, 2: 500}, unsure))
    assert form.labels.unlabelled is None


def test_several_layers_are_channels(viewer: ViewerModel, make_form: Any) -> None:
    first = viewer.add_image(np.full((60, 80), 1.0), name="red")
    viewer.add_image(np.zeros((9, 9)), name="small")
    second = viewer.add_image(np.full((60, 80), 2.0), name="green")
    viewer.add_labels(strokes())
    viewer.layers.selection.active = first
    form = make_form()
    row = form.pairs.rows[0]
    row.channel_button.click()
    assert form.image_layers[0] == (first, second)
    assert form.n_channels == 2
    image = form.frozen()[0].image()
    assert image.axes == "CYX"
    assert np.asarray(image.data)[:, 0, 0].tolist() == [1, 2]
    row.images[1].choose(viewer.layers["small"])
    with pytest.raises(ValueError, match="cannot be a channel"):
        form.frozen()[0].image()
    row._removers[0].click()
    assert form.image_layers[0] == (first,)


def test_several_images(viewer: ViewerModel, make_form: Any) -> None:
    for name in ("one", "two"):
        viewer.add_image(np.zeros((60, 80)), name=name)
        viewer.add_labels(strokes(), name=f"{name} labels")
    form = make_form()
    form.pairs.add_button.click()
    names = [images[0].name for images in form.image_layers]
    assert sorted(names) == ["one", "two"]
    form.pairs.rows[1].images[0].choose(form.image_layers[0][0])
    assert "chosen twice" in form.problem
    form.pairs.rows[1].remove_button.click()
    count(form)
    assert form.problem == ""


def test_labels_are_copied_when_they_are_frozen(
    viewer: ViewerModel, make_form: Any
) -> None:
    viewer.add_image(np.zeros((60, 80)))
    layer = viewer.add_labels(strokes())
    form = make_form()
    frozen = form.frozen()[0].labels.data
    layer.paint((50, 50), 2)
    assert np.array_equal(frozen, strokes())


def test_planes_can_be_learnt_alone(viewer: ViewerModel, make_form: Any) -> None:
    viewer.add_image(np.zeros((5, 60, 80)), axis_labels=("Z", "Y", "X"))
    viewer.add_labels(strokes((5, 60, 80)))
    form = make_form()
    assert form.choices.spatial_dims == 3
    form.network.dimensions.setCurrentIndex(1)
    assert form.choices.spatial_dims == 2
    form.axes_field.setText("TYX")
    assert form.choices.spatial_dims == 2
    form.axes_field.setText("TY")
    assert "TY" in form.problem


def test_a_name_that_is_taken_is_said(viewer: ViewerModel, make_form: Any) -> None:
    viewer.add_image(np.zeros((60, 80)), name="a/b")
    form = make_form()
    name = form.name
    assert name.line.text() == "a_b-1"
    name.folder.mkdir(parents=True)
    (name.folder / "old.safetensors").write_bytes(b"")
    name.choose("old")
    assert "there is a model 'old'" in name.problem
    assert not name.overwrite
    name.replace.setChecked(True)
    assert name.problem == ""
    name.choose("begun")
    (name.folder / "begun.safetensors.checkpoint").write_bytes(b"")
    assert not name.overwrite
    assert name.unfinished
    assert "Resume" in name.problem
    name.choose("a/b")
    assert "/" in name.problem


def test_settings_go_through_the_form_unchanged(
    viewer: ViewerModel, make_form: Any
) -> None:
    viewer.add_image(np.zeros((60, 80)))
    viewer.add_labels(strokes())
    form = make_form()
    count(form)
    assert not {"patch", "batch"} & form.choices.settings.model_fields_set
    settings = TrainingConfig(
        epochs=7, patch=96, learning_rate=2.5e-4, head_weights=(1, 2, 3, 4), seed=5
    )
    changed = form.choices.__class__(
        task="classes",
        unlabelled=0,
        class_names={1: "a", 2: "b"},
        class_colours=form.choices.class_colours,
        base="",
        size="paper",
        spatial_dims=2,
        channel=None,
        settings=settings,
        nonfinite="background",
    )
    form.show_choices(changed)
    assert form.choices.settings.model_dump() == settings.model_dump()
    assert "batch" not in form.choices.settings.model_fields_set
    assert form.choices == changed


@pytest.mark.parametrize(
    ("chosen", "suggested"), [("mine", "mine-1"), ("mine-1", "mine-2"), ("a-9", "a-1")]
)
def test_after_a_training_the_next_free_name_is_suggested(
    qtbot: Any, tmp_path: Path, chosen: str, suggested: str
) -> None:
    name = NameChoice(tmp_path)
    qtbot.addWidget(name)
    name.choose(chosen)
    name.output.touch()
    assert "there is a model" in name.problem

    name.go_past()

    assert name.line.text() == suggested
    assert not name.problem
