"""The mean of heads and how unsure it is."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.arrays import entropy_of_mean, mean_of_heads


def _heads(n_classes, seed=0):
    raw = np.random.default_rng(seed).random((3, n_classes, 5, 7), np.float32)
    return raw / raw.sum(axis=1, keepdims=True) if n_classes > 1 else raw


def _entropy(chances):
    chances = np.float64(chances).clip(1e-12, 1)
    return -(chances * np.log2(chances)).sum(axis=0) / np.log2(len(chances))


@pytest.mark.parametrize("weights", [(0.2, 0.3, 0.5), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)])
def test_heads_count_by_their_shares(weights):
    heads = _heads(3)
    expected = np.average(np.float64(heads), axis=0, weights=weights)
    found = mean_of_heads(heads, weights)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_heads_count_alike_without_shares_and_where_some_are_missing():
    heads = _heads(3)
    np.testing.assert_allclose(mean_of_heads(heads), heads.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(mean_of_heads(heads[:1], (0.1, 0.9, 0)), heads[0])


def test_heads_stay_as_they_are():
    heads = _heads(2)
    before = heads.copy()
    mean_of_heads(heads, (0.2, 0.3, 0.5))
    np.testing.assert_array_equal(heads, before)


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_entropy_of_classes(n_classes):
    mean = _heads(n_classes)[0]
    chances = np.stack([mean[0], 1 - mean[0]]) if n_classes == 1 else mean
    found = entropy_of_mean(mean, objects=False)
    np.testing.assert_allclose(found, _entropy(chances), atol=1e-5)


def test_entropy_of_objects_is_that_of_foreground_against_background():
    mean = _heads(3)[0]
    expected = _entropy(np.stack([mean[0], 1 - mean[0]]))
    np.testing.assert_allclose(entropy_of_mean(mean, objects=True), expected, atol=1e-5)
    between = np.array([[0.0], [0.5], [0.5]], np.float32)  # interior or boundary
    assert entropy_of_mean(between, objects=True) == pytest.approx(0, abs=1e-4)
    assert entropy_of_mean(between, objects=False) > 0.6


@pytest.mark.parametrize("objects", [True, False])
def test_nobody_is_unsure_of_nothing(objects):
    nothing = np.zeros((3, 4, 4), np.float32)
    assert not entropy_of_mean(nothing, objects=objects).any()


def test_even_chances_are_the_most_unsure():
    torn = mean_of_heads(np.array([[[1.0], [0.0]], [[0.0], [1.0]]], np.float32))
    assert entropy_of_mean(torn, objects=False) == pytest.approx(1)
    even = np.full((3, 1), 1 / 3, np.float32)
    assert entropy_of_mean(even, objects=False) == pytest.approx(1)
