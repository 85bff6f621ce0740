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
from scipy import ndimage

import napari_unetpp
from napari_unetpp import api
from napari_unetpp.api import _watching
from napari_unetpp.config import PredictionConfig, TrainingConfig
from napari_unetpp.errors import (
    AxesError,
    DeviceError,
    ImageError,
    LabelsError,
    ModelFileError,
    OutputExistsError,
    SettingsError,
)
from napari_unetpp.inference import (
    BlockDone,
    Finished,
    LevelsMeasured,
    PlacesFound,
    PreviewTile,
    RunStarted,
    TileDone,
    ViewFocus,
    _level_times,
)
from napari_unetpp.training import (
    EpochDone,
    Notice,
    Paused,
    StepDone,
    TrainingControl,
    TrainingFinished,
)

pytestmark = pytest.mark.usefixtures("one_thread")

TRUE_SQUARES = 6
VERBS = (
    "calibrate",
    "compare",
    "evaluate",
    "export_model",
    "import_model",
    "load_model",
    "next_places",
    "predict",
    "run_recipe",
    "segment",
    "segmenting",
    "train",
)
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


def test_verbs_are_not_hidden_by_packages_of_the_same_name():
    # The import of a subpackage makes it an attribute of its parent.
    assert sys.modules["napari_unetpp.training"] is not napari_unetpp.training
    for name in ("train", "training", "segment", "segmenting"):
        assert getattr(napari_unetpp, name) is getattr(api, name)


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
        assert prediction.uncertainty.shape == (100, 120)
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


def test_evaluate_writes_a_table_and_pictures(model_file, squares, tmp_path):
    labels = np.asarray(napari_unetpp.segment(squares, model_file).labels)
    files = {"csv": tmp_path / "new" / "s.csv", "pictures": str(tmp_path / "worst")}
    pair = ([squares] * 2, [labels, np.where(labels == 2, 0, labels)])

    scores = napari_unetpp.evaluate(*pair, model_file, device="cpu", worst=1, **files)

    assert scores["pictures"] == [str(tmp_path / "worst" / "01_image.png")]
    assert len(files["csv"].read_text().splitlines()) == 1 + 3 * 2 + 3
    with pytest.raises(OutputExistsError, match="not replaced"):
        napari_unetpp.evaluate(*pair, model_file, pictures=files["pictures"])


def test_compare_takes_labels_of_any_origin(squares, tmp_path):
    truth, _ = ndimage.label(squares > 1000)
    tifffile.imwrite(tmp_path / "truth.tif", truth.astype(np.uint16))

    found = napari_unetpp.compare(
        np.where(truth == 3, 0, truth), tmp_path / "truth.tif"
    )

    assert found.scores["n_missed"] == 1
    assert found.names == {1: "missed"}
    assert (found.errors > 0).sum() == 12 * 14


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


LEARN = TrainingConfig(
    epochs=2, steps_per_epoch=3, patch=32, batch=2, validation_fraction=0
)


@pytest.fixture
def strokes(squares):
    """A stroke in a square and one beside it, which leaves most of it unlabelled."""
    labels = np.zeros(squares.shape, np.uint8)
    labels[15, 12:22] = 2
    labels[30, 5:90] = 1
    return labels


@pytest.fixture
def learn(squares, strokes, small_class_model, monkeypatch):
    """Begin a short training of a small network, with previews from the first step."""
    monkeypatch.setattr(_watching, "_FIRST_STEPS", 1)
    monkeypatch.setattr(_level_times, "_SECONDS", 0.02)

    def begin(image=squares, strokes=strokes, **options):
        return api.training(
            [image],
            [strokes],
            base=small_class_model,
            task="classes",
            unlabelled=0,
            size="small",
            settings=LEARN,
            device="cpu",
            **options,
        )

    return begin


def _weights(events):
    return events[-1].model.network.state_dict()


def test_watching_a_training_does_not_change_it(learn, strokes):
    focus = ViewFocus()
    focus.look_at(0, ((0, 100), (0, 120)), ())
    events = []
    for event in learn(focus=focus):
        events.append(event)
        if isinstance(event, StepDone) and event.step == 2:
            focus.find_places([strokes])
    kinds = {type(event) for event in events}
    assert {PreviewTile, PlacesFound, LevelsMeasured, StepDone} <= kinds
    assert type(events[-1]) is TrainingFinished
    assert len({event.run_id for event in events}) == 1
    n_levels = [type(event) for event in events].count(LevelsMeasured)
    assert n_levels == 2  # after the first epoch, and at the end
    undisturbed = list(learn())
    assert not {PreviewTile, PlacesFound, LevelsMeasured} & {*map(type, undisturbed)}
    expected = _weights(undisturbed)
    for name, value in _weights(events).items():
        assert (value == expected[name]).all(), name


