"""Measures of uncertainty against lists of pixels, pair by pair and order by order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_unetpp.nn._uncertainty_metrics import (
    N_BINS,
    aurc,
    auroc,
    best_aurc,
    calibration_error,
    count_errors,
    risk_at,
    risk_coverage,
)


def drawn(seed, n=400, steps=256, rate=0.2):
    """Uncertainties on steps of 1/255, more of them high where a pixel is wrong."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < rate
    u = rng.beta(1 + 2 * wrong, 3, n)
    u = np.rint(np.rint(u * (steps - 1)) / (steps - 1) * 255) / 255
    return u, wrong


@pytest.mark.parametrize("steps", [256, 6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auroc_is_the_share_of_pairs_in_order(seed, steps):
    u, wrong = drawn(seed, steps=steps)
    higher = u[wrong][:, None] - u[~wrong]
    expected = np.mean((higher > 0) + 0.5 * (higher == 0))
    assert auroc(count_errors(u, wrong)) == pytest.approx(expected)


def test_auroc_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    u, wrong = drawn(3, 5000)
    assert auroc(count_errors(u, wrong)) == pytest.approx(
        metrics.roc_auc_score(wrong, u)
    )


def risks(wrong):
    return np.cumsum(wrong) / np.arange(1, len(wrong) + 1)


@pytest.mark.parametrize("seed", [0, 1])
def test_aurc_is_the_mean_risk_over_all_coverages(seed):
    rng = np.random.default_rng(seed)
    u = rng.permutation(256) / 255  # no two alike
    wrong = rng.random(256) < 0.2 + 0.5 * u
    counts = count_errors(u, wrong)
    expected = risks(wrong[np.argsort(u)])
    assert aurc(counts) == pytest.approx(expected.mean())
    assert [risk_at(counts, (k + 1) / 256) for k in range(256)] == pytest.approx(
        list(expected)
    )
    coverage, risk = risk_coverage(counts)
    assert coverage == pytest.approx(np.arange(1, 257) / 256)
    assert risk == pytest.approx(expected)


def test_equal_uncertainties_come_in_every_order():
    u = np.array([0, 0, 0, 1, 1, 1]) / 255 * 9
    wrong = np.array([0, 1, 0, 1, 1, 0], bool)
    orders = [
        risks(np.concatenate([wrong[list(a)], wrong[list(b)]]))
        for a in itertools.permutations(range(3))
        for b in itertools.permutations(range(3, 6))
    ]
    counts = count_errors(u, wrong)
    assert aurc(counts) == pytest.approx(np.mean(orders))
    expected = np.mean(orders, axis=0)
    found = [risk_at(counts, (k + 1) / 6) for k in range(6)]
    assert found == pytest.approx(list(expected))


def test_the_best_and_no_uncertainty():
    u, wrong = drawn(4)
    n = int(wrong.sum())
    best = aurc(count_errors(wrong.astype(float), wrong))
    assert (
        best_aurc(len(wrong) - n, n)
        == best
        == pytest.approx(risks(np.sort(wrong)).mean())
    )
    none = aurc(count_errors(np.zeros(len(u)), wrong))
    assert none == pytest.approx(n / len(wrong))
    assert best < aurc(count_errors(u, wrong)) < none


@pytest.mark.parametrize("seed", [0, 1])
def test_calibration_error_is_the_sum_over_bins(seed):
    rng = np.random.default_rng(seed)
    sure = np.rint(255 * rng.uniform(0.5, 1, 3000)) / 255
    wrong = rng.random(3000) > sure**2
    expected = 0.0
    for k in range(N_BINS):
        inside = (sure * N_BINS > k + 1e-9) & (sure * N_BINS <= k + 1 + 1e-9)
        if inside.any():
            gap = (~wrong[inside]).mean() - sure[inside].mean()
            expected += inside.mean() * abs(gap)
    assert calibration_error(count_errors(sure, wrong)) == pytest.approx(expected)
    right = rng.random(200_000) < 0.8
    assert calibration_error(count_errors(np.full(200_000, 0.8), ~right)) < 0.005


def test_counts_of_images_add_up():
    (u, wrong), (v, others) = drawn(0, 300), drawn(1, 700)
    both = count_errors(np.concatenate([u, v]), np.concatenate([wrong, others]))
    np.testing.assert_array_equal(
        count_errors(u, wrong) + count_errors(v, others), both
    )
    assert both.sum() == 1000
    assert both[1].sum() == wrong.sum() + others.sum()


def test_what_cannot_be_measured_is_none():
    nothing = np.zeros((2, 256), np.int64)
    assert auroc(nothing) is None
    assert aurc(nothing) is None
    assert risk_at(nothing, 0.9) is None
    assert calibration_error(nothing) is None
    right = count_errors(np.array([0.1, 0.9]), np.array([False, False]))
    assert auroc(right) is None
    assert aurc(right) == risk_at(right, 0.9) == 0
    assert best_aurc(2, 0) == 0
