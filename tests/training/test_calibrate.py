"""A model that is there already, calibrated on labelled images."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from scipy import ndimage

import napari_unetpp
from napari_unetpp.config import InstanceConfig
from napari_unetpp.errors import LabelsError
from napari_unetpp.nn import Model

DRAWN = 25


@pytest.fixture
def squares():
    """Bright squares on dark, and their labels; half of them are dim."""
    labels = np.zeros((110, 120), np.uint16)
    for k in range(DRAWN):
        y, x = 6 + 20 * (k // 5), 6 + 22 * (k % 5)
        labels[y : y + 12, x : x + 14] = k + 1
    image = np.where(labels > 0, np.where(labels % 2, 3000, 1900), 100)
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(image + rng.normal(0, 80, image.shape), 0.7)
    return smooth.clip(0, 4000).astype(np.uint16), labels


@pytest.fixture
def model(model_file):
    """Finds what is brighter than half of the range, and is too sure of it."""
    return napari_unetpp.load_model(model_file)


def test_temperatures_and_thresholds_suit_the_labels(model, squares):
    image, labels = squares
    config = model.config.model_copy(
        update={"instances": InstanceConfig(foreground_threshold=0.95)}
    )
    strict = Model(model.network, config)
    found = napari_unetpp.calibrate(strict, [image], [labels], device="cpu")
    assert strict.config is config  # not changed
    record = found.config.training["calibration"]
    assert record["n_objects"] == DRAWN
    assert record["temperatures"] == list(found.config.temperatures)
    nll = record["nll"]
    assert all(after <= before for before, after in (*nll["heads"], nll["accurate"]))
    before, after = record["mean_ap"]
    assert after > before
    assert found.config.instances.foreground_threshold < 0.95
    same = found.network.state_dict()
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, same[name])
    scores = [
        napari_unetpp.evaluate([image], [labels], each, device="cpu")
        for each in (strict, found)
    ]
    aps = [score["accurate"]["mean_ap_pooled"] for score in scores]
    assert aps[1] > aps[0]
    gaps = [s["uncertainty"]["calibration_error"]["heads"]["head 2"] for s in scores]
    assert gaps[1] <= gaps[0]


def test_files_are_taken_and_a_calibrated_model_is_kept(model_file, squares, tmp_path):
    image, labels = squares
    paths = [tmp_path / "image.tif", tmp_path / "labels.tif"]
    for path, pixels in zip(paths, squares, strict=True):
        tifffile.imwrite(path, pixels)
    first = napari_unetpp.calibrate(model_file, [paths[0]], [paths[1]], device="cpu")
    again = napari_unetpp.calibrate(model_file, [image], [labels], device="cpu")
    assert first.config.temperatures == again.config.temperatures
    saved = napari_unetpp.save_model(first, tmp_path / "calibrated.safetensors")
    assert napari_unetpp.load_model(saved).config == first.config


def test_labels_that_cannot_calibrate_are_refused(model, small_class_model, squares):
    image, labels = squares
    with pytest.raises(LabelsError, match=r"only \d+ labelled pixels .* label more"):
        napari_unetpp.calibrate(model, [image[:20, :20]], [labels[:20, :20]])
    wrong = np.select([labels == 1, labels > 1], [9, 7], 3).astype(np.uint8)
    with pytest.raises(LabelsError, match="label value 9 is none of the classes"):
        napari_unetpp.calibrate(small_class_model, [image], [wrong], device="cpu")
    with pytest.raises(LabelsError, match="1 images and 0 labels"):
        napari_unetpp.calibrate(model, [image], [])


def test_classes_need_some_pixels_only(small_class_model, squares):
    image, labels = squares
    strokes = np.zeros(labels.shape, np.uint8)
    strokes[labels > 0] = 7
    strokes[40:60][labels[40:60] == 0] = 3
    found = napari_unetpp.calibrate(
        small_class_model, [image], [strokes], unlabelled=0, device="cpu"
    )
    record = found.config.training["calibration"]
    assert record["n_pixels"] == np.count_nonzero(strokes)
    assert "instances" not in record
    assert found.config.instances == small_class_model.config.instances
    assert found.config.temperatures != ()
