"""What tests of training share: discs, a network of a few maps, and one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_unetpp.config import (
    INSTANCE_CLASSES,
    AugmentConfig,
    ModelConfig,
    NetworkConfig,
    TrainingConfig,
)
from napari_unetpp.data import TrainingPair
from napari_unetpp.nn import Model
from napari_unetpp.training import TrainingData, TrainingFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Networks of a few maps gain nothing from more threads, and wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _discs(seed: int, shape: tuple[int, ...] = (48, 48)) -> TrainingPair:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    grid = np.indices(shape)
    for k in range(1, 5):
        centre = [rng.integers(6, n - 6) for n in shape]
        distance = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True))
        labels[(distance < 30) & (labels == 0)] = k
    image = (labels > 0) + rng.normal(0, 0.1, shape)
    return TrainingPair(image[None].astype(np.float32), labels, f"discs {seed}")


def _new_model(spatial_dims: int = 2) -> Model:
    network = NetworkConfig(spatial_dims=spatial_dims, widths=(4, 8, 8), out_channels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model.new(
            ModelConfig(
                network=network,
                task="instances",
                class_names=INSTANCE_CLASSES,
                class_values=(0, 1, 2),
            )
        )


def _finished(events) -> TrainingFinished:
    *_, last = events
    assert isinstance(last, TrainingFinished)
    return last


def _same_weights(a: Model, b: Model) -> bool:
    first, second = a.network.state_dict(), b.network.state_dict()
    return all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture
def discs() -> Callable[..., TrainingPair]:
    """Makes a labelled image of discs from a seed."""
    return _discs


@pytest.fixture
def data() -> TrainingData:
    """Three images of discs to learn from and one held out."""
    return TrainingData([_discs(k) for k in range(3)], [_discs(9)], "one by hand")


@pytest.fixture
def new_model() -> Callable[..., Model]:
    """Makes an untrained model, always the same one."""
    return _new_model


@pytest.fixture
def settings() -> TrainingConfig:
    """Two epochs of four steps."""
    return TrainingConfig(
        epochs=2,
        steps_per_epoch=4,
        patch=32,
        batch=2,
        rim=2,
        learning_rate=5e-3,
        precision="float32",
        augment=AugmentConfig(blur=0),
    )


@pytest.fixture
def finished() -> Callable[..., TrainingFinished]:
    """Runs a training to its end and returns the last event."""
    return _finished


@pytest.fixture
def same_weights() -> Callable[[Model, Model], bool]:
    """Compares the weights of two models bit by bit."""
    return _same_weights
