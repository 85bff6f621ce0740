"""Temperatures and thresholds, against sums in float64 and what is known to be best."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unetpp.config import InstanceConfig, ModelConfig, NetworkConfig
from napari_unetpp.data import TrainingPair, distance_target
from napari_unetpp.inference import find_objects
from napari_unetpp.nn import Model
from napari_unetpp.nn._metrics import average_precision, match_instances
from napari_unetpp.training import (
    Notice,
    TrainingData,
    TrainingFinished,
    _calibration,
    fit,
)
from napari_unetpp.training._calibration import calibrating
from napari_unetpp.training._temperatures import fit_factor, fit_temperature
from napari_unetpp.training._thresholds import (
    FOREGROUND,
    MIN_SIZES,
    SEED,
    Shown,
    _without_small,
    choosing_thresholds,
)

CPU = torch.device("cpu")


def drawn(n_classes, temperature, n=20_000, seed=0):
    """Logits (K, n), and labels drawn as likely as they are at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (n_classes, n))
    if n_classes == 1:
        likely = 1 / (1 + np.exp(-logits[0] / temperature))
        return logits, (rng.random(n) < likely).astype(np.int64)
    p = np.exp(logits / temperature)
    p /= p.sum(axis=0)
    return logits, (rng.random(n) > p.cumsum(axis=0)).sum(axis=0).clip(0, n_classes - 1)


def nll(logits, shares, temperature):
    """Mean cross entropy in float64, of shares (K, n) of the classes."""
    z = logits / temperature
    if len(z) == 1:
        z = np.concatenate([np.zeros_like(z), z])
    log_p = z - np.log(np.exp(z - z.max(axis=0)).sum(axis=0)) - z.max(axis=0)
    return -(shares * log_p).sum(axis=0).mean()


def best_of_many(logits, shares):
    every = np.exp(np.linspace(math.log(0.25), math.log(4), 2000))
    return every[np.argmin([nll(logits, shares, t) for t in every])]


@pytest.mark.parametrize("n_classes", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.7, 3.0])
def test_the_temperature_is_the_one_that_labels_were_drawn_at(n_classes, temperature):
    logits, labels = drawn(n_classes, temperature)
    found = fit_temperature(torch.from_numpy(logits), torch.from_numpy(labels))
    shares = np.stack([labels == k for k in range(max(2, n_classes))])
    assert found == pytest.approx(best_of_many(logits, shares), rel=0.002)
    assert found == pytest.approx(temperature, rel=0.05)


def test_shares_of_the_interior_are_fitted_by_soft_cross_entropy():
    rng = np.random.default_rng(1)
    inside = rng.random(5000) > 0.4
    share = (rng.random(5000) * 0.9 + 0.1) * inside
    shares = np.stack([~inside, share, (1 - share) * inside])
    logits = np.log(shares + 0.02) * 2.5 + rng.normal(0, 1, shares.shape)
    target = torch.from_numpy(share.astype(np.float32))
    found = fit_temperature(torch.from_numpy(logits), target)
    assert found == pytest.approx(best_of_many(logits, shares), rel=0.002)
    assert found > 1.5


@pytest.mark.parametrize(("factor", "bound"), [(100, 4), (0.001, 0.25)])
def test_a_temperature_is_bounded(factor, bound):
    logits, labels = drawn(3, 1)
    scaled = torch.from_numpy(logits * factor)
    assert fit_temperature(scaled, torch.from_numpy(labels)) == pytest.approx(
        bound, rel=0.01
    )


def test_what_is_right_stays_at_one():
    """Pixels that say nothing, and a network that says what the labels say."""
    labels = torch.zeros(2000, dtype=torch.int64)
    assert fit_temperature(torch.zeros(3, 2000), labels) == 1


