"""Images with objects half or twice as large as usual, with and without a diameter.

    python benchmarks/diameter.py FOLDER [--model nuclei] [--images N] [--csv FILE]

FOLDER is that of dsb2018. Its held-out fluorescence images (see `_dsb2018.split`) are
shown at 1/2, 1 and 2 times their size (linear, antialiased; labels by their nearest
pixels), and segmented

    as is     without a diameter
    truth     with the median diameter of the true objects of each image
    auto      with the one that is measured in the image

The table has AP50, as the mean over images and pooled over all objects, for each size,
and for "auto" how far the measured diameter is from the true one. A model that does not
say what diameter it has learnt is given that of the objects it was trained on.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import napari_unetpp
from _dsb2018 import image_path, image_types, labels_path, read_manifest, split
from napari_unetpp.arrays import Rescaling, object_diameters
from napari_unetpp.io import read_image, read_labels
from napari_unetpp.nn import Model
from napari_unetpp.nn._metrics_objects import average_precision, match_instances

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_unetpp.nn._metrics_objects import InstanceMatch

SCALES = (0.5, 1.0, 2.0)
WAYS = ("as is", "truth", "auto")
COLUMNS = ("image", "scale", "way", "true_diameter", "diameter", "ap50", "seconds")


@dataclass(frozen=True)
class Row:
    """One image, shown at one size and segmented in one way."""

    name: str
    scale: float
    way: str
    true: float
    used: float | None
    seconds: float
    match: InstanceMatch

    @property
    def ap50(self) -> float:
        return average_precision([self.match], 0.5)


def learnt_diameter(folder: Path, names: list[str]) -> float:
    """Return the median diameter of all objects of some images."""
    found = [
        object_diameters(np.asarray(read_labels(labels_path(folder, name)).data))
        for name in names
    ]
    return float(np.median(np.concatenate(found)))


def knowing_its_diameter(model: Model, folder: Path, names: list[str]) -> Model:
    """Return a model that says what diameter it has learnt."""
    if model.config.diameter is not None:
        return model
    diameter = learnt_diameter(folder, names)
    config = model.config.model_copy(update={"diameter": diameter})
    return Model(model.network, config)


def shown_at(
    scale: float, pixels: npt.NDArray, labels: npt.NDArray
) -> tuple[npt.NDArray, npt.NDArray]:
    """Return an image (Y, X) or (Y, X, C), and its labels, at another size."""
    if scale == 1:
        return pixels, labels
    made = Rescaling.by(labels.shape, scale)
    box = tuple((0, size) for size in made.target)
    planes = pixels if pixels.ndim == 3 else pixels[..., None]
    first = np.moveaxis(planes, -1, 0).astype(np.float32)
    resized = np.rint(made.linear(first, (0, 0), box)).astype(pixels.dtype)
    shown = np.moveaxis(resized, 0, -1)
    return shown if pixels.ndim == 3 else shown[..., 0], made.nearest(
        labels, (0, 0), box
    )


def rows_of(folder: Path, name: str, model: Model) -> Iterator[Row]:
    """Yield all rows of an image."""
    image = read_image(image_path(folder, name))
    truth = np.asarray(read_labels(labels_path(folder, name)).data)
    for scale in SCALES:
        pixels, labels = shown_at(scale, np.asarray(image.data), truth)
        sizes = object_diameters(labels)
        true = float(np.median(sizes)) if len(sizes) else math.nan
        for way in WAYS:
            given = {"as is": None, "truth": true, "auto": "auto"}[way]
            if way == "truth" and not len(sizes):
                given = None
            start = time.monotonic()
            found = napari_unetpp.segment(
                pixels, model, axes=image.axes, diameter=given
            )
            seconds = time.monotonic() - start
            size = found.prediction.size
            yield Row(
                name,
                scale,
                way,
                true,
                None if size is None else size.diameter,
                seconds,
                match_instances(labels, np.asarray(found.labels)),
            )


def show(rows: list[Row]) -> None:
    """Print the table."""
    by: defaultdict[tuple[float, str], list[Row]] = defaultdict(list)
    for row in rows:
        by[row.scale, row.way].append(row)
    print(f"{'scale':>6} {'way':>7} {'AP50':>8} {'pooled':>8} {'s/image':>8}  measured")
    for (scale, way), found in by.items():
        told = ""
        if way == "auto":
            errors = [abs(math.log(r.used / r.true)) for r in found if r.used]
            near = np.mean([error < math.log(1.25) for error in errors])
            told = f"{math.expm1(float(np.median(errors))):.0%} off (median)"
            told += f", {near:.0%} of images within 25 %"
        pooled = average_precision([row.match for row in found], 0.5)
        ap50 = np.mean([row.ap50 for row in found])
        seconds = np.mean([row.seconds for row in found])
        print(f"{scale:6g} {way:>7} {ap50:8.4f} {pooled:8.4f} {seconds:8.2f}  {told}")


def write(rows: list[Row], path: Path) -> None:
    """Write a row for each image, size and way."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        names = (
            "image",
            "scale",
            "way",
            "true_diameter",
            "diameter",
            "ap50",
            "seconds",
        )
        writer.writerow(names)
        for r in rows:
            values = (r.name, r.scale, r.way, r.true, r.used, r.ap50, r.seconds)
            writer.writerow(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="nuclei", help="bundled name or file")
    parser.add_argument("--images", type=int, help="only so many, evenly chosen")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--csv", type=Path, help="a row for each image, size and way")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    manifest = read_manifest(asked.folder)
    types = image_types(manifest)
    trained, held_out = split(manifest)
    names = [name for name in held_out if types[name].startswith("fluorescence")]
    if asked.images:
        names = names[:: max(len(names) // asked.images, 1)][: asked.images]
    model = napari_unetpp.load_model(asked.model)
    model = knowing_its_diameter(model, asked.folder, trained)
    print(
        f"{model.config.name} has learnt {model.config.diameter:.1f} px;"
        f" {len(names)} held-out fluorescence images"
    )
    rows = []
    for number, name in enumerate(names, start=1):
        rows += rows_of(asked.folder, name, model)
        sys.stderr.write(f"{number} of {len(names)} images\n")
        if asked.csv:
            write(rows, asked.csv)
    show(rows)


if __name__ == "__main__":
    main()
