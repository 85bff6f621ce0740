"""What flips and right-angle turns bring (``--tta``), and what they cost.

    python benchmarks/tta.py FOLDER [--model nuclei] [--every 4] [--json FILE]

FOLDER holds a data set that `_datasets` knows; judged are the images that no training
reads. Every image is segmented as it is and with the mean over its turns, one after the
other, so that whatever else the machine does slows both. Printed are the scores of both
for all images and each kind of image, the difference with its standard error over the
images (of each image its own difference), and the time that both took.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import napari_unetpp
from _datasets import data_set, read
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference._evaluate import score_images
from napari_unetpp.inference._report import report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.inference._report import ScoredImage
    from napari_unetpp.nn import Model

MEASURES = {
    "instances": ("iou", "mean_iou", "boundary_f", "ap50", "ap75", "mean_ap", "pq"),
    "classes": ("iou", "mean_iou", "dice", "boundary_f"),
}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    chosen, manifest = data_set(options.folder)
    split, kinds = chosen.split(manifest), chosen.kinds(manifest)
    names = split.test[:: options.every]
    model = napari_unetpp.load_model(options.model)
    print(f"{model!r}\n{len(names)} images; {split.words}")
    plain, turned, seconds = scored(options.folder, names, model, options.device)
    results: dict[str, Any] = {"images": len(names), "seconds": seconds}
    for kind in ["all", *sorted({kinds[name] for name in names} - {"all"})]:
        own = [k for k, name in enumerate(names) if kind in ("all", kinds[name])]
        both = [[every[k] for k in own] for every in (plain, turned)]
        results[kind] = compared(*both, model)
        show(kind, len(own), results[kind])
    times = seconds["turned"] / seconds["plain"]
    print(f"\ntime {times:.2f} times: {seconds['plain']} s, {seconds['turned']} s")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei", help="bundled name or file")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def scored(
    folder: Path, names: Sequence[str], model: Model, device: str
) -> tuple[list[ScoredImage], list[ScoredImage], dict[str, float]]:
    """Score images without and with turns; return both, and the time of each."""
    found: dict[str, list[ScoredImage]] = {"plain": [], "turned": []}
    seconds = dict.fromkeys(found, 0.0)
    for name, pair in read(folder, names):
        for way, every in found.items():
            settings = PredictionConfig(device=device, tta=way == "turned")
            start = time.perf_counter()
            every += score_images([pair], model, settings)
            seconds[way] += time.perf_counter() - start
        if len(found["plain"]) % 10 == 0:
            print(f"{len(found['plain'])} of {len(names)}: {name}", flush=True)
    rounded = {way: round(taken, 1) for way, taken in seconds.items()}
    return found["plain"], found["turned"], rounded


def compared(
    plain: Sequence[ScoredImage], turned: Sequence[ScoredImage], model: Model
) -> dict[str, dict[str, float]]:
    """Return each measure without and with turns, and the gain with its error."""
    both = [report(every, model.config) for every in (plain, turned)]
    result = {}
    for name in MEASURES[model.config.task]:
        if name not in both[0]["accurate"]:
            continue
        first, second = (
            np.array([image[name] for image in each["images"]], float) for each in both
        )
        gain = second - first
        error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else float("nan")
        result[name] = {
            "plain": both[0]["accurate"][name],
            "turned": both[1]["accurate"][name],
            "gain": float(gain.mean()),
            "error": float(error),
        }
    return result


def show(title: str, n: int, found: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}, {n} images")
    print(f"{'':12}{'as it is':>10}{'turned':>10}{'gain':>10}{'error':>9}")
    for name, row in found.items():
        print(
            f"{name:12}{row['plain']:>10.4f}{row['turned']:>10.4f}"
            f"{row['gain']:>+10.4f}{row['error']:>9.4f}"
        )


if __name__ == "__main__":
    main()