def test_the_mean_of_heads_is_made_surer():
    """Heads that are right as often as they say, by noise of their own each."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 20_000)
    seen = 2.0 * np.stack([labels == k for k in range(3)])
    seen = seen + rng.normal(0, 1.3, seen.shape)
    logits = np.stack([seen + rng.normal(0, 0.6, seen.shape) for _ in range(4)])
    heads, target = torch.from_numpy(logits), torch.from_numpy(labels)
    alone = tuple(fit_temperature(head, target) for head in heads)
    factor = fit_factor(heads, alone, target)
    assert 0.76 < factor < 0.95

    def nll_of_mean(f):
        p = np.mean(
            [
                np.exp(h / (f * t)) / np.exp(h / (f * t)).sum(axis=0)
                for h, t in zip(logits, alone, strict=True)
            ],
            axis=0,
        )
        return -np.log(p[labels, np.arange(len(labels))]).mean()

    every = np.exp(np.linspace(math.log(0.75), math.log(1.25), 400))
    best = every[np.argmin([nll_of_mean(f) for f in every])]
    assert factor == pytest.approx(best, rel=0.01)
    assert nll_of_mean(factor) < nll_of_mean(1) < nll_of_mean(1.5)


def test_heads_that_are_alike_or_alone_need_no_factor():
    logits, labels = drawn(1, 1.7)
    heads, target = torch.from_numpy(np.stack([logits] * 2)), torch.from_numpy(labels)
    alone = tuple(fit_temperature(head, target) for head in heads)
    assert fit_factor(heads, alone, target) == pytest.approx(1, abs=0.01)
    assert fit_factor(heads[:1], alone[:1], target) == 1
    assert fit_factor(heads, (4.0, 0.25), target) == 1  # both at their bounds


class _Known(torch.nn.Module):
    """Two heads that answer with the channels of their image."""

    def forward(self, x):
        return x[:, :3], 2 * x[:, 3:]


def known_model(task="instances", strides=()):
    """A model whose two heads hand on channels 0...2, and twice channels 3...5."""
    network = NetworkConfig(
        in_channels=6, out_channels=3, widths=(2, 2, 2), strides=strides
    )
    names = ("background", "interior", "boundary")
    config = ModelConfig(
        network=network, task=task, class_names=names, class_values=(0, 1, 2)
    )
    return Model(_Known(), config)


def blobs(seed=0, shape=(96, 128), n=24):
    """Discs with the logits of a network that sees their interiors weakly."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    places = [
        (y, x) for y in range(8, shape[0] - 6, 15) for x in range(8, shape[1] - 6, 15)
    ]
    grid = np.indices(shape)
    for k, at in enumerate(places[:n], start=1):
        labels[sum((g - p) ** 2 for g, p in zip(grid, at, strict=True)) < 36] = k
    depth = ndimage.distance_transform_edt(labels > 0)
    outside = ndimage.distance_transform_edt(labels == 0)
    foreground = depth - outside + 0.5
    interior = depth - 3.5  # shy: only the middles pass 1/2
    p_fg = 1 / (1 + np.exp(-foreground))
    p_in = p_fg / (1 + np.exp(-interior))
    p = np.stack([1 - p_fg, p_in, p_fg - p_in]).clip(1e-4)
    logits = np.log(p) + rng.normal(0, 0.2, p.shape)
    return TrainingPair(
        np.tile(logits, (2, 1, 1)).astype(np.float32), labels, f"{seed}"
    )


def calibrated(model, pairs, settings, find=find_objects):
    run = calibrating(model, pairs, settings, CPU, find)
    steps = []
    while True:
        try:
            steps.append(next(run))
        except StopIteration as end:
            return end.value, steps


def test_heads_get_temperatures_of_their_own(settings):
    found, steps = calibrated(known_model(), [blobs()], settings)
    first, second = found.model.config.temperatures
    assert second == pytest.approx(2 * first, rel=0.01)  # twice as sure of the same
    record = found.model.config.training["calibration"]
    assert record["n_pieces"] == 1
    assert record["n_objects"] == 24
    assert record["n_pixels"] == 96 * 128
    for before, after in (*record["nll"]["heads"], record["nll"]["accurate"]):
        assert after <= before
    assert found.notices == ()
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert all(step.done < step.n for step in steps)


