"""Train the bundled model ``nuclei`` on the dsb2018 folder.

    python benchmarks/train_nuclei.py FOLDER --output nuclei.safetensors --minutes 70

The fifth of the images that `_dsb2018.split` holds out is never read here; an eighth of
the other groups picks the best epoch. Images of a rare kind are drawn more often.
Interrupted, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from _dsb2018 import (
    image_path,
    image_types,
    labels_path,
    read_manifest,
    split,
    validation_names,
)
from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.config import (
    INSTANCE_CLASSES,
    AugmentConfig,
    ModelConfig,
    NetworkConfig,
    TrainingConfig,
)
from napari_unetpp.data import TrainingPair
from napari_unetpp.inference import resolve_device
from napari_unetpp.io import image_range, read_image, read_labels, save_model
from napari_unetpp.nn import Model
from napari_unetpp.training import (
    EpochDone,
    StepDone,
    TrainingData,
    TrainingFinished,
    fit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = ModelConfig(
    name="nuclei",
    network=NetworkConfig(widths=(16, 32, 64, 128, 256), out_channels=3),
    task="instances",
    class_names=INSTANCE_CLASSES,
    class_values=(0, 1, 2),
    channels="grey",
    description="Nuclei in fluorescence, stained and brightfield images, 2-D",
)
SETTINGS = TrainingConfig(
    minutes=70,
    patch=192,
    batch=8,
    steps_per_epoch=100,
    learning_rate=2e-3,
    boundary_width=2,
    augment=AugmentConfig(invert=0.15, scale=(0.6, 1.5)),
)


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    data = load(options.folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SETTINGS.seed)
        model = Model.new(MODEL)
    settings = SETTINGS.model_copy(update={"minutes": options.minutes})
    checkpoint = options.output.with_name(f"{options.output.name}.checkpoint")
    device = resolve_device(options.device)
    for event in fit(model, data, settings, device, checkpoint=checkpoint, resume=True):
        if isinstance(event, StepDone) and event.step % 20 == 0:
            print(
                f"step {event.step}: loss {event.loss:.3f}, {event.progress:.1%}",
                flush=True,
            )
        elif isinstance(event, EpochDone):
            print(event, flush=True)
        elif isinstance(event, TrainingFinished):
            save_model(event.model, options.output)
            print(f"written: {options.output}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="images/, labels/, manifest.json")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=SETTINGS.minutes)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def load(folder: Path) -> TrainingData:
    """Return the pairs to learn from and those that pick the best epoch."""
    manifest = read_manifest(folder)
    names, _ = split(manifest)
    held = set(validation_names(manifest))
    train = [name for name in names if name not in held]
    types = image_types(manifest)
    counts = Counter(types[name] for name in train)
    pairs = [
        # By the square root of its share: rare kinds count, common ones still lead.
        dataclasses.replace(pair, weight=counts[types[pair.name]] ** -0.5)
        for pair in load_pairs(folder, train)
    ]
    return TrainingData(
        pairs,
        load_pairs(folder, sorted(held)),
        f"{len(held)} images: an eighth of the groups outside the test fold",
    )


def load_pairs(folder: Path, names: Sequence[str]) -> list[TrainingPair]:
    """Return images, made grey and normalised as at prediction, with their labels."""
    pairs = []
    for name in names:
        grey = canonical(read_image(image_path(folder, name)), 2, "grey", 1)
        intensity = image_range(grey, MODEL.intensity)
        pixels = normalise(np.asarray(grey.data), intensity, MODEL.intensity)
        labels = np.asarray(read_labels(labels_path(folder, name)).data)
        pairs.append(TrainingPair(pixels, labels.astype(np.int32), name))
    return pairs


if __name__ == "__main__":
    main()
