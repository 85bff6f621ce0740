"""What each part of the training recipe is worth: one change at a time, short runs.

    python benchmarks/ablation.py DATA --sets dsb2018 axon_sem --seeds 3 \\
        --results ablation.jsonl --csv ablation.csv

DATA holds the folders of the data sets. A small network is trained for some hundred
steps (``--steps``) by the base recipe and by each variation of it, with the same seeds:
a seed fixes the first weights and where patches are taken, so runs are compared in
pairs. Judged are the images that choose weights in the trainings of the bundled models:
nothing is learnt from them here, the latest weights are taken, and the test images of
the split are not read. Of a set with several kinds of images only the commonest is
used: a short training does not learn several. Gains are differences to the base in
points (1/100), with the standard error over the seeds. A small network after few steps
says which way a change points, not how far it goes in a long training.

Each finished run is a line of the results file; the same command does what is missing.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from _bundled import RECIPES, Recipe, train, training_data
from _datasets import data_set, read
from napari_unetpp.inference._evaluate import report, score_images

if TYPE_CHECKING:
    from napari_unetpp.nn import Model
    from napari_unetpp.training import TrainingData

SMALL = (8, 16, 32, 64, 128)
SCORES = ("iou", "mean_iou", "ap50", "mean_ap")
STEPS_PER_EPOCH = 50


@dataclass(frozen=True)
class Change:
    """What one variation changes of the base recipe."""

    settings: dict[str, Any] = field(default_factory=dict)
    augment: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)

    def of(self, recipe: Recipe) -> Recipe:
        """Return the recipe with this change."""
        augment = recipe.settings.augment.model_copy(update=self.augment)
        settings = recipe.settings.model_copy(
            update={"augment": augment, **self.settings}
        )
        network = recipe.model.network.model_copy(update=self.network)
        model = recipe.model.model_copy(update={"network": network})
        return dataclasses.replace(recipe, model=model, settings=settings)


BASE = Change()
_NO_INTENSITY = {
    "brightness": 0.0,
    "contrast": (1.0, 1.0),
    "gamma": (1.0, 1.0),
    "noise": 0.0,
    "blur": 0.0,
    "invert": 0.0,
}
CHANGES = {
    "base": BASE,
    "target: distance, reach 8": Change({"instance_target": "distance"}),
    "target: distance, reach 4": Change(
        {"instance_target": "distance", "distance_reach": 4}
    ),
    "target: boundary, half-width 1": Change({"boundary_width": 1}),
    "loss: log-cosh Dice": Change({"loss": "log_cosh_dice"}),
    "loss: classes balanced": Change({"class_weights": "balanced"}),
    "loss: Dice of each patch": Change({"dice": "image"}),
    "augment: nothing": Change(
        augment={
            "flip": False,
            "rotate": False,
            "scale": (1.0, 1.0),
            **_NO_INTENSITY,
        }
    ),
    "augment: no flips and turns": Change(augment={"flip": False, "rotate": False}),
    "augment: no scale": Change(augment={"scale": (1.0, 1.0)}),
    "augment: no intensities": Change(augment=_NO_INTENSITY),
    "augment: no inversion": Change(augment={"invert": 0.0}),
    "augment: no blur": Change(augment={"blur": 0.0}),
    "augment: no noise": Change(augment={"noise": 0.0}),
    "augment: shading 0.2": Change(augment={"shading": 0.2}),
    "weights: no average (EMA)": Change({"ema": 0.0}),
    "weights: EMA 0.98": Change({"ema": 0.98}),
    "schedule: no warm-up": Change({"warmup": 0.0}),
    "schedule: half the rate": Change({"learning_rate": 1e-3}),
    "schedule: twice the rate": Change({"learning_rate": 4e-3}),
    "heads: deeper ones weigh more": Change({"head_weights": (0.25, 0.5, 0.75, 1.0)}),
    "heads: the last one alone": Change({"head_weights": (0.0, 0.0, 0.0, 1.0)}),
    "network: no norm": Change(network={"norm": "none"}),
    "network: bilinear upsampling": Change(network={"upsampling": "linear"}),
    "network: twice as wide": Change(network={"widths": (16, 32, 64, 128, 256)}),
    "network: U-Net": Change(network={"architecture": "unet"}),
}


def base_recipe(name: str, steps: int) -> Recipe:
    """Return the base: the bundled model of this data set, small and short."""
    of_set = next(recipe for recipe in RECIPES.values() if recipe.data == name)
    network = of_set.model.network.model_copy(update={"widths": SMALL})
    settings = of_set.settings.model_copy(
        update={
            "epochs": max(1, round(steps / STEPS_PER_EPOCH)),
            "minutes": None,
            "steps_per_epoch": STEPS_PER_EPOCH,
            "patch": 128,
            "batch": 4,
            "learning_rate": 2e-3,
            "ema": 0.99,
            "instance_target": "boundary",
            "boundary_width": 2,
            "calibrate": False,
        }
    )
    model = of_set.model.model_copy(update={"network": network})
    return dataclasses.replace(of_set, model=model, settings=settings)


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    done = read_results(options.results)
    for key in wanted(options):
        if key not in done:
            done[key] = run(options.data, key)
            with options.results.open("a") as file:
                file.write(json.dumps({**dataclasses.asdict(key), **done[key]}) + "\n")
    rows = table(options, done)
    show(rows)
    if options.csv:
        write(options.csv, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["dsb2018", "axon_sem"])
    parser.add_argument("--changes", nargs="+", default=list(CHANGES), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("ablation.jsonl"))
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    strange = set(options.changes) - set(CHANGES)
    if strange:
        parser.error(f"--changes {strange.pop()!r} is none of {', '.join(CHANGES)}")
    return options


@dataclass(frozen=True)
class Key:
    """What tells one run from another."""

    data: str
    change: str
    seed: int
    steps: int


def wanted(options: argparse.Namespace) -> list[Key]:
    """Return all runs, a seed at a time, so that a run cut short can be compared.

    What is no change for a data set, as no inversion where there is none, is left out.
    """
    names = ["base", *(name for name in options.changes if name != "base")]
    return [
        Key(data, change, seed, options.steps)
        for seed in range(options.seeds)
        for data in options.sets
        for change in names
        if change == "base" or _is_change(data, change)
    ]


def _is_change(data: str, change: str) -> bool:
    base = base_recipe(data, 1)
    return CHANGES[change].of(base) != base


def read_results(path: Path) -> dict[Key, dict[str, Any]]:
    """Return the runs that are done."""
    done = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        row = json.loads(line)
        key = Key(*(row.pop(each.name) for each in dataclasses.fields(Key)))
        done[key] = row
    return done


def run(folder: Path, key: Key) -> dict[str, Any]:
    """Train and judge once."""
    recipe = CHANGES[key.change].of(base_recipe(key.data, key.steps))
    settings = recipe.settings.model_copy(update={"seed": key.seed})
    recipe = dataclasses.replace(recipe, settings=settings)
    data = load(folder / key.data, recipe.model.channels)
    began = time.perf_counter()
    model = train(recipe, data, torch.device("cpu"), say=lambda _: None)
    seconds = time.perf_counter() - began
    scores = judge(folder / key.data, model)
    print(f"{key}: {seconds:.0f} s, {scores}", flush=True)
    return {"seconds": round(seconds, 1), **scores}


@cache
def load(folder: Path, channels: str) -> TrainingData:
    """Return what is learnt from; nothing of it chooses weights."""
    name = data_set(folder)[0].name
    model = base_recipe(name, 1).model.model_copy(update={"channels": channels})
    data, kept = training_data(folder, model), commonest(folder)
    pairs = [pair for pair in data.pairs if pair.name in kept]
    return dataclasses.replace(data, pairs=pairs, validation=())


@cache
def commonest(folder: Path) -> frozenset[str]:
    """Return the names of all images of the commonest kind."""
    data, manifest = data_set(folder)
    kinds = data.kinds(manifest)
    ((most, _),) = Counter(kinds.values()).most_common(1)
    return frozenset(name for name, kind in kinds.items() if kind == most)


def judge(folder: Path, model: Model) -> dict[str, float]:
    """Return the scores of the mean of the heads on the images held out from this."""
    data, manifest = data_set(folder)
    chosen = data.split(manifest).validation
    names = [name for name in chosen if name in commonest(folder)]
    images = (pair for _, pair in read(folder, names))
    found = report(list(score_images(images, model)), model.config)["accurate"]
    return {name: round(found[name], 5) for name in SCORES if name in found}


def table(
    options: argparse.Namespace, done: dict[Key, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return one row for each data set and change with a run for a seed of the base."""
    rows = []
    of = partial(Key, steps=options.steps)
    for data in options.sets:
        for change in CHANGES:
            pairs = [
                (done[of(data, change, seed)], done[of(data, "base", seed)])
                for seed in range(options.seeds)
                if of(data, change, seed) in done and of(data, "base", seed) in done
            ]
            if pairs:
                rows.append({"data": data, "change": change, **summary(pairs)})
    return rows


