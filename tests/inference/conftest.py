"""Models with weights that matter everywhere, and images that test borders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import zarr
from torch import nn

from napari_unetpp.config import (
    INSTANCE_CLASSES,
    InstanceConfig,
    ModelConfig,
    NetworkConfig,
)
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import numpy.typing as npt


def make_model(channels: str = "grey", **network: Any) -> Model:
    """Return an instance model whose probabilities vary over the whole range.

    Running statistics of the norms and the heads are drawn too: with those of a new
    network all probabilities lie near 1/3 and errors at borders are small.
    """
    shape = {"out_channels": 3, "widths": (4, 8, 16, 32), **network}
    config = ModelConfig(
        name="lively",
        network=NetworkConfig(**shape),
        task="instances",
        class_names=INSTANCE_CLASSES,
        class_values=(0, 1, 2),
        channels=channels,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Model.new(config)
        for module in model.network.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.3)
        heads = getattr(model.network, "heads", None)
        for head in heads.values() if heads else []:
            head.weight.data.normal_(0, 0.7)
    model.network.eval()
    return model


def make_busy_model(**network: Any) -> Model:
    """Return a model that finds many small objects in noise."""
    model = make_model(**network)
    instances = InstanceConfig(
        foreground_threshold=0.63, seed_threshold=0.29, min_size=4
    )
    config = model.config.model_copy(update={"instances": instances})
    return replace(model, config=config)


def finish(run: Generator[Any, None, Any]) -> tuple[list[Any], Any]:
    """Return all events of a run and its result."""
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as end:
            return events, end.value


def assert_same_arrays(one: Path, other: Path) -> None:
    """Make sure that two zarr folders hold the same arrays."""
    first, second = arrays_of(one), arrays_of(other)
    assert set(first) == set(second)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def arrays_of(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return every array of a zarr folder, by its place."""
    members = zarr.open_group(path, mode="r").members(max_depth=None)
    return {name: node[:] for name, node in members if isinstance(node, zarr.Array)}


def same_partition(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether two label images show the same objects, whatever their ids."""
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    one_to_one = all(len(np.unique(side)) == pairs.shape[1] for side in pairs)
    return one_to_one and np.array_equal(a == 0, b == 0)


@pytest.fixture(scope="session")
def lively_model() -> Model:
    """A 2-D instance model of three levels."""
    return make_model()


@pytest.fixture(scope="session")
def lively_model_3d() -> Model:
    """A 3-D instance model of two levels, anisotropic as stacks are."""
    return make_model(spatial_dims=3, widths=(4, 8, 16), strides=((1, 2, 2), (2, 2, 2)))


@pytest.fixture(scope="session")
def noise() -> Callable[..., npt.NDArray[np.uint16]]:
    """Images of random pixels, the hardest to agree on at a border."""

    def make(*shape: int) -> npt.NDArray[np.uint16]:
        rng = np.random.default_rng(5)
        return rng.integers(0, 4000, shape).astype(np.uint16)

    return make


@pytest.fixture(scope="session", name="finish")
def _finish() -> Callable[..., Any]:
    return finish


@pytest.fixture(scope="session", name="same_partition")
def _same_partition() -> Callable[..., bool]:
    return same_partition


@pytest.fixture(scope="session", name="make_model")
def _make_model() -> Callable[..., Model]:
    return make_model


@pytest.fixture(scope="session", name="make_busy_model")
def _make_busy_model() -> Callable[..., Model]:
    return make_busy_model


@pytest.fixture(scope="session", name="assert_same_arrays")
def _assert_same_arrays() -> Callable[..., None]:
    return assert_same_arrays


@pytest.fixture(scope="session", name="arrays_of")
def _arrays_of() -> Callable[..., Any]:
    return arrays_of
