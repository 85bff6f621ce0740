"""The recipes of the bundled models: what each is, and how it is trained.

`train` is used by `train_bundled` for a whole training and by `ablation` for many short
ones, so that both do the same.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from _datasets import data_set, load_pairs
from napari_unetpp.config import (
    INSTANCE_CLASSES,
    AugmentConfig,
    Channels,
    ModelConfig,
    NetworkConfig,
    TrainingConfig,
)
from napari_unetpp.inference import find_objects
from napari_unetpp.nn import Model
from napari_unetpp.training import (
    EpochDone,
    Notice,
    StepDone,
    TrainingData,
    TrainingFinished,
    fit,
)
from napari_unetpp.training._warm_start import warm_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASE = (16, 32, 64, 128, 256)
"""Feature maps of the levels: a quarter of the parameters of the published network."""


@dataclass(frozen=True)
class Recipe:
    """A bundled model: the set it learns from, the model, and how it is trained."""

    data: str
    model: ModelConfig
    settings: TrainingConfig
    base: str = ""
    """Name of the recipe whose model it starts from, if it does."""


@dataclass(frozen=True)
class Pruned:
    """A bundled model that is cut out of another one."""

    source: str
    level: int
    description: str


def _objects(name: str, channels: Channels, description: str) -> ModelConfig:
    n_channels = {"rgb": 3, "grey": 1}[channels]
    return ModelConfig(
        name=name,
        network=NetworkConfig(widths=BASE, in_channels=n_channels, out_channels=3),
        task="instances",
        class_names=INSTANCE_CLASSES,
        class_values=(0, 1, 2),
        channels=channels,
        description=description,
    )


_NUCLEI = "Nuclei in fluorescence, stained and brightfield images, 2-D"
RECIPES = {
    "nuclei-first": Recipe(
        "dsb2018",
        _objects("nuclei-first", "grey", _NUCLEI),
        TrainingConfig(
            epochs=29,
            patch=192,
            batch=8,
            steps_per_epoch=100,
            learning_rate=2e-3,
            boundary_width=2,
            augment=AugmentConfig(invert=0.15, scale=(0.6, 1.5)),
        ),
    ),
    "nuclei": Recipe(
        "dsb2018",
        _objects("nuclei", "rgb", _NUCLEI),
        TrainingConfig(
            epochs=22,
            patch=160,
            batch=8,
            steps_per_epoch=100,
            learning_rate=1.5e-3,
            instance_target="distance",
            ema=0.99,
            augment=AugmentConfig(
                invert=0.15, scale=(0.6, 1.6), stain=0.2, shading=0.2, tint=0.2
            ),
        ),
        base="nuclei-first",
    ),
    "cells-phase": Recipe(
        "usiigaci_phase",
        _objects("cells-phase", "grey", "Adherent cells in phase contrast, 2-D"),
        TrainingConfig(
            epochs=18,
            patch=224,
            batch=4,
            steps_per_epoch=50,
            instance_target="distance",
            distance_reach=10,
            augment=AugmentConfig(scale=(0.6, 1.3), shading=0.2),
        ),
    ),
    "axon-myelin": Recipe(
        "axon_sem",
        ModelConfig(
            name="axon-myelin",
            network=NetworkConfig(widths=BASE, out_channels=3),
            task="classes",
            class_names=("background", "myelin", "axon"),
            class_values=(0, 1, 2),
            channels="grey",
            description="Axons and myelin in scanning electron microscopy, 2-D",
        ),
        TrainingConfig(
            epochs=16,
            patch=192,
            batch=5,
            steps_per_epoch=50,
            augment=AugmentConfig(scale=(0.5, 1.6), shading=0.2),
        ),
    ),
}
PRUNED = {
    "nuclei-fast": Pruned(
        "nuclei", 3, "Nuclei as by 'nuclei', by a quarter of its network, 2-D"
    )
}


def training_data(folder: Path, model: ModelConfig) -> TrainingData:
    """Return the pairs to learn from and those that choose the weights.

    Images of a kind are drawn by the square root of its share: rare kinds count, common
    ones still lead.
    """
    data, manifest = data_set(folder)
    split, kinds = data.split(manifest), data.kinds(manifest)
    counts = Counter(kinds[name] for name in split.train)
    pairs = [
        dataclasses.replace(pair, weight=counts[kinds[pair.name]] ** -0.5)
        for pair in load_pairs(folder, split.train, model)
    ]
    return TrainingData(pairs, load_pairs(folder, split.validation, model), split.words)


def started(recipe: Recipe, base: Model | None) -> Model:
    """Return the model of a recipe before its first step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.settings.seed)
        start = Model.new(recipe.model)
        if base is None:
            return start
        return Model(warm_start(start, base).model.network, recipe.model)


def train(
    recipe: Recipe,
    data: TrainingData,
    device: torch.device,
    *,
    base: Model | None = None,
    checkpoint: Path | None = None,
    say: Callable[[str], None] = print,
) -> Model:
    """Train the model of a recipe; with a checkpoint, go on where it was left."""
    model = start = started(recipe, base)
    for event in fit(
        start,
        data,
        recipe.settings,
        device,
        checkpoint=checkpoint,
        resume=checkpoint is not None,
        identity=data.held_out,
        find_objects=find_objects,
    ):
        if isinstance(event, StepDone) and event.step % 20 == 0:
            say(f"step {event.step}: loss {event.loss:.3f}, {event.progress:.1%}")
        elif isinstance(event, EpochDone | Notice):
            say(str(event))
        elif isinstance(event, TrainingFinished):
            model = event.model
    return model
