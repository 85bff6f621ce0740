"""Which weights are kept: by the score, and by how sure the score is."""

import numpy as np
import pytest
import torch

from napari_unetpp.config import TrainingConfig
from napari_unetpp.training._state import TrainingState
from napari_unetpp.training._validation import scores_of


@pytest.fixture
def state(small_class_model):
    config = TrainingConfig(epochs=1)
    return TrainingState.new(small_class_model.network, config, torch.device("cpu"))


def kept_epochs(state, scores, error=0.0):
    kept = []
    for state.epoch, score in enumerate(scores, 1):
        if state.keep_if_better(score, error):
            kept.append(state.epoch)
    return kept


def test_of_scores_within_the_error_the_latest_is_kept(state):
    scores = [0.5, 0.82, 0.8, 0.7, 0.79, 0.5]
    assert kept_epochs(state, scores, error=0.05) == [1, 2, 3, 5]
    assert state.best_epoch == 5
    assert state.fresh_epoch == 2  # patience counts from the highest score


def test_without_an_error_the_highest_is_kept_and_the_later_of_equals(state):
    assert kept_epochs(state, [0.5, 0.8, 0.7, 0.8, 0.79]) == [1, 2, 4]
    assert state.fresh_epoch == 2


def test_the_error_is_that_of_independent_pieces():
    # Of one answer and its mean; each piece is wholly right or wholly wrong, so the
    # pooled IoU of two equally frequent classes varies like a share of n tosses does.
    rng = np.random.default_rng(0)
    share = 0.9

    def tables(n):
        right = rng.random(n) < share
        good, bad = np.diag([50, 50]), np.array([[0, 50], [50, 0]])
        return [np.stack([good if r else bad] * 2) for r in right]

    scores = [scores_of(tables(40), "classes") for _ in range(300)]
    spread = np.std([each.selection for each in scores])
    told = np.mean([each.error for each in scores])
    assert told == pytest.approx(spread, rel=0.15)
    assert scores_of(tables(1), "classes").error == 0.0
