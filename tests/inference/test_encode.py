"""What a job keeps of a tile."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.arrays import entropy_of_mean
from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.inference._encode import JobSink
from napari_unetpp.io import ResultLayout, ResultStore
from napari_unetpp.tiling import TileGrid

SHAPE, CORE = (50, 70), (32, 32)
GRID = TileGrid(SHAPE, CORE, (16, 16), (16, 16))
ALL = ("labels", "mean", "heads", "uncertainty")


def model_of(task, n_classes):
    names = INSTANCE_CLASSES if task == "instances" else ("a", "b", "c")[:n_classes]
    return ModelConfig(
        network=NetworkConfig(out_channels=n_classes, widths=(4, 8, 16)),
        task=task,
        class_names=names,
        class_values=(2, 7, 9)[:n_classes],
    )


@pytest.fixture
def make_sink(tmp_path):
    """Return a function that makes a store and its sink."""

    def make(
        task="instances",
        n_classes=3,
        kinds=ALL,
        probability="uint8",
        head_weights=(0.5, 0.5),
    ):
        model = model_of(task, n_classes)
        layout = ResultLayout(
            name="image",
            axes="YX",
            shape=SHAPE,
            scale=(1.0, 1.0),
            units=("pixel", "pixel"),
            translate=(0.0, 0.0),
            core=CORE,
            block=CORE,
            kinds=kinds,
            task=task,
            head_names=("head 1", "head 2"),
            class_names=model.class_names,
            probability=probability,
        )
        store = ResultStore.create(tmp_path / "a.job", layout)
        return JobSink(store, model, head_weights), store

    return make


def probabilities(n_classes, seed=0):
    raw = np.random.default_rng(seed).random((2, n_classes, *CORE), np.float32)
    return raw / raw.sum(axis=1, keepdims=True) if n_classes > 1 else raw


def steps(values):
    return np.rint(255 * np.float64(values))


def test_objects_are_made_from_exactly_these_steps(make_sink):
    sink, store = make_sink()
    found = probabilities(3)
    encoded = sink.encode(found)
    sink.write(GRID[0], encoded)
    mean = found.mean(axis=0, dtype=np.float32)
    foreground = (255 - np.rint(255 * mean[0])).astype(np.uint8)
    where = (slice(0, 32), slice(0, 32))
    assert np.array_equal(store.foreground[where], foreground)
    assert np.array_equal(store.interior[where], np.rint(255 * mean[1]))
    assert np.array_equal(encoded.values["mean"], foreground)
    assert encoded.record == bytes([foreground.max()])
    assert np.array_equal(encoded.values["heads"], 255 - np.rint(255 * found[:, 0]))
    unsure = entropy_of_mean(mean, objects=True)
    assert np.abs(encoded.values["uncertainty"] - 255 * unsure).max() < 0.51
    levels = store.levels("mean")
    assert np.abs(levels[0][where] - foreground / 255).max() < 1e-6


def test_heads_count_by_their_shares(make_sink):
    sink, _ = make_sink(head_weights=(0.25, 0.75))
    found = probabilities(3)
    mean = 0.25 * found[0] + 0.75 * found[1]
    values = sink.encode(found).values
    assert np.array_equal(values["interior"], np.rint(255 * mean[1]))
    assert np.array_equal(values["foreground"], 255 - np.rint(255 * mean[0]))


def test_only_what_is_kept_is_made(make_sink):
    sink, _ = make_sink(kinds=("labels",))
    assert set(sink.encode(probabilities(3)).values) == {"foreground", "interior"}
    sink, _ = make_sink("classes", kinds=("labels",))
    assert set(sink.encode(probabilities(3)).values) == {"labels"}
    sink, _ = make_sink(kinds=("mean",))
    encoded = sink.encode(probabilities(3))
    assert set(encoded.values) == {"mean"}
    assert encoded.record == b""


@pytest.mark.parametrize("n_classes", [1, 3])
def test_classes_are_written_with_their_labels(make_sink, n_classes):
    sink, store = make_sink("classes", n_classes)
    found = probabilities(n_classes)
    encoded = sink.encode(found)
    sink.write(GRID[0], encoded)
    mean = found.mean(axis=0, dtype=np.float32)
    if n_classes == 1:
        expected = np.where(mean[0] > 0.5, 2, 0)
        shown = mean[0]
    else:
        expected = np.array([2, 7, 9])[mean.argmax(axis=0)]
        shown = mean
    assert np.array_equal(encoded.values["labels"], expected)
    assert np.array_equal(encoded.values["mean"], steps(shown))
    assert encoded.record == b""
    labels = store.levels("labels")[0]
    assert np.array_equal(labels[0:32, 0:32], expected)


@pytest.mark.parametrize("task", ["instances", "classes"])
def test_half_precision_floats(make_sink, task):
    sink, store = make_sink(task, probability="float16")
    found = probabilities(3)
    encoded = sink.encode(found)
    sink.write(GRID[0], encoded)
    mean = found.mean(axis=0)
    expected = 1 - mean[0] if task == "instances" else mean
    assert encoded.values["mean"].dtype == np.float16
    assert np.abs(encoded.values["mean"] - expected).max() < 1e-3
    index = () if task == "instances" else (1,)
    level = store.levels("mean", index)[0][0:32, 0:32]
    shown = expected if task == "instances" else expected[1]
    assert np.abs(level - shown).max() < 1e-3


@pytest.mark.parametrize("task", ["instances", "classes"])
def test_there_is_nothing_outside_the_mask(make_sink, task):
    sink, _ = make_sink(task)
    inside = np.random.default_rng(1).random(CORE) < 0.5
    found = probabilities(3)
    whole, part = sink.encode(found), sink.encode(found, inside)
    assert set(part.values) == set(whole.values)
    for name, values in part.values.items():
        assert values.dtype == whole.values[name].dtype
        assert not values[..., ~inside].any()
        assert np.array_equal(values[..., inside], whole.values[name][..., inside])
    if task == "instances":
        assert part.record == bytes([part.values["foreground"].max()])


def test_a_preview_shows_head_1_and_makes_no_labels(make_sink):
    sink, store = make_sink()
    found = probabilities(3)[:1]
    encoded = sink.encode(found, preview=True)
    sink.write(GRID[0], encoded)
    expected = (255 - np.rint(255 * found[0, 0])) / 255
    for kind, index in (("mean", ()), ("heads", (0,))):
        level = store.levels(kind, index)[0]
        assert np.abs(level[0:32, 0:32] - expected).max() < 1e-6
    assert not store.foreground[:].any()
    assert not store.levels("heads", (1,))[0][0:32, 0:32].any()
