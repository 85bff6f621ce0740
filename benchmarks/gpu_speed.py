"""How fast is a graphics card, and which part of what it can do is that?

    python benchmarks/gpu_speed.py [--device cuda] [--tile 2048] [--rounds 7]
        [--size 16384] [--quick]

Printed are, for levels 1 to 4 of the paper's network in 2-D and 3-D and in both
precisions, the pixels a second of the network alone (all heads, pixels and
probabilities on the card) and with the way there and back, medians with least and most;
beside them the share of the roofline: what a card of 790 TFLOP/s in bfloat16 and 4.3
TB/s could do with batch norm folded and convolution, bias and ReLU in one pass. Then
MONAI's sliding window over its own network (window of 512, a quarter shared), and an
image from zarr to zarr. `--device cpu --quick` tries the script without a card.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import napari_unetpp
from big_image_memory import write_image
from napari_unetpp.config import (
    INSTANCE_CLASSES,
    ModelConfig,
    NetworkConfig,
    PredictionConfig,
)
from napari_unetpp.inference import Predictor
from napari_unetpp.inference._gpu import TileNetwork
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Callable

ROOFLINE = {2: (4699, 2172, 1211, 750), 3: (2509, 1194, 705, 467)}
"""Mpixel/s of levels 1 to 4 at the paper's widths, bfloat16, fused, on an H200."""
WIDTHS = (32, 64, 128, 256, 512)


def model_of(dims: int, widths: tuple[int, ...]) -> Model:
    """Return a model for objects with random weights."""
    torch.manual_seed(0)
    network = NetworkConfig(spatial_dims=dims, out_channels=3, widths=widths)
    return Model.new(
        ModelConfig(
            network=network,
            task="instances",
            class_names=INSTANCE_CLASSES,
            class_values=(0, 1, 2),
        )
    )


def rates(work: Callable[[], object], n_pixels: int, device: str, rounds: int) -> str:
    """Return Mpixel/s of some rounds, after two that prepare, in words."""
    found = []
    for turn in range(rounds + 2):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        if turn > 1:
            found.append(n_pixels / (time.perf_counter() - start) / 1e6)
    return f"{statistics.median(found):8.1f} ({min(found):.1f} - {max(found):.1f})"


def share_of(rate: str, dims: int, level: int, precision: str) -> str:
    """Return the share of the roofline, in words; there is none of float32."""
    if precision != "bfloat16":
        return ""
    share = 100 * float(rate.split()[0]) / ROOFLINE[dims][level - 1]
    return f", {share:.0f} % of the roofline"


def network_rates(given: argparse.Namespace, dims: int) -> None:
    """Print what the network does, level by level."""
    edges = (given.tile,) * 2 if dims == 2 else (64, given.tile // 8, given.tile // 8)
    model = model_of(dims, given.widths)
    pixels = np.random.default_rng(0).random((1, 1, *edges), np.float32)
    for precision in ("bfloat16", "float32"):
        for level in range(1, model.network.config.depth + 1):
            alone, road = level_rates(given, model, pixels, level, precision)
            print(
                f"{dims}-D {precision} level {level}: {alone} Mpixel/s"
                f"{share_of(alone, dims, level, precision)}; there and back {road}",
                flush=True,
            )


def level_rates(
    given: argparse.Namespace,
    model: Model,
    pixels: np.ndarray,
    level: int,
    precision: str,
) -> tuple[str, str]:
    """Return the rates of one level: of the network alone, and there and back."""
    device, n_pixels = torch.device(given.device), pixels.size
    network = TileNetwork(model.prune(level).network, device, precision)
    x = torch.from_numpy(pixels).to(device)
    with torch.inference_mode():
        alone = rates(lambda: network(x), n_pixels, given.device, given.rounds)
    predictor = Predictor(model, device, level, precision=precision)
    road = rates(
        lambda: predictor.predict_batch(pixels), n_pixels, given.device, given.rounds
    )
    predictor.close()
    return alone, road


def monai_rate(given: argparse.Namespace) -> None:
    """Print what MONAI's sliding window does with its own network."""
    try:
        from monai.inferers import sliding_window_inference
        from monai.networks.nets import BasicUNetPlusPlus
    except ImportError:
        print("MONAI is not installed: left out")
        return
    features = (*given.widths, given.widths[0])
    network = BasicUNetPlusPlus(2, 1, 3, features=features, deep_supervision=True)
    network = network.eval().to(given.device)
    x = torch.rand(1, 1, given.tile, given.tile, device=given.device)

    @torch.inference_mode()
    def work() -> None:
        sliding_window_inference(x, 512, 4, lambda part: network(part)[-1])

    rate = rates(work, x.numel(), given.device, given.rounds)
    print(f"MONAI sliding window, 2-D: {rate} Mpixel/s", flush=True)


def road_rate(given: argparse.Namespace) -> None:
    """Print what a segmentation from zarr to zarr does."""
    settings = PredictionConfig(device=given.device)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.zarr"
        write_image(image, given.size)
        for turn in range(2):  # the first one prepares
            start = time.perf_counter()
            napari_unetpp.segment_to(
                image, Path(folder) / str(turn), "nuclei", settings, form="zarr"
            )
            seconds = time.perf_counter() - start
    print(
        f"zarr to zarr, {given.size} x {given.size}, bundled nuclei, labels and all:"
        f" {given.size**2 / seconds / 1e6:.1f} Mpixel/s"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tile", type=int, default=2048)
    parser.add_argument("--size", type=int, default=16384)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--quick", action="store_true", help="small and short")
    given = parser.parse_args()
    if given.quick:
        given.tile, given.size, given.rounds = 256, 512, 2
        given.widths = [4, 8, 16, 32, 64]
    given.widths = tuple(given.widths)
    if given.device != "cpu":
        print(torch.cuda.get_device_name(given.device), "torch", torch.__version__)
    for dims in (2, 3):
        network_rates(given, dims)
    monai_rate(given)
    road_rate(given)


if __name__ == "__main__":
    main()
