"""Whether a model knows where it is wrong, on images it has never seen.

    python benchmarks/uncertainty.py FOLDER [--model nuclei] [--output DIR]

FOLDER holds a data set that `_datasets` knows, such as dsb2018; judged are the images
that no training reads. Printed are, for all pixels of these images together and for
each kind of image: the share of wrong pixels; how well the entropy of the mean of the
heads (the uncertainty layer) and the spread of the heads find them (AUROC; the risk
among the 80, 90 and 95 % of the pixels that are surest; AURC, beside that of an
uncertainty that knows all errors); and the expected calibration error of the mean and
of each head. Of models of objects, a pixel is wrong where foreground is taken for
background or the other way round.

``--calibrate`` calibrates the model before, on the images that choose the weights of a
training. With ``--output``, ``uncertainty.json`` and ``risk_coverage.png`` are written.
``--every N`` takes each N-th image, for a quick look.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure

import napari_unetpp
from _datasets import data_set, read
from _dsb2018 import image_path, labels_path
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference._evaluate import score_images
from napari_unetpp.inference._sureness import told
from napari_unetpp.nn._uncertainty_metrics import risk_coverage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.inference._report import ScoredImage
    from napari_unetpp.inference._sureness import Sureness
    from napari_unetpp.nn import Model

NAMES = {"spread": "spread of the heads", "entropy": "entropy of the mean"}
COLOURS = {"spread": "#d55e00", "entropy": "#0072b2"}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    chosen, manifest = data_set(options.folder)
    split, kinds = chosen.split(manifest), chosen.kinds(manifest)
    model = napari_unetpp.load_model(options.model)
    if options.calibrate:
        model = calibrated(model, options.folder, split.validation, options.device)
    names = split.test[:: options.every]
    print(f"{model!r}\n{len(names)} images; {split.words}")
    scored = score(options.folder, names, model, options.device)
    heads = list(scored[0].heads)
    results: dict[str, Any] = {"model": model.config.name, "images": len(names)}
    for kind in ["all", *sorted({kinds[name] for name in names} - {"all"})]:
        every = [
            each.sureness
            for name, each in zip(names, scored, strict=True)
            if kind in ("all", kinds[name]) and each.sureness is not None
        ]
        results[kind] = told(every, heads)
        show(kind, len(every), results[kind])
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        path = options.output / "uncertainty.json"
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        draw([each.sureness for each in scored], options.output / "risk_coverage.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei", help="bundled name or file")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--output", type=Path, help="folder for JSON and picture")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def calibrated(model: Model, folder: Path, names: Sequence[str], device: str) -> Model:
    """Calibrate on some images and say what that has changed."""
    model = napari_unetpp.calibrate(
        model,
        [image_path(folder, name) for name in names],
        [labels_path(folder, name) for name in names],
        device=device,
    )
    print("calibrated:", json.dumps(model.config.training["calibration"]))
    return model


def score(
    folder: Path, names: Sequence[str], model: Model, device: str
) -> list[ScoredImage]:
    """Score images, saying now and then how far that is."""
    images = (pair for _, pair in read(folder, names))
    scored = []
    for each in score_images(images, model, PredictionConfig(device=device)):
        scored.append(each)
        if len(scored) % 20 == 0:
            print(f"{len(scored)} of {len(names)} images", flush=True)
    return scored


def show(title: str, n: int, found: dict[str, Any]) -> None:
    """Print what was found in n images."""
    print(
        f"\n{title}: {n} images, {found['n_pixels']:,} pixels,"
        f" {found['error_rate']:.2%} wrong"
    )
    print(f"{'':20}{'AUROC':>8}{'AURC':>9}{'best':>9}" + risks("risk at ", " %"))
    for name, words in NAMES.items():
        if (one := found[name]) is not None and one["auroc"] is not None:
            row = "".join(f"{risk:>15.3%}" for risk in one["risk"].values())
            print(
                f"{words:20}{one['auroc']:>8.4f}{one['aurc']:>9.5f}"
                f"{one['best_aurc']:>9.5f}{row}"
            )
    errors = found["calibration_error"]
    heads = ", ".join(f"{name} {error:.4f}" for name, error in errors["heads"].items())
    print(f"calibration error: mean {errors['accurate']:.4f}; {heads}")


def risks(before: str, after: str) -> str:
    return "".join(f"{before + c + after:>15}" for c in ("80", "90", "95"))


def draw(every: Sequence[Sureness | None], path: Path) -> None:
    """Draw the risk among the surest pixels against their share."""
    known = [each for each in every if each is not None]
    total = known[0]
    for more in known[1:]:
        total = total + more
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, counts in (("spread", total.spread), ("entropy", total.entropy)):
        if counts is not None:
            coverage, risk = risk_coverage(counts)
            axes.plot(
                100 * coverage, 100 * risk, color=COLOURS[name], label=NAMES[name]
            )
    right, wrong = total.entropy.sum(axis=1)
    rate = 100 * wrong / (right + wrong)
    axes.plot([0, 100], [rate, rate], ":", color="0.4", label="no uncertainty")
    ends = [0, 100 - rate, 100]
    axes.plot(ends, [0, 0, rate], "--", color="0.4", label="all errors known")
    axes.set_xlabel("surest pixels that are kept (%)")
    axes.set_ylabel("wrong pixels among them (%)")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
