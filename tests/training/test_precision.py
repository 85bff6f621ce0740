"""Which precision a run chooses, and that 3-D runs repeat themselves bit by bit."""

import numpy as np
import torch

from napari_unetpp.config import TrainingConfig
from napari_unetpp.training import TrainingStarted, train_model

CPU = torch.device("cpu")
SETTINGS = TrainingConfig(epochs=1, steps_per_epoch=2, batch=2, patch=16)


def start(spatial_dims, **settings):
    rng = np.random.default_rng(0)
    labels = np.zeros((16, 32, 32)[-spatial_dims:], np.uint16)
    labels[..., 4:14, 4:14], labels[..., 20:30, 8:20] = 1, 2
    image = (rng.integers(0, 30, labels.shape) + 100 * (labels > 0)).astype(np.uint16)
    return train_model(
        [image],
        [labels],
        CPU,
        size="small",
        spatial_dims=spatial_dims,
        settings=SETTINGS.model_copy(update=settings),
    )


def precision(spatial_dims, **settings):
    first = next(start(spatial_dims, **settings))
    assert isinstance(first, TrainingStarted)
    return first.precision


def test_bfloat16_is_not_chosen_in_3d_on_a_cpu():
    assert precision(3) == "float32"
    assert precision(2) in {"float32", "bfloat16"}


def test_a_precision_that_is_asked_for_is_used():
    assert precision(2, precision="float32") == "float32"
    assert precision(2, precision="bfloat16") == "bfloat16"


def test_3d_runs_of_one_seed_are_equal_whatever_memory_held_before():
    weights = []
    for value in (np.nan, 1.0):
        for _ in range(4):
            for n in (1 << 10, 1 << 14, 1 << 18, 1 << 20):
                torch.full((n,), value)
        *_, last = start(3, steps_per_epoch=1)
        weights.append(last.model.network.state_dict())

    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
