"""What all tests share: settings that touch nothing of the user's, and small models."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

# napari reads this when it is imported, so it is set before any test can do that.
_FOLDER = tempfile.TemporaryDirectory(prefix="napari-unetpp-tests-")
os.environ["NAPARI_CONFIG"] = str(Path(_FOLDER.name) / "napari.yaml")

import pytest  # noqa: E402
import torch  # noqa: E402

from napari_unetpp.config import (  # noqa: E402
    INSTANCE_CLASSES,
    InstanceConfig,
    ModelConfig,
    NetworkConfig,
)
from napari_unetpp.io._model_file import save_model  # noqa: E402
from napari_unetpp.nn import Model  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="session")
def _few_threads() -> None:
    """Leave cores to the readers and writers; results do not depend on it."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks of a few maps gain nothing from more threads, and wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def instance_config(spatial_dims: int = 2, norm: str = "batch") -> ModelConfig:
    """Return the config of a small instance model for grey images."""
    network = NetworkConfig(
        spatial_dims=spatial_dims, out_channels=3, widths=(4, 8, 16), norm=norm
    )
    return ModelConfig(
        name="small",
        network=network,
        task="instances",
        class_names=INSTANCE_CLASSES,
        class_values=(0, 1, 2),
        channels="grey",
        instances=InstanceConfig(min_size=0),
    )


def class_config(spatial_dims: int = 2) -> ModelConfig:
    """Return the config of a small model of two classes, painted with 3 and 7."""
    network = NetworkConfig(
        spatial_dims=spatial_dims, out_channels=2, widths=(4, 8, 16)
    )
    return ModelConfig(
        name="small-classes",
        network=network,
        task="classes",
        class_names=("ground", "cell"),
        class_values=(3, 7),
        channels="grey",
    )


def random_model(config: ModelConfig, seed: int = 0) -> Model:
    """Return a model of seeded random weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Model.new(config)
    model.network.eval()
    return model


def threshold_model(spatial_dims: int = 2) -> Model:
    """Return a model whose objects are known: the pixels above half of the range.

    Every full-resolution node hands the image on through the middle of its kernels;
    every head then makes "interior" of what lies above 0.5, each a little surer than
    the one before. All other weights are 0.
    """
    model = random_model(instance_config(spatial_dims, norm="none"))
    middle = (0, 0) + (1,) * spatial_dims
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
        for name, node in model.network.nodes.items():
            if name.startswith("0_"):
                node[0].weight[middle] = 1.0
                node[2].weight[middle] = 1.0
        for name, head in model.network.heads.items():
            gain = 20.0 * int(name)
            head.weight[:2, 0] = torch.tensor([-gain, gain]).reshape(
                2, *[1] * spatial_dims
            )
            head.bias[:] = torch.tensor([gain / 2, -gain / 2, -50.0])
    return model


@pytest.fixture
def small_model() -> Model:
    """A 2-D instance model of random weights."""
    return random_model(instance_config())


@pytest.fixture
def small_model_3d() -> Model:
    """A 3-D instance model of random weights."""
    return random_model(instance_config(spatial_dims=3))


@pytest.fixture
def small_class_model() -> Model:
    """A 2-D model of two classes, random weights."""
    return random_model(class_config())


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model that finds what is brighter than half of the range."""
    folder = tmp_path_factory.mktemp("models")
    return save_model(threshold_model(), folder / "threshold.safetensors")


@pytest.fixture(scope="session")
def model_file_3d(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a 3-D model that finds what is brighter than half of the range."""
    folder = tmp_path_factory.mktemp("models")
    return save_model(threshold_model(3), folder / "threshold3d.safetensors")