def test_it_is_deterministic_and_leaves_the_model_as_it_was(settings, monkeypatch):
    monkeypatch.setattr(_calibration, "_SAMPLED", 3000)  # pixels are drawn
    model = known_model()
    before = model.config
    first, _ = calibrated(model, [blobs(1), blobs(2)], settings)
    torch.manual_seed(99)
    second, _ = calibrated(model, [blobs(1), blobs(2)], settings)
    assert first.model.config == second.model.config
    assert model.config == before
    assert first.model.config.training["calibration"]["n_pixels"] == 3000


def test_only_pixels_that_count_are_fitted(settings):
    pair = blobs()
    counts = np.zeros(pair.labels.shape, bool)
    counts[:, :60] = True
    wrong = pair.image.copy()
    wrong[:, :, 60:] *= -5
    found, _ = calibrated(known_model(), [replace(pair, counts=counts)], settings)
    other = replace(pair, image=wrong, counts=counts)
    again, _ = calibrated(known_model(), [other], settings)
    assert found.model.config.temperatures == again.model.config.temperatures
    assert found.model.config.instances == again.model.config.instances


def test_too_little_is_said_and_changes_nothing(settings):
    model = known_model()
    for pairs, words in (
        ([], "nothing is held out"),
        ([TrainingPair(*small(blobs(), 20))], "only 400 labelled pixels"),
    ):
        found, _ = calibrated(model, pairs, settings)
        assert found.model is model
        assert words in found.notices[0]
    few = blobs(n=5)
    found, _ = calibrated(model, [few], settings)
    assert "only 5 objects" in found.notices[0]
    assert found.model.config.instances == model.config.instances
    assert found.model.config.temperatures != ()


def small(pair, n):
    return pair.image[:, :n, :n], pair.labels[:n, :n]


