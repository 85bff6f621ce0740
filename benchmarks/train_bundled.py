"""Make a bundled model: train it on its data set, or cut it out of a trained one.

    python benchmarks/train_bundled.py nuclei-first FOLDER --output first.safetensors
    python benchmarks/train_bundled.py nuclei FOLDER --base first.safetensors \\
        --output nuclei.safetensors
    python benchmarks/train_bundled.py nuclei-fast nuclei.safetensors --data FOLDER \\
        --output nuclei-fast.safetensors

FOLDER holds the data set that the recipe names (see `_bundled.RECIPES`). Images of the
test side of the split are never read, a few others choose the weights (`_datasets`).
The budget is in steps, so with the same number of threads on the same kind of machine
the same weights come out. Interrupted, the same command goes on where it stopped. A
model that is cut out has another mean of its heads; with --data it is calibrated anew,
on the images that choose weights.
"""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from pathlib import Path

import torch

import napari_unetpp
from _bundled import PRUNED, RECIPES, train, training_data
from _datasets import data_set, read
from napari_unetpp.inference import resolve_device
from napari_unetpp.io import load_model_file, save_model
from napari_unetpp.nn import Model


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    make = cut if options.name in PRUNED else learn
    model = make(options)
    save_model(model, options.output, overwrite=True, half=not options.full)
    size = options.output.stat().st_size
    print(f"written: {options.output}, {size / 1e6:.2f} MB, {model!r}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*RECIPES, *PRUNED])
    parser.add_argument(
        "source", type=Path, help="folder of the data set, or model to cut"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder to calibrate a cut model by")
    parser.add_argument("--base", type=Path, help="model to start from")
    parser.add_argument("--epochs", type=int, help="another budget than the recipe's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--full", action="store_true", help="float32 weights: twice the size"
    )
    return parser.parse_args()


def learn(options: argparse.Namespace) -> Model:
    """Train the recipe of this name."""
    recipe = RECIPES[options.name]
    found, _ = data_set(options.source)
    if found.name != recipe.data:
        raise SystemExit(
            f"{options.name} is trained on {recipe.data}, not {found.name}"
        )
    if bool(recipe.base) != bool(options.base):
        needs = f"--base, a model of {recipe.base}" if recipe.base else "no --base"
        raise SystemExit(f"{options.name} needs {needs}")
    if options.epochs:
        settings = recipe.settings.model_copy(update={"epochs": options.epochs})
        recipe = dataclasses.replace(recipe, settings=settings)
    return train(
        recipe,
        training_data(options.source, recipe.model),
        resolve_device(options.device),
        base=load_model_file(options.base) if options.base else None,
        checkpoint=options.output.with_name(f"{options.output.name}.checkpoint"),
        say=partial(print, flush=True),
    )


def cut(options: argparse.Namespace) -> Model:
    """Prune the model that lies in the file given."""
    how = PRUNED[options.name]
    model = load_model_file(options.source).prune(how.level)
    config = model.config.model_copy(
        update={"name": options.name, "description": how.description}
    )
    model = Model(model.network, config)
    if options.data is None:
        return model
    data, manifest = data_set(options.data)
    held_out = read(options.data, data.split(manifest).validation)
    images, labels = zip(*(pair for _, pair in held_out), strict=True)
    return napari_unetpp.calibrate(model, images, labels, device=options.device)


if __name__ == "__main__":
    main()
