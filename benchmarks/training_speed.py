"""How many steps a second does training do, beside MONAI's UNet++ of the same widths?

    python benchmarks/training_speed.py [--widths 32 64 128 256 512] [--patch 256]
        [--batch 2] [--rounds 7] [--dims 2] [--device cpu] [--threads 1] [--quick]

Networks take turns, a step each a round, all on the same batch and with the same loss
on all heads (deep supervision), Adam with decoupled weight decay and, ours, the
running mean of the weights. Printed are medians (least - most) of processor seconds a
step (of wall seconds on a graphics card), and steps a second as a multiple of MONAI's:

    ours bfloat16, float32     as `train` does it
    saving memory              the same in bfloat16 with `save_memory`
    plain float32              our network by the plain operators, as eager torch has it
    MONAI                      BasicUNetPlusPlus(deep_supervision=True), float32, eager

Needs `pip install napari-unetpp[bench]` for MONAI; without it that row is left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch

from napari_unetpp.config import NetworkConfig, TrainingConfig
from napari_unetpp.nn import build_network, supervised_loss
from napari_unetpp.training._state import TrainingState
from napari_unetpp.training._update import update

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], object]

CLASSES = 3


def batch_of(given: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of noise with labels, a quarter of them ignored."""
    rng = np.random.default_rng(0)
    depth = (given.depth,) * (given.dims - 2)
    shape = (given.batch, *depth, given.patch, given.patch)
    images = rng.random((shape[0], 1, *shape[1:]), np.float32)
    return images, rng.integers(-1, CLASSES, shape)


def ours(given: argparse.Namespace, precision: str, **settings: Any) -> Step:
    """Return a step as `train` does it."""
    config = TrainingConfig(epochs=1, **settings)
    device = torch.device(given.device)
    network = build_network(
        NetworkConfig(
            spatial_dims=given.dims, out_channels=CLASSES, widths=given.widths
        )
    )
    state, batch = TrainingState.new(network, config, device), batch_of(given)
    return lambda: update(state, batch, config, device, rate=1e-3, precision=precision)


def plain(given: argparse.Namespace) -> Step:
    """Return a step of our network by the plain operators."""
    step = ours(given, "float32")

    def go() -> None:
        names = "napari_unetpp.nn._unetpp.learnt", "napari_unetpp.nn._blocks.spread"
        with (
            mock.patch(names[0], lambda block, *maps: block(torch.cat(maps, 1))),
            mock.patch(names[1], lambda x, up, stride: up(x)),
        ):
            step()

    return go


def monai(given: argparse.Namespace) -> Step:
    """Return a step of MONAI's network, with the same loss."""
    from monai.networks.nets import BasicUNetPlusPlus

    network = BasicUNetPlusPlus(
        given.dims,
        1,
        CLASSES,
        features=(*given.widths, given.widths[0]),
        deep_supervision=True,
        norm="batch",
        act="relu",
    ).to(given.device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    config, batch = TrainingConfig(epochs=1), batch_of(given)

    def step() -> None:
        images, target = (torch.from_numpy(each).to(given.device) for each in batch)
        network.train()
        loss, _ = supervised_loss(tuple(network(images)), target, config)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    return step


def steps_of(given: argparse.Namespace) -> dict[str, Step]:
    """Return all that is compared, by name."""
    found = {
        "ours bfloat16": ours(given, "bfloat16"),
        "saving memory": ours(given, "bfloat16", save_memory=True),
        "ours float32": ours(given, "float32"),
        "plain float32": plain(given),
    }
    if given.dims == 3 and given.device == "cpu":  # bfloat16 is not trusted there
        del found["ours bfloat16"]
        found["saving memory"] = ours(given, "float32", save_memory=True)
    try:
        found["MONAI"] = monai(given)
    except ImportError:
        print("MONAI is not installed: left out")
    return found


def seconds_of(step: Step, device: str) -> float:
    """Return what a step takes: of the processor, or by the clock on a card."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    step()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def main() -> None:
    """Print the figures, growing with each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--widths", type=int, nargs="+", default=[32, 64, 128, 256, 512]
    )
    parser.add_argument("--patch", type=int, default=256)
    parser.add_argument("--depth", type=int, default=32, help="planes of a 3-D patch")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--dims", type=int, default=2, choices=(2, 3))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small and short")
    given = parser.parse_args()
    if given.quick:
        given.widths, given.patch, given.rounds = [8, 16, 32, 64, 128], 128, 3
    given.widths = tuple(given.widths)
    torch.set_num_threads(given.threads)
    print(
        f"widths {given.widths}, {given.dims}-D patches of {given.patch}, batch"
        f" {given.batch}, {given.device}, {given.threads} threads,"
        f" {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    )
    steps = steps_of(given)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(given.rounds + 1):
        for name, step in steps.items():
            seconds = seconds_of(step, given.device)
            if turn:  # the first one prepares
                taken[name].append(seconds)
    base = statistics.median(taken.get("MONAI", taken["plain float32"]))
    for name, found in taken.items():
        middle = statistics.median(found)
        print(
            f"{name:14} {middle:7.3f} s a step ({min(found):.3f} - {max(found):.3f}),"
            f" {base / middle:.2f} x"
        )


if __name__ == "__main__":
    main()
