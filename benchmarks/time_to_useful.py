"""Minutes until a model is useful, from 8 labelled images of fluorescent nuclei.

    python benchmarks/time_to_useful.py FOLDER --minutes 10 --threads 2 --output curve

FOLDER is dsb2018. Eight images of the training split are drawn at random (``--seed``);
the model is judged on fluorescence images of the held-out fold, which it never sees and
which do not choose its weights either: IoU of the foreground, all pixels of all images
together. The averaged weights are taken after every epoch and judged when the training
is over, so that judging takes none of its time; early epochs are judged more densely
than late ones. Rows are printed as they come. Written are ``curve.csv`` and, with
matplotlib, ``curve.png``; one line of JSON says when 0.80 and 0.85 were passed for
good.
"""

from __future__ import annotations

import argparse
import csv
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from _dsb2018 import image_path, image_types, labels_path, read_manifest, split
from napari_unetpp.api import load_model
from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.config import IntensityConfig, TrainingConfig
from napari_unetpp.io import as_image, image_range, read_image, read_labels
from napari_unetpp.nn import Model, probabilities
from napari_unetpp.training import EpochDone, TrainingStarted, train_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

GOALS = (0.80, 0.85)
JUDGED = 24
"""Epochs that are judged, at most."""


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    train, test = choose(options)
    taken, model = fit(options, train)
    judged = [grey_and_truth(options.folder, name) for name in test]
    rows = []
    wanted = set(np.geomspace(1, len(taken), JUDGED).round().astype(int).tolist())
    for seconds, epoch, weights in taken:
        if epoch not in wanted:
            continue
        model.network.load_state_dict(weights)
        row = {
            "minutes": round(seconds / 60, 3),
            "epoch": epoch,
            "iou": round(foreground_iou(model, judged), 4),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    write(options.output, rows)
    told: dict[str, Any] = {"seed": options.seed, "size": options.size}
    told["base"] = options.base
    for goal in GOALS:
        told[f"minutes_to_{goal:.2f}"] = passed(rows, goal)
    print(json.dumps({**told, "first": rows[0], "last": rows[-1]}), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=8, help="labelled images")
    parser.add_argument("--tests", type=int, default=30, help="images judged on")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", default="small")
    parser.add_argument("--base", help="bundled model or file to start from")
    parser.add_argument("--output", type=Path, default=Path("time_to_useful"))
    return parser.parse_args()


def choose(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return names to learn from and to judge on."""
    manifest = read_manifest(options.folder)
    types = image_types(manifest)
    sides = [
        [name for name in side if types[name].startswith("fluo")]
        for side in split(manifest)
    ]
    rng = np.random.default_rng(options.seed)
    train = rng.choice(sides[0], options.images, replace=False)
    test = np.random.default_rng(0).choice(sides[1], options.tests, replace=False)
    return sorted(train.tolist()), sorted(test.tolist())


def fit(
    options: argparse.Namespace, names: Sequence[str]
) -> tuple[list[tuple[float, int, dict[str, torch.Tensor]]], Model]:
    """Train and return the averaged weights after every epoch, with their time."""
    taken = []
    live = None
    for event in train_model(
        [as_grey(options.folder, name) for name in names],
        [labels_path(options.folder, name) for name in names],
        torch.device("cpu"),
        base=load_model(options.base) if options.base else None,
        size=options.size,
        settings=TrainingConfig(minutes=options.minutes, seed=options.seed),
    ):
        if isinstance(event, TrainingStarted):
            live = event.live
        elif isinstance(event, EpochDone):
            weights = live.network.state_dict()
            copy = {key: value.detach().clone() for key, value in weights.items()}
            taken.append((event.seconds_total, event.epoch, copy))
    model = Model.new(live.config)
    return taken, model


def as_grey(folder: Path, name: str) -> npt.NDArray[np.float32]:
    """Return an image as one grey channel (Y, X)."""
    image = read_image(image_path(folder, name))
    return np.asarray(canonical(image, 2, "grey", 1).data)[0]


def grey_and_truth(
    folder: Path, name: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return a normalised image (Y, X) and its foreground."""
    config = IntensityConfig()
    read = canonical(as_image(as_grey(folder, name), "YX"), 2, "as_is", 1)
    pixels = normalise(np.asarray(read.data), image_range(read, config), config)[0]
    return pixels, np.asarray(read_labels(labels_path(folder, name)).data) > 0


def foreground_iou(model: Model, judged: Sequence[tuple[Any, Any]]) -> float:
    """Return the IoU of the foreground over all pixels of all images."""
    both = either = 0
    model.network.eval()
    for image, truth in judged:
        size = [(0, -n % 16) for n in image.shape]
        padded = torch.from_numpy(np.pad(image, size, mode="edge"))[None, None]
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            heads = model.network(padded)
        mean = torch.stack([probabilities(each.float()) for each in heads]).mean(0)
        found = mean[0, 0].numpy()[: truth.shape[0], : truth.shape[1]] < 0.5
        both += int((found & truth).sum())
        either += int((found | truth).sum())
    return both / either


def passed(rows: Sequence[dict[str, Any]], goal: float) -> float | None:
    """Return the minutes from which the IoU stays at or above the goal."""
    below = [k for k, row in enumerate(rows) if row["iou"] < goal]
    first = below[-1] + 1 if below else 0
    return rows[first]["minutes"] if first < len(rows) else None


def write(output: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the curve as a table and, where matplotlib is, as a picture."""
    with output.with_suffix(".csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    if find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([row["minutes"] for row in rows], [row["iou"] for row in rows])
    for goal in GOALS:
        axes.axhline(goal, color="0.6", linewidth=0.8)
    axes.set(xlabel="minutes", ylabel="IoU on other images", ylim=(0, 1))
    figure.savefig(output.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
