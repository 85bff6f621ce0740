"""Learning from strokes on one image, beside what else a biologist could use.

    python benchmarks/scribbles.py FOLDER --minutes 10 --threads 2

FOLDER is a data set of class labels, such as axon_sem: ``images/``, ``labels/`` and
``manifest.json``. Strokes are made from the truth of ONE image (``--image``), on at
most ``--share`` of its pixels. All methods learn from the same strokes and are judged
on all other images, whole: IoU of each class from all their pixels together, and the
mean.

* ours: from random weights, base size, all else as the defaults have it
* ours-warm: the same from the bundled nuclei model
* ours-dense: the same with all pixels of that one image labelled
* forest: random forest (scikit-learn) on skimage's multiscale features
* monai: BasicUNetPlusPlus of our base widths, masked cross entropy and Dice on all its
  outputs, AdamW, our patches and our random changes of them, the same minutes

One line of JSON for each method.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from _scribbles import UNLABELLED, draw_strokes
from napari_unetpp.api import load_model
from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.config import AugmentConfig, IntensityConfig, TrainingConfig
from napari_unetpp.data import PatchSampler, TrainingPair
from napari_unetpp.io import as_image, image_range, read_image, read_labels
from napari_unetpp.nn import probabilities
from napari_unetpp.training import EpochDone, TrainingFinished, train_model

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Pixels = npt.NDArray[np.float32]
    Labels = npt.NDArray[np.integer[Any]]
    Decide = Callable[[Pixels], Labels]


@dataclass(frozen=True)
class Task:
    """One image to learn from and those to be judged on; images (Y, X), as found."""

    image: Labels
    truth: Labels
    strokes: Labels
    others: list[tuple[str, Labels, Labels]]
    options: argparse.Namespace


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    task = load(options)
    for name in options.only or METHODS:
        start = time.monotonic()
        decide, told = METHODS[name](task)
        seconds = time.monotonic() - start
        told = {
            "method": name,
            "seconds": round(seconds, 1),
            **told,
            **judge(task, decide),
        }
        print(json.dumps(told), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image", type=int, default=0, help="number of the image")
    parser.add_argument(
        "--share", type=float, default=0.01, help="most that is painted"
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=METHODS)
    parser.add_argument("--size", default="base", help="of our network")
    return parser.parse_args()


def load(options: argparse.Namespace) -> Task:
    """Read the folder and draw the strokes."""
    items = json.loads((options.folder / "manifest.json").read_text())["items"]
    images, labels = [], []
    for item in items:
        files = item["files"]
        images.append(
            np.asarray(read_image(options.folder / files["image"]["path"]).data)
        )
        labels.append(
            np.asarray(read_labels(options.folder / files["label"]["path"]).data)
        )
    one = options.image
    strokes = draw_strokes(labels[one], options.share, options.seed)
    told = {
        "image": items[one]["name"],
        "stroke_pixels": [int((strokes == v).sum()) for v in np.unique(labels[one])],
        "share": round(float((strokes != UNLABELLED).mean()), 5),
        "judged_on": len(items) - 1,
    }
    print(json.dumps(told), flush=True)
    others = [
        (items[k]["name"], images[k], labels[k]) for k in range(len(items)) if k != one
    ]
    return Task(images[one], labels[one], strokes, others, options)


def judge(task: Task, decide: Decide) -> dict[str, Any]:
    """Return the IoU over the other images, of each class and on average."""
    values = np.unique(task.truth)
    table = np.zeros((len(values), len(values)), np.int64)
    single = {}
    for name, image, truth in task.others:
        answer = decide(normalised(image))
        pair = np.searchsorted(values, truth) * len(values) + np.searchsorted(
            values, answer
        )
        counts = np.bincount(pair.ravel(), minlength=table.size).reshape(table.shape)
        single[name] = round(float(iou(counts).mean()), 4)
        table += counts
    of_class = iou(table)
    return {
        "mean_iou": round(float(of_class.mean()), 4),
        "iou": [round(float(each), 4) for each in of_class],
        "by_image": single,
    }


def iou(table: Labels) -> Pixels:
    both = np.diag(table)
    return both / np.maximum(1, table.sum(0) + table.sum(1) - both)


def normalised(image: Labels) -> Pixels:
    """Return an image (Y, X) as our models read it: 0 to 1 by percentiles."""
    config = IntensityConfig()
    read = canonical(as_image(image, "YX"), 2, "as_is", 1)
    return normalise(np.asarray(read.data), image_range(read, config), config)[0]


def ours(task: Task, *, warm: bool = False, dense: bool = False) -> Any:
    """Train through the road of the panel; judged is what it would save."""
    options = task.options
    base = load_model("nuclei") if warm else None
    labels = task.truth if dense else task.strokes
    started, steps, first = time.monotonic(), 0, None
    for event in train_model(
        [task.image],
        [labels],
        torch.device("cpu"),
        base=base,
        task="classes",
        unlabelled=None if dense else UNLABELLED,
        size=options.size,
        settings=TrainingConfig(minutes=options.minutes, seed=options.seed),
        axes="YX",
    ):
        if isinstance(event, EpochDone):
            first = first or round(time.monotonic() - started, 1)
        elif isinstance(event, TrainingFinished):
            steps, model, record = event.record["steps"], event.model, event.record
    network = model.network.eval()
    told = {
        "steps": steps,
        "first_epoch_s": first,
        "best_epoch": record["best_epoch"],
        "held_out": record["held_out"],
        "settings": {k: record["settings"][k] for k in ("patch", "batch")},
    }
    return decide_by(lambda x: network(x), task, model.config.class_values), told


def decide_by(
    network: Callable[[torch.Tensor], Any], task: Task, values: tuple[int, ...]
) -> Decide:
    """Return what decides by the mean probability of all outputs, on a whole image."""

    def decide(image: Pixels) -> Labels:
        size = [(0, -n % 16) for n in image.shape]
        padded = torch.from_numpy(np.pad(image, size, mode="edge"))[None, None]
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = network(padded)
        mean = torch.stack([probabilities(each.float()) for each in outputs]).mean(0)
        index = mean[0].argmax(0).numpy()[: image.shape[0], : image.shape[1]]
        return np.asarray(values)[index]

    return decide


def forest(task: Task) -> Any:
    """Random forest on Gaussian, edge and Hessian features from 1 to 16 pixels."""
    from skimage.feature import multiscale_basic_features
    from sklearn.ensemble import RandomForestClassifier

    def features(image: Pixels) -> Pixels:
        return multiscale_basic_features(image, sigma_min=0.5, sigma_max=16)

    painted = task.strokes != UNLABELLED
    trees = RandomForestClassifier(
        100, n_jobs=task.options.threads, random_state=task.options.seed
    )
    trees.fit(features(normalised(task.image))[painted], task.strokes[painted])

    def decide(image: Pixels) -> Labels:
        found = features(image)
        answer = trees.predict(found.reshape(-1, found.shape[-1]))
        return answer.reshape(image.shape)

    return decide, {"features": int(trees.n_features_in_)}


def monai(task: Task) -> Any:
    """MONAI's UNet++ in a loop as its tutorials have it, for the same minutes."""
    from monai.losses import DiceLoss
    from monai.networks.nets import BasicUNetPlusPlus

    options = task.options
    values = np.unique(task.truth)
    torch.manual_seed(options.seed)
    network = BasicUNetPlusPlus(
        2, 1, len(values), features=(16, 32, 64, 128, 256, 16), deep_supervision=True
    ).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    index = np.where(
        task.strokes == UNLABELLED, -1, np.searchsorted(values, task.strokes)
    )
    sampler = PatchSampler(
        [TrainingPair(normalised(task.image)[None], index)],
        (128, 128),
        np.asarray,
        AugmentConfig(),
        task="classes",
        seed=options.seed,
    )
    overlay = DiceLoss(softmax=False, batch=True)
    end, steps = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < end:
        images, target = (torch.from_numpy(each) for each in sampler.batch(steps, 8))
        target = target.long()
        known = (target >= 0)[:, None]
        hot = F.one_hot(target.clamp(min=0), len(values)).movedim(-1, 1) * known
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = network(images)
        loss = torch.stack(
            [
                F.cross_entropy(each.float(), target, ignore_index=-1)
                + overlay(each.float().softmax(1) * known, hot)
                for each in outputs
            ]
        ).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    network.eval()
    return decide_by(network, task, tuple(values.tolist())), {"steps": steps}


METHODS = {
    "ours": ours,
    "ours-warm": lambda task: ours(task, warm=True),
    "ours-dense": lambda task: ours(task, dense=True),
    "forest": forest,
    "monai": monai,
}


if __name__ == "__main__":
    main()
