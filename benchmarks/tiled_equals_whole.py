"""Tiled equals whole: how far probabilities and labels depend on the tile size.

    python benchmarks/tiled_equals_whole.py [--device cpu]

For each image and each tile core: the largest difference of the probabilities of any
head to those of the network run once over the whole image, and the number of pixels
whose label differs from that of the largest tile. Labels are made from probabilities in
255 steps, so a pixel can differ where rounding crosses a step; none may, and a case
where one does is named as failed. Below it the negative test: the whole image again
with its origin moved along X, once by a multiple of the network's poolings and once by
a single pixel, compared far from the border. The first must agree, the second must not,
or the comparison is blind.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

import napari_unetpp
from napari_unetpp.arrays import Image, canonical, normalise
from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.io import image_range
from napari_unetpp.io._synthetic import nuclei_stack
from napari_unetpp.nn import Model, probabilities

if TYPE_CHECKING:
    from napari_unetpp.nn import Network

LIMIT = 1e-5
GAIN = 4.0
"""Spread of the logits of random networks: wide enough that all probabilities occur."""


@dataclass(frozen=True)
class Case:
    """A model, an image and the tile cores to compare."""

    name: str
    model: Model
    image: np.ndarray
    axes: str
    cores: tuple[int, ...]


def random_model(dims: int, widths: tuple[int, ...], **network: object) -> Model:
    """Return a model with random weights, batch norms that are not the identity."""
    torch.manual_seed(0)
    config = ModelConfig(
        name=f"random {dims}-D",
        network=NetworkConfig(
            spatial_dims=dims, widths=widths, out_channels=3, **network
        ),
        task="instances",
        class_names=INSTANCE_CLASSES,
        class_values=(0, 1, 2),
        channels="grey",
    )
    model = Model.new(config)
    for module in model.network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


def balanced(case: Case) -> Case:
    """Rescale and shift the random heads so that all classes occur."""
    network = case.model.network.eval()
    with torch.no_grad():
        logits = network(torch.from_numpy(padded(case)))
        for head, each in zip(network.heads.values(), logits, strict=True):
            values = each.transpose(0, 1).flatten(1)  # (K, pixels)
            gain = GAIN / values.std(1)
            head.weight.mul_(gain.view(-1, *[1] * (head.weight.ndim - 1)))
            head.bias.sub_(values.median(1).values).mul_(gain)
    return case


def cases(model: str) -> list[Case]:
    """Return images of even and odd sizes with tiles from small to more than all."""
    stack = nuclei_stack((23, 150, 131), n_nuclei=80, seed=1)
    wide = nuclei_stack((4, 517, 389), n_nuclei=160, seed=2).data[2]
    aligned = nuclei_stack((4, 512, 512), n_nuclei=160, seed=3).data[2]
    bundled = napari_unetpp.load_model(model)
    planes = (64, 128, 256, 1024)
    volumes = (16, 32, 64, 256)
    anisotropic = {"strides": ((1, 2, 2), (2, 2, 2)), "upsampling": "linear"}
    return [
        Case(f"{model}, 517 x 389", bundled, wide, "YX", planes),
        Case(f"{model}, 512 x 512", bundled, aligned, "YX", planes),
        balanced(
            Case(
                "random 2-D nearest, 517 x 389",
                random_model(2, (8, 16, 32, 64), upsampling="nearest"),
                wide,
                "YX",
                planes,
            )
        ),
        balanced(
            Case(
                "random 3-D, 23 x 150 x 131",
                random_model(3, (8, 16, 24)),
                stack.data,
                "ZYX",
                volumes,
            )
        ),
        balanced(
            Case(
                "random 3-D anisotropic, 23 x 150 x 131",
                random_model(3, (8, 16, 24), **anisotropic),
                stack.data,
                "ZYX",
                volumes,
            )
        ),
    ]


def padded(case: Case, shift: int = 0) -> np.ndarray:
    """Return the normalised image (1, 1, *spatial), put `shift` pixels along X."""
    config = case.model.config
    n = case.image.ndim
    image = Image(case.image, case.axes, (1.0,) * n, ("pixel",) * n)
    made = canonical(image, config.network.spatial_dims, config.channels, 1)
    intensity = image_range(made, config.intensity, "error")
    pixels = normalise(np.asarray(made.data), intensity, config.intensity, "error")
    before = [0] * (n - 1) + [shift]
    multiples = config.network.alignment()
    padding = [
        (start, -(size + start) % multiple)
        for start, size, multiple in zip(
            before, case.image.shape, multiples, strict=True
        )
    ]
    return np.pad(pixels[None], [(0, 0), (0, 0), *padding], mode="edge")


def whole(case: Case, device: str, shift: int = 0) -> np.ndarray:
    """Run the network once over the whole image, put `shift` pixels along X.

    The memory format is that of the predictor: another one sums in another order, and
    what is to be compared is the tiling. Returns the probabilities (heads, classes,
    *spatial) of the image's own pixels.
    """
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}
    image = torch.from_numpy(padded(case, shift)).to(device)
    network: Network = copy.deepcopy(case.model.network).eval()
    network.to(device, memory_format=layout[image.ndim])
    with torch.inference_mode():
        logits = network(image.contiguous(memory_format=layout[image.ndim]))
        heads = torch.stack([probabilities(each)[0] for each in logits]).cpu().numpy()
    keep = [slice(0, size) for size in case.image.shape]
    keep[-1] = slice(shift, shift + case.image.shape[-1])
    return heads[(slice(None), slice(None), *keep)]


def moved(case: Case, device: str, truth: np.ndarray, shift: int) -> dict[str, float]:
    """Compare far from the border with the image whose origin is moved along X."""
    margin = case.model.network.receptive_field()[-1]
    margin += case.model.config.network.alignment()[-1]
    difference = np.abs(whole(case, device, shift) - truth)[..., margin:-margin]
    return {
        "pixels": shift,
        "max_difference": float(difference.max()),
        "share_that_differs": float((difference > LIMIT).mean()),
    }


def compare(case: Case, device: str) -> dict[str, object]:
    """Return the differences of all tile sizes of a case."""
    truth = whole(case, device)
    rows = []
    reference = None
    for core in reversed(case.cores):
        start = time.perf_counter()
        result = napari_unetpp.segment(
            case.image, case.model, axes=case.axes, tile=core, device=device
        )
        labels = np.asarray(result.labels)
        heads = np.asarray(result.prediction.heads)
        reference = labels if reference is None else reference
        rows.append(
            {
                "tile": core,
                "max_difference": float(np.abs(heads - truth).max()),
                "labels_that_differ": int((labels != reference).sum()),
                "share_that_differs": float((labels != reference).mean()),
                "n_objects": int(labels.max()),
                "seconds": round(time.perf_counter() - start, 2),
            }
        )
    return {
        "case": case.name,
        "heads": len(truth),
        "tiles": rows[::-1],
        "on_grid": moved(
            case, device, truth, case.model.config.network.alignment()[-1]
        ),
        "off_grid": moved(case, device, truth, 1),
    }


def show(result: dict) -> None:
    """Print the table of one case."""
    print(f"\n{result['case']}, {result['heads']} heads")
    print(f"{'tile':>6} {'max |p - whole|':>16} {'labels differ':>14} {'objects':>8}")
    for row in result["tiles"]:
        print(
            f"{row['tile']:>6} {row['max_difference']:>16.2e}"
            f" {row['labels_that_differ']:>14} {row['n_objects']:>8}"
        )
    for place in ("on_grid", "off_grid"):
        row = result[place]
        print(
            f"origin moved by {row['pixels']:>2}, {place}: max"
            f" {row['max_difference']:.2e},"
            f" {100 * row['share_that_differs']:.1f} % of pixels differ"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="nuclei", help="2-D model, name or file")
    parser.add_argument("--json", help="file for the figures")
    arguments = parser.parse_args()
    results = []
    for case in cases(arguments.model):
        results.append(compare(case, arguments.device))
        show(results[-1])
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=2)
    failed = [str(result["case"]) for result in results if not passed(result)]
    print(f"\nFAILED: {'; '.join(failed)}" if failed else "\nall as it must be")
    raise SystemExit(bool(failed))


def passed(result: dict) -> bool:
    """Return whether all tiles agree, and the negative test does not."""
    return (
        all(row["max_difference"] <= LIMIT for row in result["tiles"])
        and all(row["labels_that_differ"] == 0 for row in result["tiles"])
        and result["on_grid"]["max_difference"] <= LIMIT
        and result["off_grid"]["max_difference"] > LIMIT
    )


if __name__ == "__main__":
    main()
