"""The verbs, as the console, the command line and the panels call them."""

from __future__ import annotations

import doctest
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
import tifffile
from pydantic import ValidationError

import napari_unetpp
from napari_unetpp import api
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import (
    AxesError,
    DeviceError,
    ImageError,
    LabelsError,
    ModelFileError,
    SettingsError,
)
from napari_unetpp.inference import BlockDone, Finished, RunStarted, TileDone

TRUE_SQUARES = 6
VERBS = ("evaluate", "load_model", "predict", "segment", "segmenting", "train")
EXAMPLES = [
    example
    for verb in VERBS
    for example in doctest.DocTestFinder().find(getattr(api, verb), verb)
]


@pytest.fixture
def squares():
    """Six bright squares of 12 by 14 pixels on dark ground."""
    image = np.full((100, 120), 100, np.uint16)
    for number in range(TRUE_SQUARES):
        y, x = 10 + 40 * (number // 3), 10 + 35 * (number % 3)
        image[y : y + 12, x : x + 14] = 3000
    return image


def test_every_name_of_the_facade_is_there():
    assert sorted(napari_unetpp.__all__) == napari_unetpp.__all__
    for name in napari_unetpp.__all__:
        assert getattr(napari_unetpp, name) is not None
        assert name in dir(napari_unetpp)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        napari_unetpp.nothing  # noqa: B018


def test_importing_the_facade_loads_nothing_heavy():
    code = (
        "import sys, napari_unetpp; napari_unetpp.__version__;"
        "print({'torch', 'dask', 'zarr', 'napari', 'qtpy', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_examples_do_what_they_say(example):
    failed, tried = doctest.DocTestRunner(verbose=False).run(example)
    assert tried
    assert not failed


def test_every_verb_has_an_example():
    assert [example.name for example in EXAMPLES if example.examples] == [*VERBS]


def test_segment_finds_objects(model_file, squares):
    result = napari_unetpp.segment(squares, model_file, device="cpu")
    assert result.n_objects == TRUE_SQUARES
    assert np.array_equal(result.labels > 0, squares > 1000)
    assert result.prediction.model_name == "small"
    assert result.prediction.head_names == ("head 1", "head 2")


@pytest.mark.parametrize("tile", [16, 32, 1000])
def test_segment_does_not_depend_on_the_tile(model_file, squares, tile):
    expected = napari_unetpp.segment(squares, model_file, device="cpu").labels
    found = napari_unetpp.segment(squares, model_file, device="cpu", tile=tile).labels
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint32", "float32", "float64", ">u2"]
)
def test_any_type_of_pixel(model_file, squares, dtype):
    image = (squares > 1000).astype(dtype)
    result = napari_unetpp.segment(image, model_file, device="cpu")
    assert result.n_objects == TRUE_SQUARES


def test_files_dask_arrays_and_colours(model_file, squares, tmp_path):
    path = tmp_path / "squares.tif"
    tifffile.imwrite(path, squares)
    colours = np.stack([squares // 16] * 3, axis=-1).astype(np.uint8)
    for image in (path, str(path), da.from_array(squares, 50), colours):
        result = napari_unetpp.segment(image, model_file, device="cpu")
        assert result.n_objects == TRUE_SQUARES
        assert result.axes == "YX"


def test_axes_and_channel(model_file, squares):
    stack = np.stack([squares[::-1], squares, squares * 0 + 5], axis=0)
    result = napari_unetpp.segment(stack, model_file, axes="CYX", channel=1)
    assert result.n_objects == TRUE_SQUARES
    assert result.axes == "YX"
    movie = np.stack([squares, squares[::-1]])
    result = napari_unetpp.segment(movie, model_file, axes="TYX")
    assert result.axes == "TYX"
    assert result.n_objects == 2 * TRUE_SQUARES


def test_fast_mode_and_levels(model_file, squares):
    for level in (1, 2):
        prediction = napari_unetpp.predict(
            squares, model_file, mode="fast", level=level, device="cpu"
        )
        assert prediction.head_names == (f"head {level}",)
        assert prediction.heads.shape == (1, 3, 100, 120)
        assert prediction.uncertainty is None
    accurate = napari_unetpp.predict(squares, model_file, level=1, device="cpu")
    assert accurate.head_names == ("head 1",)


def test_a_store_takes_what_grows(model_file, squares, tmp_path):
    folder = tmp_path / "made" / "when needed"
    result = napari_unetpp.segment(squares, model_file, device="cpu", store=folder)
    assert len(list(folder.iterdir())) == 3
    assert result.labels.compute().max() == TRUE_SQUARES


def test_segmenting_tells_all_and_ends_with_the_result(model_file, squares):
    run = api.segmenting(squares, model_file, PredictionConfig(device="cpu", tile=64))
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as end:
            returned = end.value
            break
    kinds = [type(event) for event in events]
    assert kinds[0] is RunStarted
    assert kinds[1:5] == [TileDone] * 4
    assert set(kinds[5:-1]) == {BlockDone}
    assert kinds[-1] is Finished
    assert events[-1].result is returned
    assert returned.prediction is events[0].prediction
    (run_id,) = {event.run_id for event in events}
    assert len(run_id) == 32
    for event in events[1:-1]:
        assert event.stage
        assert 1 <= event.n_done <= event.n_tiles
        assert event.seconds >= 0


def test_two_runs_have_two_ids(model_file, squares):
    first, second = (next(api.segmenting(squares, model_file)) for _ in range(2))
    assert first.run_id != second.run_id


def test_a_view(model_file, squares):
    movie = np.stack([squares, squares[::-1]])
    settings = PredictionConfig(device="cpu")
    run = api.segmenting(
        movie, model_file, settings, axes="TYX", region=((0, 40), (5, 80)), loop=(0,)
    )
    result = [event for event in run][-1].result  # noqa: C416
    assert result.labels.shape == (1, 40, 75)
    assert np.array_equal(result.labels[0] > 0, squares[0:40, 5:80] > 1000)
    assert result.n_objects == 2
    assert result.translate == (0, 0, 5)


def test_what_is_looked_at_is_predicted_first(model_file, squares):
    movie = np.stack([squares, squares[::-1]])
    settings = PredictionConfig(device="cpu", tile=32)

    def run(first):
        events = list(
            api.segmenting(movie, model_file, settings, axes="TYX", first=first)
        )
        boxes = [event.box for event in events if isinstance(event, TileDone)]
        return boxes, np.asarray(events[-1].result.labels)

    looked_at = ((1, 2), (70, 80), (70, 80))
    usual, labels = run(None)
    boxes, same_labels = run(looked_at)
    assert sorted(boxes) == sorted(usual) != boxes
    for interval, (start, stop) in zip(boxes[0], looked_at, strict=True):
        assert interval[0] < stop
        assert interval[1] > start
    assert np.array_equal(labels, same_labels)


def test_a_layer_keeps_its_place(model_file, squares):
    layers = pytest.importorskip("napari.layers")
    layer = layers.Image(squares, scale=(0.5, 0.25), translate=(3, 4), name="cells")
    result = napari_unetpp.segment(layer, model_file, device="cpu")
    assert (result.scale, result.translate) == ((0.5, 0.25), (3, 4))
    assert result.name == "cells"
    assert result.n_objects == TRUE_SQUARES


def test_results_fit_on_a_line_of_the_console(model_file, squares):
    result = napari_unetpp.segment(squares, model_file, device="cpu")
    shown = repr(result)
    assert f"{TRUE_SQUARES} objects" in shown
    assert "by small" in shown
    assert "head 1, head 2" in shown
    assert len(shown) < 250


def test_evaluate_scores_a_perfect_model(model_file, squares):
    labels = np.asarray(napari_unetpp.segment(squares, model_file).labels)
    scores = napari_unetpp.evaluate([squares], [labels], model_file, device="cpu")
    assert scores["n_images"] == 1
    assert scores["accurate"]["iou"] == 1
    assert len(scores["heads"]) == 2
    with pytest.raises(LabelsError, match="1 images and 0 labels"):
        napari_unetpp.evaluate([squares], [], model_file)


def test_load_model(model_file, small_model, tmp_path):
    assert api.load_model(small_model) is small_model
    assert api.load_model(str(model_file)).config.name == "small"
    assert api.load_model().config.task == "instances"
    with pytest.raises(ModelFileError, match="no such model"):
        api.load_model(tmp_path / "nothing.safetensors")
    with pytest.raises(ModelFileError, match="nuclei"):  # names what there is
        api.load_model("nucleus")


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((0, 5), np.uint8), ImageError),
        (np.zeros((1, 1), np.uint8), ImageError),
        (np.full((50, 60), 7, np.uint16), ImageError),
        (np.full((50, 60), np.nan, np.float32), ImageError),
        (np.array([[np.inf] * 60, [1.0] * 60], np.float32), ImageError),
        (np.ones((50, 60), np.complex64), ImageError),
        (np.zeros(50, np.uint8), AxesError),
        ("no such file.tif", ImageError),
        (12, ImageError),
    ],
)
def test_images_that_are_refused(model_file, image, error):
    with pytest.raises(error):
        napari_unetpp.segment(image, model_file, device="cpu")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"axes": "ZYX"}, AxesError),
        ({"axes": "YY"}, AxesError),
        ({"channel": 3}, AxesError),
        ({"level": 9}, SettingsError),
        ({"device": "cuda:99"}, DeviceError),
        ({"tile": 0}, ValidationError),
        ({"mode": "exact"}, ValidationError),
    ],
)
def test_settings_that_are_refused(model_file, squares, arguments, error):
    with pytest.raises(error):
        napari_unetpp.segment(squares, model_file, **arguments)


def test_a_stack_for_a_flat_image_is_refused(small_model_3d, squares):
    with pytest.raises(AxesError, match="2-D model"):
        napari_unetpp.segment(squares, small_model_3d)
