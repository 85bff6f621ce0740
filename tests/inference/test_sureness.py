"""How sure a model is beside where it is right, against lists of all pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_unetpp.arrays import Image
from napari_unetpp.config import ModelConfig, NetworkConfig, PredictionConfig
from napari_unetpp.inference import _sureness, predict_image, result_of
from napari_unetpp.inference._evaluate import compare_images, evaluate
from napari_unetpp.nn._uncertainty_metrics import auroc, count_errors

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = PredictionConfig(device="cpu")


def pair(pixels, labels, axes="YX", name="image"):
    geometry = ((1.0,) * len(axes), ("pixel",) * len(axes))
    return Image(pixels, axes, *geometry, name=name), Image(
        labels, axes, *geometry, name=f"labels of {name}"
    )


@pytest.fixture
def class_model(make_model):
    model = make_model(widths=(4, 8, 16))
    config = ModelConfig(
        name="classes",
        network=NetworkConfig(out_channels=3, widths=(4, 8, 16)),
        task="classes",
        class_names=("ground", "cell", "fibre"),
        class_values=(1, 4, 6),
        channels="grey",
    )
    return type(model)(model.network, config)


def entropy(p):
    p = p.clip(1e-12, 1)
    return -(p * np.log(p)).sum(axis=0) / np.log(len(p))


@pytest.mark.parametrize("pixels_at_once", [2**20, 500])
def test_classes_are_wrong_where_another_is_likelier(
    class_model, noise, monkeypatch, pixels_at_once
):
    monkeypatch.setattr(_sureness, "_PIXELS", pixels_at_once)
    image = noise(40, 56)
    labels = np.random.default_rng(0).choice([0, 1, 4, 6], image.shape).astype(np.uint8)
    one = pair(image, labels)
    found = evaluate([one], class_model, SETTINGS, unlabelled=0)["uncertainty"]

    counted = labels > 0
    truth = np.searchsorted([1, 4, 6], labels)[counted]
    prediction = result_of(predict_image(one[0], class_model, SETTINGS, "run"))
    mean = prediction.mean.compute()[:, counted]
    wrong = mean.argmax(axis=0) != truth
    variance = prediction.heads.compute()[..., counted].var(axis=0).sum(axis=0)
    spread = np.sqrt(variance / 2) / 0.5
    np.testing.assert_allclose(
        prediction.uncertainty.compute()[counted], entropy(mean), atol=1e-5
    )
    assert found["n_pixels"] == counted.sum()
    assert found["error_rate"] == pytest.approx(wrong.mean())
    for name, u in (("spread", spread), ("entropy", entropy(mean))):
        assert found[name]["auroc"] == pytest.approx(auroc(count_errors(u, wrong)))
        assert set(found[name]["risk"]) == {"80", "90", "95"}
        assert found[name]["best_aurc"] < found[name]["aurc"]
    sure, right = mean.max(axis=0), ~wrong
    gap = found["calibration_error"]["accurate"]
    assert gap == pytest.approx(abs(sure.mean() - right.mean()), abs=0.05)
    assert set(found["calibration_error"]["heads"]) == {"head 1", "head 2"}
    assert json.loads(json.dumps(found)) == found


def test_objects_are_wrong_where_there_is_none(make_busy_model, noise):
    model = make_busy_model(widths=(4, 8, 16))
    image = noise(60, 70)
    labels = np.zeros(image.shape, np.uint16)
    labels[5:30, 5:30], labels[40:55, 20:60] = 1, 2
    (compared,) = compare_images([pair(image, labels)], model, SETTINGS)
    sureness = compared.scored.sureness
    wrong = (compared.accurate.found > 0) != (labels > 0)
    assert sureness.entropy[1].sum() == sureness.spread[1].sum() == wrong.sum()
    prediction = result_of(predict_image(pair(image, labels)[0], model, SETTINGS, "r"))
    inside = prediction.foreground.compute()
    right = (inside > 0.5) == (labels > 0)
    assert sureness.confidence[0, 0].sum() == right.sum()
    n = image.size
    assert (sureness.confidence.sum(axis=(1, 2)) == n).all()
    head = 1 - prediction.heads.compute()[1, 0]
    expected = count_errors(np.maximum(head, 1 - head), (head > 0.5) != (labels > 0))
    np.testing.assert_array_equal(sureness.confidence[2], expected)


def test_pixels_of_all_images_are_pooled(class_model, noise):
    labels = np.random.default_rng(1).choice([1, 4, 6], (32, 40)).astype(np.uint8)
    images = [
        pair(noise(32, 40), labels),
        pair(noise(24, 36), np.full((24, 36), 4, np.uint8), name="other"),
    ]
    one, two = (evaluate([each], class_model, SETTINGS) for each in images)
    both = evaluate(images, class_model, SETTINGS)["uncertainty"]
    sizes = [each["uncertainty"]["n_pixels"] for each in (one, two)]
    rates = [each["uncertainty"]["error_rate"] for each in (one, two)]
    assert both["n_pixels"] == sum(sizes)
    assert both["error_rate"] == pytest.approx(np.average(rates, weights=sizes))


def test_one_head_has_no_spread(make_model, noise):
    unet = make_model(widths=(4, 8, 16), architecture="unet")
    labels = np.zeros((40, 40), np.uint8)
    labels[5:30, 5:20] = 1
    found = evaluate([pair(noise(40, 40), labels)], unet, SETTINGS)["uncertainty"]
    assert found["spread"] is None
    assert found["entropy"]["auroc"] is not None
    assert set(found["calibration_error"]["heads"]) == {"head 2"}
