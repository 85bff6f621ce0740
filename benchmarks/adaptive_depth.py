"""What stopping early saves, and what it costs: time, depths, objects, by tolerance.

    python benchmarks/adaptive_depth.py FOLDER [--size 4096] [--rounds 3] [--quick]
        [--tolerances 0 0.05 0.1 0.2] [--precisions float32 bfloat16] [--sets sparse]

FOLDER is dsb2018. Its held-out fluorescence images are put side by side to three large
ones: all of them, the third with the least foreground (`sparse`) and the third with the
most (`dense`). The bundled `nuclei` looks at them with all levels everywhere and with
each tolerance in turn, on the network alone (rows in, probabilities out), alternating
in one process. Told are CPU seconds (median, least and most), how many times faster,
the share of products that were computed, the share of pixels that reached each level,
AP50 against the truth and its change in points, and the share of pixels whose
foreground differs. With a tolerance of 0 all levels are computed in the other way: the
price of deciding.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import torch

from _dsb2018 import image_path, image_types, labels_path, read_manifest, split
from _mosaic import grey
from napari_unetpp.api import load_model
from napari_unetpp.arrays import Image, canonical, mean_of_heads, normalise
from napari_unetpp.inference import find_objects
from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.io import image_range
from napari_unetpp.nn._metrics_objects import match_instances

if TYPE_CHECKING:
    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn import Model

ROWS = 64


@dataclass(frozen=True)
class Mosaic:
    """A large image (1, Y, X) and its objects (Y, X)."""

    image: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Run:
    """What came out: mean (K, Y, X), pixels at each level, and what it took."""

    mean: FloatArray
    depths: list[float]
    share: float
    seconds: float


def names_of(folder: Path, kind: str) -> list[str]:
    """Return held-out fluorescence images: all, or the third with most or least."""
    manifest = read_manifest(folder)
    types = image_types(manifest)
    names = [n for n in split(manifest)[1] if types[n].startswith("fluo")]
    if kind == "all":
        return names
    shares = {n: (tifffile.imread(labels_path(folder, n)) > 0).mean() for n in names}
    ranked = sorted(names, key=lambda n: float(shares[n]))
    third = len(ranked) // 3
    return ranked[:third] if kind == "sparse" else ranked[-third:]


def mosaic(folder: Path, names: list[str], size: int) -> Mosaic:
    """Put images beside each other in rows, cut at the rim, until all is full."""
    rng = np.random.default_rng(0)
    pairs = [
        (
            grey(tifffile.imread(image_path(folder, name))),
            tifffile.imread(labels_path(folder, name)).astype(np.int32),
        )
        for name in names
    ]
    image, labels = np.zeros((size, size), np.uint8), np.zeros((size, size), np.int32)
    top = n = 0
    while top < size:
        left, height = 0, size
        while left < size:
            pixels, objects = pairs[rng.integers(len(pairs))]
            height = min(height, len(pixels))
            kept = (slice(size - top), slice(size - left))
            pixels, objects = pixels[kept], objects[kept]
            place = slice(top, top + len(pixels)), slice(left, left + pixels.shape[1])
            image[place] = pixels
            labels[place] = np.where(objects > 0, objects + n, 0)
            n += int(objects.max(initial=0))
            left += pixels.shape[1]
        top += height
    return Mosaic(image, labels)


def normalised(image: np.ndarray, model: Model) -> FloatArray:
    """Return (C, Y, X) as the network sees it."""
    config = model.config
    made = Image(image, "YX", (1.0, 1.0), ("pixel", "pixel"))
    seen = canonical(made, 2, config.channels, config.network.in_channels)
    found = image_range(seen, config.intensity, "error")
    return normalise(np.asarray(seen.data), found, config.intensity, "error")


def run(model: Model, x: FloatArray, precision: str, adaptive: float | None) -> Run:
    """Push an image through, some rows at a time."""
    cpu = torch.device("cpu")
    predictor = Predictor(model, cpu, precision=precision, adaptive=adaptive)
    stream = predictor.stream(tuple(x.shape[2:]))
    start = time.process_time()
    heads, depths = [], []
    for at in range(0, x.shape[1], ROWS):
        rows = np.ascontiguousarray(x[:, at : at + ROWS])
        heads.append(stream.push(rows, last=at + ROWS >= x.shape[1]))
        if stream.depths is not None:
            depths.append(stream.depths)
    seconds = time.process_time() - start
    mean = np.concatenate(
        [mean_of_heads(each, predictor.head_weights) for each in heads], axis=1
    )
    done, most = stream.work
    found = np.concatenate(depths) if depths else np.full(x.shape[1:], predictor.level)
    shares = [float((found >= j).mean()) for j in range(1, predictor.level + 1)]
    return Run(mean, shares, done / most if most else 1.0, seconds)


def ap50(labels: np.ndarray, truth: np.ndarray) -> float:
    """Return TP / (TP + FP + FN) at an IoU of 0.5."""
    match = match_instances(truth, labels)
    n = match.n_found(0.5)
    return n / (match.n_true + match.n_predicted - n)


def compare(
    kind: str, precision: str, model: Model, options: argparse.Namespace
) -> None:
    """Print the table of one mosaic."""
    made = mosaic(options.folder, names_of(options.folder, kind), options.size)
    x = normalised(made.image, model)
    share = (made.labels > 0).mean()
    print(
        f"\n{kind}: {options.size} x {options.size}, foreground {100 * share:.1f} %,"
        f" {len(np.unique(made.labels)) - 1} objects, {precision},"
        f" {options.threads} threads"
    )
    taken: dict[float | None, list[float]] = {}
    results: dict[float | None, Run] = {}
    for turn in range(options.rounds):
        order: list[Any] = [None, *options.tolerances]
        for tolerance in order[:: 1 if turn % 2 == 0 else -1]:
            found = run(model, x, precision, tolerance)
            taken.setdefault(tolerance, []).append(found.seconds)
            results[tolerance] = found
            print(f"  round {turn}, {tolerance}: {found.seconds:.2f} s", flush=True)
    instances = model.config.instances
    plain = find_objects(results[None].mean, instances)
    usual = ap50(plain, made.labels)
    base = statistics.median(taken[None])
    print(
        f"{'tolerance':>10}{'CPU-s (least-most)':>24}{'faster':>8}{'work':>8}"
        f"{'pixels at level 2, 3, ...':>28}{'AP50':>8}{'points':>8}{'differ':>10}"
    )
    for tolerance, found in results.items():
        labels = find_objects(found.mean, instances)
        score, times = ap50(labels, made.labels), taken[tolerance]
        spread = f"({min(times):.1f}-{max(times):.1f})"
        levels = " ".join(f"{100 * each:.1f}" for each in found.depths[1:])
        print(
            f"{tolerance!s:>10}{statistics.median(times):>11.1f} {spread:>12}"
            f"{base / statistics.median(times):>8.2f}{100 * found.share:>6.1f} %"
            f"{levels:>26} %{score:>8.4f}{100 * (score - usual):>+8.2f}"
            f"{100 * ((labels > 0) != (plain > 0)).mean():>8.4f} %",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--tolerances", type=float, nargs="*", default=[0, 0.05, 0.1, 0.2]
    )
    parser.add_argument("--precisions", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument("--sets", nargs="*", default=["sparse", "all", "dense"])
    parser.add_argument("--quick", action="store_true", help="one round of 1024 pixels")
    options = parser.parse_args()
    if options.quick:
        options.size, options.rounds = 1024, 1
    torch.set_num_threads(options.threads)
    model = load_model(options.model)
    for kind in options.sets:
        for precision in options.precisions:
            compare(kind, precision, model, options)


if __name__ == "__main__":
    main()
