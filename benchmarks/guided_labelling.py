"""Whether labels at "the next place to label" teach more than labels at random places.

A person is simulated who labels a few regions in each of five rounds; the training goes
on from the model of the round before. Both ways begin with the same labels and the same
model. The budget is a number of steps, so that the load of the machine changes nothing.

``axon_sem``: strokes, one for each class that the region shows, on three images; mean
IoU of the three classes on the three others, pooled. ``dsb2018``: every nucleus that
meets the region, and the ground between them, on 24 images; IoU of the foreground on 16
others.

    python benchmarks/guided_labelling.py DATA --set axon_sem --seeds 3 --csv axon.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from scipy import ndimage
from skimage.graph import MCP_Geometric

from _dsb2018 import split
from napari_unetpp import api
from napari_unetpp.api._watching import Labelling
from napari_unetpp.config import TrainingConfig
from napari_unetpp.inference import (
    LiveImages,
    LivePredictor,
    Place,
    PlaceSearch,
    result_of,
    search_places,
)

STROKE, BRUSH = 40, 2
"""Length and half-width of a stroke in pixels."""
EDGE = 96
"""Edge of a random region in pixels, that of guided ones."""
UNLABELLED = 65535
CROP = 512
"""Longest edge of a test image, of which the middle is taken."""
POOL = (24, 16)
"""Images of dsb2018 that may be labelled, and images that are tested on."""


@dataclass(frozen=True)
class Task:
    """Images to label, and others to judge by."""

    name: str
    images: list[Any]
    truth: list[Any]
    tests: list[Any]
    test_truth: list[Any]

    @property
    def kind(self) -> str:
        return "classes" if self.name == "axon_sem" else "instances"

    def empty(self) -> list[Any]:
        return [np.full(t.shape, UNLABELLED, np.uint16) for t in self.truth]


@dataclass
class Person:
    """Labels what is asked for, from the truth."""

    task: Task
    labels: list[Any] = field(default_factory=list)

    def label(self, place: Place) -> None:
        truth, labels = self.task.truth[place.image], self.labels[place.image]
        if self.task.kind == "classes":
            for value in np.unique(truth):
                painted = stroke(truth == value, place)
                labels[painted & (labels == UNLABELLED)] = value
            return
        box = tuple(slice(*span) for span in place.box)
        known = np.zeros(truth.shape, bool)
        known[box] = True
        known |= np.isin(truth, np.setdiff1d(truth[box], 0))
        labels[known] = truth[known]


def stroke(of_class: Any, place: Place) -> Any:
    """Return where one stroke inside a class goes, near the middle of a place."""
    painted = np.zeros(of_class.shape, bool)
    box = tuple(slice(*span) for span in place.box)
    depth = ndimage.distance_transform_edt(np.pad(of_class, 1))[1:-1, 1:-1][box]
    inside = depth > (BRUSH if (depth > BRUSH).any() else 0)
    if inside.sum() < 4:
        return painted
    middle = np.array(place.centre) - [span[0] for span in place.box]
    pixels = np.argwhere(inside)
    start = pixels[((pixels - middle) ** 2).sum(1).argmin()]
    route = MCP_Geometric(np.where(inside, 1 + 4 / np.maximum(depth, 1), -1))
    costs, _ = route.find_costs([tuple(start)])
    reached = np.where(np.isfinite(costs) & (costs < 2 * STROKE), costs, -1)
    path = np.array(route.traceback(np.unravel_index(reached.argmax(), depth.shape)))
    line = np.zeros(depth.shape, bool)
    line[tuple(path[:STROKE].T)] = True
    disc = np.hypot(*np.mgrid[-BRUSH : BRUSH + 1, -BRUSH : BRUSH + 1]) <= BRUSH + 0.5
    painted[box] = ndimage.binary_dilation(line, disc)
    return painted & of_class


def random_places(task: Task, labels: list[Any], n: int, rng: Any) -> list[Place]:
    """Return regions of the same size as guided ones, anywhere without labels."""
    found: list[Place] = []
    while len(found) < n:
        which = int(rng.choice(len(labels), p=_areas(labels)))
        shape = labels[which].shape
        start = [int(rng.integers(0, max(s - EDGE, 0) + 1)) for s in shape]
        box = tuple((a, min(a + EDGE, s)) for a, s in zip(start, shape, strict=True))
        if (labels[which][tuple(slice(*b) for b in box)] == UNLABELLED).all():
            centre = tuple(int(rng.integers(a, b)) for a, b in box)
            found.append(Place(which, box, centre, 0.0))
    return found


def _areas(labels: list[Any]) -> Any:
    sizes = np.array([each.size for each in labels], float)
    return sizes / sizes.sum()


def guided_places(
    task: Task, labels: list[Any], model: Any, n: int, measure: str
) -> list[Place]:
    """Return what `api.finding_places` finds, or what another measure finds."""
    doubt = {"guided": None, "spread": _spread}[measure]
    labelling = Labelling(task.images, labels, UNLABELLED)
    images = LiveImages(labelling.open_images(), model.config)
    predictor = LivePredictor(model)
    search = PlaceSearch(
        labelling.searched(images),
        predictor,
        n=n,
        unlabelled=UNLABELLED,
        doubt=doubt,
    )
    return list(result_of(search_places(search, predictor, "search")))


def _spread(heads: Any) -> Any:
    return np.sqrt(0.5 * heads.var(axis=0).sum(axis=0))


def learn(task: Task, labels: list[Any], base: Any, steps: int, seed: int) -> Any:
    """Return the model after so many more steps."""
    used = [k for k, each in enumerate(labels) if (each != UNLABELLED).any()]
    settings = TrainingConfig(
        epochs=1,
        steps_per_epoch=steps,
        patch=128,
        batch=4,
        learning_rate=3e-3,
        dice="batch",
        ema=0.97,
        validation_fraction=0,
        seed=seed,
    )
    run = api.training(
        [task.images[k] for k in used],
        [labels[k] for k in used],
        base=base,
        task=task.kind,
        unlabelled=UNLABELLED,
        size="small",
        settings=settings,
        device="cpu",
    )
    return result_of(run)


def judge(task: Task, model: Any) -> tuple[float, dict[str, Any]]:
    report = api.evaluate(task.tests, task.test_truth, model, device="cpu")["accurate"]
    if task.kind == "classes":
        each = report["class_iou"]
        return float(np.mean([v or 0.0 for v in each.values()])), each
    return report["iou"], {"ap50": report["ap50"]}


def run(task: Task, seed: int, options: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    start = Person(task, task.empty())
    for place in random_places(task, start.labels, options.first, rng):
        start.label(place)
    first = learn(task, start.labels, None, options.first_steps, seed)
    judged = judge(task, first)
    rows = []
    for arm in options.arms:
        person = Person(task, [each.copy() for each in start.labels])
        model, rng = first, np.random.default_rng([seed, 1])
        for turn in range(options.rounds + 1):
            where: list[Place] = []
            if turn and arm == "random":
                where = random_places(task, person.labels, options.places, rng)
            elif turn:
                where = guided_places(task, person.labels, model, options.places, arm)
            for place in where:
                person.label(place)
            if turn:
                model = learn(
                    task, person.labels, model, options.steps, seed + 100 * turn
                )
            score, more = judge(task, model) if turn else judged
            painted = sum(int((each != UNLABELLED).sum()) for each in person.labels)
            row = {
                "set": task.name,
                "seed": seed,
                "arm": arm,
                "round": turn,
                "iou": round(score, 4),
                "painted": painted,
                "images": len({place.image for place in where}),
                "more": json.dumps(more),
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def read_axon(folder: Path, seed: int) -> Task:
    manifest = json.loads((folder / "manifest.json").read_text())
    names = np.random.default_rng(seed).permutation(
        [item["name"] for item in manifest["items"]]
    )

    def read(part: str, chosen: Any) -> list[Any]:
        return [tifffile.imread(folder / part / f"{name}.tif") for name in chosen]

    ours, others = names[:3], names[3:]
    return Task(
        "axon_sem",
        read("images", ours),
        read("labels", ours),
        [_middle(each) for each in read("images", others)],
        [_middle(each) for each in read("labels", others)],
    )


def read_dsb(folder: Path, seed: int) -> Task:
    manifest = json.loads((folder / "manifest.json").read_text())
    rng = np.random.default_rng(seed)
    types = {m["name"]: m["image_type"] for m in manifest["items"]}
    sides = []
    for names, n in zip(split(manifest), POOL, strict=True):
        names = [n for n in names if "fluor" in types[n]]
        chosen = sorted(rng.choice(names, n, replace=False))
        sides.append(
            [
                [_middle(tifffile.imread(folder / d / f"{n}.tif")) for n in chosen]
                for d in ("images", "labels")
            ]
        )
    (images, truth), (tests, test_truth) = sides
    return Task("dsb2018", images, truth, tests, test_truth)


def _middle(array: Any) -> Any:
    start = [max(0, (n - CROP) // 2) for n in array.shape[:2]]
    return array[start[0] : start[0] + CROP, start[1] : start[1] + CROP]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with axon_sem and dsb2018")
    parser.add_argument("--set", choices=("axon_sem", "dsb2018"), default="axon_sem")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first", type=int, default=3, help="places before round 1")
    parser.add_argument("--places", type=int, default=3, help="places in a round")
    parser.add_argument("--first-steps", type=int, default=150)
    parser.add_argument("--steps", type=int, default=40, help="steps in a round")
    parser.add_argument("--arms", nargs="+", default=["random", "guided"])
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    read = read_axon if options.set == "axon_sem" else read_dsb
    rows = []
    for seed in options.seeds:
        rows += run(read(options.data / options.set, seed), seed, options)
    for arm in options.arms:
        for turn in range(options.rounds + 1):
            found = [r["iou"] for r in rows if (r["arm"], r["round"]) == (arm, turn)]
            print(
                f"{arm:>8} round {turn}: IoU {np.mean(found):.3f}"
                f" ({min(found):.3f} to {max(found):.3f})"
            )
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