def test_too_little_memory_is_said(settings):
    class Full(torch.nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("out of memory")

    model = Model(Full(), known_model().config)
    found, _ = calibrated(model, [blobs()], settings)
    assert found.model is model
    assert "not enough memory on cpu" in found.notices[0]


def test_distance_targets_have_thresholds_of_their_own(settings):
    """A network that answers exactly what it was to learn finds every object."""
    distance = settings.model_copy(
        update={"instance_target": "distance", "distance_reach": 6}
    )
    pair = blobs()
    share = distance_target(pair.labels, 6)
    inside = share > 0
    p = np.stack([~inside, share * inside, (1 - share) * inside]).clip(1e-9)
    image = np.tile(np.log(p), (2, 1, 1)).astype(np.float32)
    found, _ = calibrated(known_model(), [replace(pair, image=image)], distance)
    assert found.model.config.training["calibration"]["mean_ap"][1] > 0.95
    assert found.model.config.temperatures[0] == pytest.approx(1, abs=0.02)


# --- thresholds ---


def shown(pair):
    p = torch.softmax(torch.from_numpy(pair.image[:3]), dim=0).numpy()
    return Shown(np.rint(p * 255).astype(np.uint8), pair.labels)


def brute_force(pieces, present):
    """The highest mean AP over all thresholds and sizes, and that of `present`."""

    def score(instances):
        matches = [
            match_instances(
                piece.labels,
                find_objects(piece.steps.astype(np.float32) / 255, instances).astype(
                    int
                ),
            )
            for piece in pieces
        ]
        every = np.arange(50, 91, 5) / 100
        return np.mean([average_precision([m], t) for m in matches for t in every])

    best = max(
        score(InstanceConfig(foreground_threshold=f, seed_threshold=s, min_size=m))
        for f in FOREGROUND
        for s in SEED
        for m in (0, 16)
    )
    return score(present), best


def test_thresholds_are_the_best_of_all():
    pieces = [shown(blobs(seed, shape=(64, 64))) for seed in (1, 2)]
    present = InstanceConfig(foreground_threshold=0.6, seed_threshold=0.8, min_size=16)
    *_, choice = choosing_thresholds(pieces, present, find_objects)
    before, best = brute_force(pieces, present)
    assert choice.before == pytest.approx(before)
    assert choice.after > before + 0.1
    assert choice.after >= best - 0.01  # by turns, within what counts as better


def test_a_gain_that_may_be_luck_is_none():
    """One of four pieces is found better by others, the rest as well as before."""
    labels = blobs().labels
    sure = np.stack([(labels == 0) * 255, (labels > 0) * 255, labels * 0])
    pale = np.stack([255 - (labels > 0) * 140, (labels > 0) * 140, labels * 0])
    same, other = (Shown(each.astype(np.uint8), labels) for each in (sure, pale))
    present = InstanceConfig(foreground_threshold=0.6, seed_threshold=0.6, min_size=0)
    *_, alone = choosing_thresholds([other], present, find_objects)
    assert alone.after > alone.before + 0.9
    *_, among = choosing_thresholds([same, same, other, same], present, find_objects)
    assert among.instances == present
    *_, half = choosing_thresholds([same, other] * 2, present, find_objects)
    assert half.after == pytest.approx(1)


def test_what_is_good_stays():
    """Objects that every threshold finds: nothing is clearly better than what is."""
    labels = blobs().labels
    steps = np.stack([(labels == 0) * 255, (labels > 0) * 255, labels * 0])
    present = InstanceConfig(foreground_threshold=0.45, seed_threshold=0.35, min_size=3)
    piece = Shown(steps.astype(np.uint8), labels)
    *_, choice = choosing_thresholds([piece], present, find_objects)
    assert choice.instances == present
    assert choice.after == choice.before == 1


@pytest.mark.parametrize("smallest", [0, *MIN_SIZES[:6]])
def test_dropping_small_objects_is_what_the_finder_does(smallest):
    piece = shown(blobs(5))
    mean = piece.steps.astype(np.float32) / 255
    mean[1, ::7] += 0.6  # stripes part objects into pieces of many sizes
    every = find_objects(mean, InstanceConfig(min_size=0)).astype(int)
    kept = find_objects(mean, InstanceConfig(min_size=smallest)).astype(int)
    match = match_instances(piece.labels, every)
    sizes = np.bincount(every.ravel())[match.predicted_ids]
    dropped = _without_small(match, sizes, smallest)
    expected = match_instances(piece.labels, kept)
    assert dropped.n_predicted == expected.n_predicted == kept.max()
    for threshold in (0.3, 0.5, 0.75):
        assert dropped.n_found(threshold) == expected.n_found(threshold)


# --- in a training ---


def test_a_training_ends_calibrated(new_model, data, settings, finished):
    plain = settings.model_copy(update={"calibrate": False})
    end = finished(fit(new_model(), data, settings, CPU, find_objects=find_objects))
    config = end.model.config
    assert len(config.temperatures) == 2
    assert end.record["calibration"] == config.training["calibration"]
    assert list(config.temperatures) == end.record["calibration"]["temperatures"]
    without = finished(fit(new_model(), data, plain, CPU)).model
    assert without.config.temperatures == ()
    assert without.config.training["calibration"] is None
    weights, others = (m.network.state_dict() for m in (end.model, without))
    assert all(torch.equal(weights[key], others[key]) for key in weights)
    assert next(end.model.network.parameters()).device == CPU


def test_a_training_says_what_it_could_not_calibrate(new_model, data, settings):
    events = list(fit(new_model(), TrainingData(data.pairs), settings, CPU))
    said = [event.text for event in events if isinstance(event, Notice)]
    assert any("nothing is held out to calibrate on" in text for text in said)
    assert events[-1].model.config.temperatures == ()
    events = list(fit(new_model(), data, settings, CPU, find_objects=find_objects))
    said = [event.text for event in events if isinstance(event, Notice)]
    assert any("only 4 objects" in text for text in said)


def test_old_temperatures_do_not_outlive_the_weights_they_fit(
    new_model, data, settings, finished
):
    model = new_model()
    warm = Model(
        model.network, model.config.model_copy(update={"temperatures": (3.0, 0.3)})
    )
    plain = settings.model_copy(update={"calibrate": False, "epochs": 1})
    events = list(fit(warm, data, plain, CPU))
    assert isinstance(events[-1], TrainingFinished)
    assert events[0].live.config.temperatures == ()
    assert events[-1].model.config.temperatures == ()
