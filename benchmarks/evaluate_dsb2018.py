"""Scores of a model on the held-out fifth of dsb2018, per image type and head.

    python benchmarks/evaluate_dsb2018.py FOLDER [--model nuclei] [--json FILE]

FOLDER has images/, labels/ and manifest.json. The images are those that the training
script never saw: a fifth of the groups (fields of view), chosen by the hash of their id
(see `_dsb2018.split`). IoU, mean IoU (background and foreground), Dice and AP50 are
averaged over the images; "pooled" ones are computed from all pixels or objects at once.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import napari_unetpp
from _dsb2018 import image_path, image_types, labels_path, read_manifest, split
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference._evaluate import ScoredImage, report, score_images
from napari_unetpp.io import read_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_unetpp.arrays import Image
    from napari_unetpp.nn import Model

COLUMNS = {
    "iou": "IoU",
    "pooled_iou": "IoU pooled",
    "mean_iou": "mean IoU",
    "dice": "Dice",
    "ap50": "AP50",
    "ap50_pooled": "AP50 pooled",
    "ap75": "AP75",
    "mean_ap": "mAP50-90",
}


def pairs(folder: Path, names: list[str]) -> Iterator[tuple[Image, Image]]:
    """Read image and labels, one image at a time."""
    for name in names:
        yield (
            read_image(image_path(folder, name)),
            read_labels(labels_path(folder, name)),
        )


def score(folder: Path, names: list[str], model: Model) -> list[ScoredImage]:
    """Score all images, in one forward pass each."""
    scored = []
    images = pairs(folder, names)
    for number, each in enumerate(score_images(images, model, PredictionConfig()), 1):
        scored.append(each)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{number} of {len(names)} images")
    return scored


def show(title: str, scores: dict) -> None:
    """Print one table: the accurate answer and every head."""
    print(
        f"\n{title}, {scores['n_images']} images, {scores['accurate']['n_true']} nuclei"
    )
    print(f"{'':10}" + "".join(f"{name:>13}" for name in COLUMNS.values()))
    rows = {"accurate": scores["accurate"]}
    rows |= {row["name"]: row for row in scores["heads"]}
    for name, row in rows.items():
        print(f"{name:10}" + "".join(f"{row[key]:>13.4f}" for key in COLUMNS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei", help="bundled name or file")
    parser.add_argument("--fold", type=int, default=0, help="the fifth, 0...4")
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.folder)
    _, names = split(manifest, arguments.fold)
    model = napari_unetpp.load_model(arguments.model)
    print(f"{model!r}\nfold {arguments.fold}: {len(names)} held-out images")
    scored = score(arguments.folder, names, model)
    types = image_types(manifest)
    results = {"all": report(scored, model.config)}
    for kind in sorted(set(types.values())):
        own = [
            each
            for name, each in zip(names, scored, strict=True)
            if types[name] == kind
        ]
        if own:
            results[kind] = report(own, model.config)
    for title, scores in results.items():
        show(title, scores)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
