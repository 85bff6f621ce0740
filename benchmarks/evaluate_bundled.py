"""Scores of a model on images that no training read, by kind of image and head.

    python benchmarks/evaluate_bundled.py FOLDER [--model nuclei] [--json FILE]

FOLDER has images/, labels/ and manifest.json (see `_datasets`, which says what is held
out). Measures are averaged over the images; "pooled" ones are computed from all pixels
or objects at once. The same images chose nothing: neither weights nor settings.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import napari_unetpp
from _datasets import data_set, read
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference._evaluate import ScoredImage, report, score_images

if TYPE_CHECKING:
    from napari_unetpp.nn import Model

OBJECTS = {
    "iou": "IoU",
    "pooled_iou": "IoU pooled",
    "mean_iou": "mean IoU",
    "dice": "Dice",
    "ap50": "AP50",
    "ap50_pooled": "AP50 pooled",
    "ap75": "AP75",
    "mean_ap": "mAP50-90",
}
CLASSES = {
    "iou": "IoU",
    "mean_iou": "mean IoU",
    "pooled_mean_iou": "pooled",
    "dice": "Dice",
}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    data, manifest = data_set(options.folder)
    split = data.split(manifest)
    model = napari_unetpp.load_model(options.model)
    print(f"{model!r}\n{split.words}")
    began = time.perf_counter()
    scored = score(options, list(split.test), model)
    seconds = time.perf_counter() - began
    kinds = data.kinds(manifest)
    results: dict[str, Any] = {"all": report(scored, model.config)}
    for kind in sorted({kinds[name] for name in split.test} - {"all"}):
        named = zip(split.test, scored, strict=True)
        own = [each for name, each in named if kinds[name] == kind]
        results[kind] = report(own, model.config)
    for title, scores in results.items():
        show(title, scores)
    print(f"\n{seconds:.1f} s for {len(scored)} images, {options.threads} threads")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei", help="bundled name or file")
    parser.add_argument("--tta", action="store_true", help="mean over turns and flips")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for all figures")
    return parser.parse_args()


def score(
    options: argparse.Namespace, names: list[str], model: Model
) -> list[ScoredImage]:
    """Score all images, each in one pass."""
    settings = PredictionConfig(tta=options.tta)
    images = (pair for _, pair in read(options.folder, names))
    scored = []
    for number, each in enumerate(score_images(images, model, settings), 1):
        scored.append(each)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number} of {len(names)} images")
    return scored


def show(title: str, scores: dict[str, Any]) -> None:
    """Print one table: the accurate answer and every head."""
    rows = {"accurate": scores["accurate"]}
    rows |= {row["name"]: row for row in scores["heads"]}
    columns = OBJECTS if scores["task"] == "instances" else CLASSES
    n_true = scores["accurate"].get("n_true")
    objects = f", {n_true} objects" if n_true is not None else ""
    print(f"\n{title}: {scores['n_images']} images{objects}")
    classes = list(scores["accurate"].get("class_iou", ()))
    heads = [*columns.values(), *(f"class {value}" for value in classes)]
    print(f"{'':10}" + "".join(f"{head:>13}" for head in heads))
    for name, row in rows.items():
        values = [row[key] for key in columns if key in row]
        values += [row["class_iou"][value] for value in classes]
        print(f"{name:10}" + "".join(f"{value:>13.4f}" for value in values))


if __name__ == "__main__":
    main()