def test_a_preview_shows_what_the_network_makes_of_the_view(learn, squares):
    focus, live = ViewFocus(), None
    focus.look_at(0, ((0, 100), (0, 120)), ())
    run = learn(focus=focus)
    for event in run:
        live = getattr(event, "live", live)
        if isinstance(event, PreviewTile):
            expected = napari_unetpp.predict(squares, live, device="cpu")
            break
    run.close()
    assert event.step == 1  # none of the first weights, which know nothing
    assert (event.box, event.done) == (((0, 100), (0, 120)), True)
    difference = np.abs(event.mean - np.asarray(expected.mean))
    assert difference.mean() < 0.02  # bfloat16 where the processor has it
    assert event.uncertainty.shape == (100, 120)


def test_places_are_found_while_training_rests(learn):
    focus, control = ViewFocus(), TrainingControl()
    found = None
    for event in learn(focus=focus, control=control):
        if isinstance(event, StepDone) and event.step == 2:
            control.pause()
        if isinstance(event, Paused) and found is None:
            focus.find_places()
        if isinstance(event, PlacesFound):
            found = event.places
            control.stop()
    assert found
    assert isinstance(event, TrainingFinished)
    assert event.stopped


def test_a_new_class_begins_previews_and_searches_anew(learn, squares, strokes):
    """Neither mixes the old network with the new one, and a search has its answer."""
    image = np.tile(squares, (1, 10))  # several tiles
    old = np.zeros(image.shape, np.uint8)
    old[:, :120] = strokes
    new = old.copy()
    new[60, 5:90] = 5
    focus, control, events = ViewFocus(), TrainingControl(), []
    focus.look_at(0, ((0, 100), (0, 1200)), ())
    for event in learn(image, strokes=old, focus=focus, control=control):
        if isinstance(event, StepDone) and event.step == 2:
            control.put_labels([new])
        if isinstance(event, EpochDone) and event.epoch == 1:
            focus.find_places()
        events.append(event)
    assert sum(isinstance(event, PlacesFound) for event in events) == 1
    tiles = [event for event in events if isinstance(event, PreviewTile)]
    n_classes = {(tile.pass_number, len(tile.mean)) for tile in tiles}
    assert {n for _, n in n_classes} == {2, 3}
    assert len(n_classes) == len({number for number, _ in n_classes})


def test_what_cannot_be_shown_is_told_once(learn, squares):
    focus = ViewFocus()
    focus.look_at(0, ((0, 100), (0, 120)), ())
    gone = da.from_array(squares, 50)
    events, reads = [], []

    def fail(block):
        if len(reads) > 0:
            raise OSError("the disk has gone")
        return block

    image = gone.map_blocks(fail, dtype=gone.dtype, meta=np.empty((0, 0), gone.dtype))
    for event in learn(image, focus=focus):
        reads += [1] * isinstance(event, StepDone)
        events.append(event)
    told = [e.text for e in events if isinstance(e, Notice) and "preview" in e.text]
    assert len(told) == 1
    assert "the disk has gone" in told[0]
    assert isinstance(events[-1], TrainingFinished)


def test_next_places_leave_out_what_is_labelled(model_file, squares):
    image = np.zeros((192, 480), np.uint16)
    image[:100, :120] = squares
    image[20:60, 300:380] = 1550  # neither dark nor bright
    labels = np.zeros(image.shape, np.uint8)
    first, *others = napari_unetpp.next_places(image, labels, model_file, device="cpu")
    assert 280 < first.centre[1] < 400
    assert others
    box = tuple(slice(*span) for span in first.box)
    labels[box] = 1
    again = napari_unetpp.next_places(image, labels, model_file, device="cpu", n=1)
    assert [place.box for place in again] != [first.box]
    with pytest.raises(LabelsError, match="shape"):
        napari_unetpp.next_places(image, labels[:50], model_file, device="cpu")


def test_finding_places_tells_how_far_it_is(model_file, squares):
    run = api.finding_places(
        [squares, squares[::-1]], [squares * 0] * 2, model_file, n=1, device="cpu"
    )
    events = list(run)
    assert [type(event) for event in events] == [BlockDone, BlockDone, PlacesFound]
    assert [event.n_done for event in events[:2]] == [1, 2]
    assert len(events[-1].places) == 1
