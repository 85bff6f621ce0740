"""Labels of class models, and where labels lie."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.config import ModelConfig, NetworkConfig, PredictionConfig
from napari_unetpp.errors import OutputError
from napari_unetpp.inference import BlockDone, label, predict_image
from napari_unetpp.inference._labelling import class_labels
from napari_unetpp.inference._scratch import finished_labels, new_labels
from napari_unetpp.io import as_image

CPU = PredictionConfig(device="cpu", tile=64)


def classes(n, values):
    return ModelConfig(
        network=NetworkConfig(out_channels=n, widths=(4, 8)),
        task="classes",
        class_names=tuple(f"class {value}" for value in values),
        class_values=values,
    )


def test_the_likeliest_class_wins():
    probabilities = np.array([[0.2, 0.5, 0.1], [0.5, 0.5, 0.1], [0.3, 0.0, 0.8]])
    found = class_labels(probabilities, classes(3, (3, 0, 300)))
    assert found.tolist() == [0, 3, 300]
    assert found.dtype == np.uint16


def test_a_single_class_is_there_above_a_half():
    found = class_labels(np.array([[0.2, 0.5, 0.7]]), classes(1, (4,)))
    assert found.tolist() == [0, 0, 4]
    assert found.dtype == np.uint8


def test_class_models_write_what_was_painted(small_class_model, noise, finish):
    image = as_image(noise(2, 70, 90), "TYX")
    _, prediction = finish(predict_image(image, small_class_model, CPU, "run"))
    events, result = finish(label(prediction, small_class_model.config, "run"))
    ground, cell = prediction.mean.compute()
    expected = np.where(cell > ground, 7, 3)
    assert np.array_equal(result.labels, expected)
    assert set(np.unique(result.labels)) <= {3, 7}
    assert result.n_objects is None
    assert [event.n_done for event in events] == [1, 2]
    assert all(isinstance(event, BlockDone) for event in events)
    assert (result.axes, result.name) == ("TYX", "image")


@pytest.mark.parametrize("on_disk", [False, True])
def test_labels_in_memory_and_on_disk(tmp_path, on_disk):
    labels = new_labels(
        (3, 50, 60), np.uint32, (1, 32, 32), tmp_path if on_disk else None
    )
    labels[1, 10:20] = 5
    given = finished_labels(labels)
    assert isinstance(given, np.ndarray) != on_disk
    assert given.dtype == np.uint32
    assert given.shape == (3, 50, 60)
    assert np.asarray(given).sum() == 5 * 600


@pytest.mark.parametrize("kind", ["small_model", "small_class_model"])
def test_a_disk_that_fails_while_labels_are_written(
    request, noise, finish, tmp_path, kind
):
    model = request.getfixturevalue(kind)
    image = as_image(noise(2, 70, 90), "TYX")
    _, prediction = finish(predict_image(image, model, CPU, "run"))
    run = label(prediction, model.config, "run", tmp_path)
    next(run)
    for store in list(tmp_path.glob("*/labels.zarr")):
        store.rename(store.with_name("moved"))
        store.write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        finish(run)


def test_labels_that_cannot_be_made_leave_no_folder(tmp_path):
    with pytest.raises(TypeError):
        new_labels((3, 50, 60), "no such dtype", (1, 32, 32), tmp_path)
    assert list(tmp_path.iterdir()) == []