def summary(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Return the mean of each score, its gain over the base, and how sure that is."""
    row: dict[str, Any] = {"seeds": len(pairs)}
    for name in SCORES:
        if name not in pairs[0][0]:
            continue
        gains = 100 * np.array([ours[name] - base[name] for ours, base in pairs])
        error = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
        row[name] = round(float(np.mean([ours[name] for ours, _ in pairs])), 4)
        row[f"{name}_gain"] = round(float(gains.mean()), 2)
        row[f"{name}_error"] = round(float(error), 2)
    row["seconds"] = round(float(np.mean([ours["seconds"] for ours, _ in pairs])), 1)
    return row


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table as Markdown: base scores, then gains in points."""
    for data in dict.fromkeys(row["data"] for row in rows):
        own = [row for row in rows if row["data"] == data]
        names = [name for name in SCORES if name in own[0]]
        print(f"\n| {data} | seeds | {' | '.join(names)} | s |")
        print("|---" * (len(names) + 3) + "|")
        for row in own:
            cells = [cell(row, name) for name in names]
            print(
                f"| {row['change']} | {row['seeds']} | {' | '.join(cells)} |"
                f" {row['seconds']:.0f} |"
            )


def cell(row: dict[str, Any], name: str) -> str:
    """Return a score of the base, or a gain with its standard error."""
    if row["change"] == "base":
        return f"{row[name]:.3f}"
    return f"{row[f'{name}_gain']:+.1f} ± {row[f'{name}_error']:.1f}"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
