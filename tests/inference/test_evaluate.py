"""Scores of a model on labelled images, known from how the images were made."""

import json

import numpy as np
import pytest
import tifffile
import torch

from napari_unetpp.arrays import Image
from napari_unetpp.config import ModelConfig, NetworkConfig, PredictionConfig
from napari_unetpp.errors import ImageError, InputError, LabelsError, SettingsError
from napari_unetpp.inference._evaluate import (
    Evaluation,
    compare_images,
    evaluate,
    report,
    score_images,
)
from napari_unetpp.io import load_model_file, read_labels
from napari_unetpp.nn import Model

SETTINGS = PredictionConfig(device="cpu")


@pytest.fixture
def model(model_file):
    """Finds what is brighter than half of the range, the same with every head."""
    return load_model_file(model_file)


@pytest.fixture
def cells():
    """Six bright squares on black, and their labels."""
    labels = np.zeros((70, 90), np.uint16)
    for number in range(6):
        y, x = 10 + 30 * (number // 3), 10 + 28 * (number % 3)
        labels[y : y + 12, x : x + 14] = number + 1
    return labels


def pair(pixels, labels, axes="YX", name="cells"):
    n = len(axes)
    geometry = ((1.0,) * n, ("pixel",) * n)
    return (
        Image(pixels, axes, *geometry, name=name),
        Image(labels, axes, *geometry, name=f"labels of {name}"),
    )


def bright(labels):
    return np.where(labels > 0, 200, 10).astype(np.uint8)


def test_a_perfect_model_scores_one_with_every_head(model, cells):
    result = evaluate([pair(bright(cells), cells)], model, SETTINGS)

    assert result["n_images"] == 1
    assert (result["model"], result["task"]) == (model.config.name, "instances")
    assert [head["name"] for head in result["heads"]] == ["head 1", "head 2"]
    for scores in (result["accurate"], *result["heads"]):
        for name in ("iou", "pooled_iou", "mean_iou", "dice", "ap50", "ap50_pooled"):
            assert scores[name] == 1
        assert scores["mean_ap"] == 1
        assert (scores["n_true"], scores["n_pred"]) == (6, 6)


def test_errors_are_counted_as_they_were_made(model, cells):
    """Two objects are not in the image, one is there without a label."""
    shown = cells.copy()
    shown[(cells == 2) | (cells == 5)] = 0
    shown[55:65, 10:30] = 9

    scores = evaluate([pair(bright(shown), cells)], model, SETTINGS)["accurate"]

    found, true, both = 4 * 168 + 200, 6 * 168, 4 * 168
    assert scores["iou"] == both / (found + true - both)
    assert scores["dice"] == 2 * both / (found + true)
    assert scores["ap50"] == 4 / (4 + 2 + 1)
    assert scores["mean_ap"] == pytest.approx(scores["ap50"])
    assert (scores["n_true"], scores["n_pred"]) == (6, 5)


def test_averages_and_pools_are_over_images(model, cells):
    empty = np.where(cells == 1, cells, 0)
    images = [pair(bright(cells), cells), pair(bright(empty), cells, name="poor")]

    result = evaluate(images, model, SETTINGS)

    assert result["accurate"]["ap50"] == pytest.approx((1 + 1 / 6) / 2)
    assert result["accurate"]["ap50_pooled"] == 7 / 12
    assert result["accurate"]["pooled_iou"] == 7 / 12
    assert [row["name"] for row in result["images"]] == ["cells", "poor"]
    assert [row["ap50"] for row in result["images"]] == [1, pytest.approx(1 / 6)]
    assert result["images"][1]["shape"] == [70, 90]
    assert json.loads(json.dumps(result)) == result


def test_each_image_has_the_measures_of_each_head(model, cells):
    images = [pair(bright(cells), cells), pair(bright(cells // 2), cells, name="poor")]

    result = evaluate(images, model, SETTINGS)

    for each in result["images"]:
        assert [head["name"] for head in each["heads"]] == ["head 1", "head 2"]
        for head in each["heads"]:
            assert set(head) - {"name"} == set(each) - {"name", "shape", "heads"}
        assert not [name for name in each if "pooled" in name]
    for name in ("pq", "boundary_f", "mean_ap", "dice"):
        for head, total in enumerate(result["heads"]):
            own = [each["heads"][head][name] for each in result["images"]]
            assert total[name] == pytest.approx(sum(own) / 2)


def test_what_is_wrong_with_objects_is_counted(model, cells):
    """Two are shown as one, one is cut in two, and one is a stripe of itself."""
    shown = cells.copy()
    shown[12:20, 24:40] = 1
    shown[cells == 4] = 4
    shown[45:47, 10:24] = 0
    shown[(cells == 5)] = 0
    shown[40:44, 38:52] = 5

    scores = evaluate([pair(bright(shown), cells)], model, SETTINGS)["accurate"]

    assert (scores["n_merged"], scores["n_split"], scores["n_outline"]) == (2, 1, 1)
    assert (scores["n_true"], scores["n_pred"], scores["n_found"]) == (6, 6, 2)
    assert (scores["n_missed"], scores["n_false"]) == (4, 4)
    assert scores["count_error"] == 0


def test_the_tolerance_of_outlines_is_asked_for(model, cells):
    moved = np.roll(cells, 2, 1)

    strict, usual = (
        evaluate([pair(bright(moved), cells)], model, SETTINGS, tolerance=tolerance)
        for tolerance in (0, 2)
    )

    assert (strict["boundary_tolerance"], usual["boundary_tolerance"]) == (0, 2)
    assert strict["accurate"]["boundary_f"] < usual["accurate"]["boundary_f"] == 1


def test_planes_may_be_linked_before_they_are_compared(model, cells):
    stack = np.stack([cells] * 3)
    settings = SETTINGS.model_copy(update={"link": True})

    alone = evaluate([pair(bright(stack), stack, "ZYX")], model, SETTINGS)
    linked = evaluate([pair(bright(stack), stack, "ZYX")], model, settings)

    assert alone["accurate"]["n_pred"] == 18
    assert linked["accurate"]["ap50"] == 1


def test_the_worst_images_are_kept_to_look_at(model, cells):
    corner = np.zeros_like(cells)
    corner[-5:, -5:] = 1
    shown = {"fair": cells % 4, "good": cells, "bad": corner, "poor": cells // 4}
    images = [pair(bright(each), cells, name=name) for name, each in shown.items()]
    found = Evaluation(model.config, worst=2)

    for compared in compare_images(images, model, SETTINGS):
        found.add(compared)

    assert [picture.name for picture in found.pictures] == ["bad", "poor"]
    assert found.pictures[0].n_right == 0
    assert found.report()["n_images"] == 4
    assert Evaluation(model.config).pictures == []


def test_unlabelled_pixels_do_not_count(model, cells):
    shown = cells.copy()
    shown[55:65, 10:30] = 9
    labels = cells.copy()
    labels[54:66, 9:31] = 255

    wrong = evaluate([pair(bright(shown), cells)], model, SETTINGS)
    right = evaluate([pair(bright(shown), labels)], model, SETTINGS, unlabelled=255)

    assert wrong["accurate"]["ap50"] == 6 / 7
    assert right["accurate"]["ap50"] == right["accurate"]["iou"] == 1
    assert (right["accurate"]["n_true"], right["accurate"]["n_pred"]) == (6, 6)


def test_each_head_is_scored_by_its_own_probabilities(model, cells):
    """Head 1 is made to answer the opposite."""
    with torch.no_grad():
        for parameter in model.network.heads["1"].parameters():
            parameter[:2] *= -0.1

    result = evaluate([pair(bright(cells), cells)], model, SETTINGS)

    first, second = result["heads"]
    assert first["iou"] == 0
    assert second["iou"] == 1
    assert result["accurate"]["iou"] == 1  # head 2 is surer


def test_labels_may_have_their_axes_in_another_order(model, cells):
    movie = np.stack([cells, np.roll(cells, 3, 0)])
    image, labels = pair(bright(movie), movie, "TYX")
    turned = Image(
        np.moveaxis(movie, 0, 2), "YXT", labels.scale, labels.units, name="turned"
    )

    result = evaluate([(image, turned)], model, SETTINGS)

    # An object that lives on in the next frame is one in the truth, two in the answer.
    assert result["accurate"]["iou"] == 1
    assert result["images"][0]["shape"] == [2, 70, 90]
    assert (result["accurate"]["n_true"], result["accurate"]["n_pred"]) == (6, 12)


def test_labels_without_axes_have_those_of_their_image(model, cells, tmp_path):
    """A plain TIFF of four axes is guessed to be TZYX; here it lies as the image."""
    stack = np.stack([cells, np.roll(cells, 3, 0), np.roll(cells, 5, 1)])
    movie = np.stack([stack, stack[::-1]], axis=1)  # ZTYX, 3 by 2
    image, _ = pair(bright(movie), movie, "ZTYX")
    tifffile.imwrite(tmp_path / "truth.tif", movie)

    labels = read_labels(tmp_path / "truth.tif")
    result = evaluate([(image, labels)], model, SETTINGS)

    assert result["accurate"]["iou"] == 1
    assert result["images"][0]["shape"] == [3, 2, 70, 90]


@pytest.mark.parametrize("level", [1, 2])
def test_levels_below_the_last_can_be_scored_alone(model, cells, level):
    settings = SETTINGS.model_copy(update={"level": level})

    result = evaluate([pair(bright(cells), cells)], model, settings)

    assert len(result["heads"]) == level


def class_model(values, names=None):
    """Random weights, one output channel for each label value."""
    torch.manual_seed(0)
    config = ModelConfig(
        name="classes",
        network=NetworkConfig(widths=(4, 8), out_channels=len(values)),
        task="classes",
        class_names=names or tuple(f"class {value}" for value in values),
        class_values=values,
    )
    return Model.new(config)


def sure_of(model, index):
    """Make every head answer one class everywhere."""
    with torch.no_grad():
        for head in model.network.heads.values():
            head.weight.zero_()
            head.bias.copy_(torch.eye(len(head.bias))[index] * 9 - 4)
    return model


def test_classes_are_scored_by_the_values_that_were_painted():
    labels = np.full((16, 24), 3, np.uint8)
    labels[:4] = 9
    pixels = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24)

    result = evaluate(
        [pair(pixels, labels)], sure_of(class_model((3, 5, 9)), 2), SETTINGS
    )

    assert result["task"] == "classes"
    assert result["accurate"]["class_iou"] == {"3": 0, "5": None, "9": 1 / 4}
    assert result["accurate"]["mean_iou"] == 1 / 8
    assert "ap50" not in result["accurate"]
    # None of these classes is a background, so there is no foreground either.
    for scores in (result["accurate"], *result["heads"], *result["images"]):
        assert "mean_iou" in scores
        assert not {"iou", "pooled_iou", "dice"} & set(scores)
    assert json.loads(json.dumps(result)) == result


def test_classes_with_a_background_have_a_foreground():
    labels = np.zeros((16, 24), np.uint8)
    labels[:4] = 9
    pixels = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24)
    model = sure_of(class_model((0, 5, 9), ("background", "class 5", "class 9")), 1)

    scores = evaluate([pair(pixels, labels)], model, SETTINGS)["accurate"]

    assert scores["iou"] == scores["pooled_iou"] == 1 / 4
    assert scores["dice"] == 2 / 5
    assert scores["class_iou"] == {"0": 0, "5": 0, "9": 0}


def test_a_single_class_is_scored_against_all_else():
    labels = np.zeros((16, 24), np.uint8)
    labels[:4] = 7
    pixels = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24)

    result = evaluate([pair(pixels, labels)], sure_of(class_model((7,)), 0), SETTINGS)

    assert result["accurate"]["class_iou"] == {"0": 0, "7": 1 / 4}
    ground, only = result["accurate"]["classes"]
    assert (ground["name"], only["name"]) == ("background", "class 7")
    assert (only["precision"], only["recall"], only["dice"]) == (1 / 4, 1, 2 / 5)
    assert (ground["recall"], ground["precision"]) == (0, None)
    assert result["accurate"]["iou"] == 1 / 4


def test_scribbles_are_scored_where_somebody_painted():
    labels = np.zeros((16, 24), np.uint8)
    labels[2, 2:10], labels[9, 3:5] = 1, 2
    pixels = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24)
    model = sure_of(class_model((1, 2)), 0)

    result = evaluate([pair(pixels, labels)], model, SETTINGS, unlabelled=0)

    assert result["accurate"]["class_iou"] == {"1": 8 / 10, "2": 0}
    with pytest.raises(
        LabelsError, match="cells: label value 0 is none of the classes"
    ):
        evaluate([pair(pixels, labels)], model, SETTINGS)


def test_images_are_scored_one_by_one_and_reported_in_any_group(model, cells):
    images = (pair(bright(cells), cells, name=str(n)) for n in range(3))

    scores = score_images(images, model, SETTINGS)

    first = next(scores)
    assert first.name == "0"
    assert next(images)[0].name == "1"  # not read ahead
    rest = list(scores)
    assert [each.name for each in rest] == ["2"]
    assert report([first, *rest], model.config)["n_images"] == 2


def test_no_images_are_refused(model):
    with pytest.raises(InputError, match="no images to evaluate"):
        evaluate([], model, SETTINGS)


def test_fast_mode_is_refused(model, cells):
    settings = PredictionConfig(device="cpu", mode="fast")

    with pytest.raises(SettingsError, match="mode='fast' computes one head"):
        evaluate([pair(bright(cells), cells)], model, settings)


def test_pixels_that_cannot_be_used_are_refused_by_name(model, cells):
    good = pair(bright(cells), cells)
    bad = pair(np.where(cells == 1, np.nan, 1.0), cells, name="torn")
    with pytest.raises(ImageError, match=r"^torn: 168 of 6300 pixels are NaN"):
        evaluate([good, bad], model, SETTINGS)


def test_labels_that_do_not_fit_are_refused_by_name(model, cells):
    with pytest.raises(
        LabelsError, match=r"'labels of cells' of image 'cells' have shape \(70, 80\)"
    ):
        evaluate([pair(bright(cells), cells[:, :80])], model, SETTINGS)
    with pytest.raises(LabelsError, match="float64"):
        evaluate([pair(bright(cells), cells * 1.0)], model, SETTINGS)
