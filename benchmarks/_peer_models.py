"""Networks and images for comparing engines: briefly trained, and generated.

Random weights would answer with noise whose labels mean nothing, so a network of any
widths learns for a minute what generated nuclei look like; it is kept in a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_unetpp.api import load_model
from napari_unetpp.config import (
    INSTANCE_CLASSES,
    ModelConfig,
    NetworkConfig,
    TrainingConfig,
)
from napari_unetpp.data import TrainingPair
from napari_unetpp.io import save_model
from napari_unetpp.io._synthetic import nuclei_stack
from napari_unetpp.nn import Model
from napari_unetpp.training import TrainingData, TrainingFinished, fit

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray

PAPER = (32, 64, 128, 256, 512)
QUARTER = (8, 16, 32, 64, 128)
_EDGE = {2: 512, 3: 128}


@dataclass(frozen=True)
class Case:
    """An image and the widths of the network that looks at it.

    Attributes
    ----------
    name : str
        In tables and of files.
    shape : tuple of int
        Of the image, (Z,) Y, X.
    widths : tuple of int
        Of the network.
    """

    name: str
    shape: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def dims(self) -> int:
        """Number of spatial axes."""
        return len(self.shape)

    @property
    def axes(self) -> str:
        """Names of these axes."""
        return "ZYX"[-self.dims :]


CASES = (
    Case("2-D 4096, quarter widths", (4096, 4096), QUARTER),
    Case("2-D 2048, paper widths", (2048, 2048), PAPER),
    Case("2-D 4096, paper widths", (4096, 4096), PAPER),
    Case("3-D 64 x 512 x 512, quarter widths", (64, 512, 512), QUARTER),
    Case("3-D 64 x 256 x 256, paper widths", (64, 256, 256), PAPER),
)
QUICK = (
    Case("2-D 512, quarter widths", (512, 512), QUARTER),
    Case("3-D 32 x 128 x 128, quarter widths", (32, 128, 128), QUARTER),
)


def model_of(case: Case, folder: Path, steps: int) -> Model:
    """Return a network that has learnt for some steps; the folder keeps it."""
    path = folder / f"{case.dims}d-{case.widths[0]}-{steps}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save_model(_trained(case, steps), path)
    return load_model(path)


def image_of(case: Case) -> npt.NDArray[np.uint16]:
    """Return a generated image: a small one, repeated and lit differently each time."""
    edge = tuple(min(n, _EDGE[case.dims]) for n in case.shape)
    small = _nuclei(edge, seed=5).data
    counts = [-(-n // e) for n, e in zip(case.shape, edge, strict=True)]
    large = np.tile(small, counts)[tuple(slice(n) for n in case.shape)]
    noise = np.random.default_rng(0).poisson(20, case.shape)
    return (large + noise).astype(np.uint16)


def normalised(image: npt.NDArray[np.uint16]) -> FloatArray:
    """Return (1, *S) as a network sees it."""
    low, high = np.percentile(image, (1, 99.8))
    return np.clip((image[None] - low) / (high - low), -1, 3).astype(np.float32)


@dataclass(frozen=True)
class _Nuclei:
    """An image and its labels."""

    data: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.uint16]


def _nuclei(shape: tuple[int, ...], seed: int) -> _Nuclei:
    """Return nuclei; in 2-D, a plane through a few of them."""
    n = int(np.prod(shape[-2:]) / 1300)
    if len(shape) == 3:
        made = nuclei_stack(shape, n_nuclei=n * shape[0] // 16, seed=seed)
        return _Nuclei(made.data, made.labels)
    made = nuclei_stack((4, *shape), n_nuclei=n, seed=seed)
    return _Nuclei(made.data[2], made.labels[2])


def _trained(case: Case, steps: int) -> Model:
    torch.manual_seed(0)
    start = Model.new(
        ModelConfig(
            name="brief",
            network=NetworkConfig(
                spatial_dims=case.dims, widths=case.widths, out_channels=3
            ),
            task="instances",
            class_names=INSTANCE_CLASSES,
            class_values=(0, 1, 2),
            channels="grey",
        )
    )
    shape = (256, 256) if case.dims == 2 else (32, 96, 96)
    pairs = [_pair(shape, seed) for seed in range(4)]
    settings = TrainingConfig(
        epochs=1,
        steps_per_epoch=steps,
        patch=64 if case.dims == 2 else 32,
        batch=4 if case.dims == 2 else 2,
        rim=8,
        calibrate=False,
    )
    data = TrainingData(pairs[:3], pairs[3:], "generated nuclei")
    for event in fit(start, data, settings, torch.device("cpu")):
        if isinstance(event, TrainingFinished):
            return event.model
    raise RuntimeError("the training ended without a model")


def _pair(shape: tuple[int, ...], seed: int) -> TrainingPair:
    made = _nuclei(shape, seed)
    return TrainingPair(
        normalised(made.data), made.labels.astype(np.int32), f"nuclei {seed}"
    )
