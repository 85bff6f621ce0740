"""The network alone: streamed rows against the eager network on the whole image.

    python benchmarks/network_speed.py [--quick] [--rounds 5] [--threads 1]
                                       [--only 2d-paper ...] [--json FILE]

For each case (paper's widths or a quarter of them, 2-D or 3-D) the engines take turns,
round after round, in one process: the eager network as torch runs it, the same with its
channels last, and streams in float32 and bfloat16, whose answer is compared with that
of the eager network. Then the levels 1...L alone, as a share of the deepest, beside
their share of the operations. Printed are medians (least to most) of CPU-seconds, as
the machine may be shared, and of wall time; with --json each case is kept when it is
done, and not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import build_network
from napari_unetpp.nn._fused import FusedNetwork
from napari_unetpp.nn._losses import probabilities
from napari_unetpp.nn._stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_unetpp.nn import Network

PAPER, QUARTER = (32, 64, 128, 256, 512), (8, 16, 32, 64, 128)
ROWS = 64  # pushed together


@dataclass(frozen=True)
class Case:
    """A network and the size of an image, usual and quick."""

    widths: tuple[int, ...]
    size: tuple[int, ...]
    quick: tuple[int, ...]


CASES = {
    "2d-paper": Case(PAPER, (1024, 1024), (256, 256)),
    "2d-quarter": Case(QUARTER, (2048, 2048), (512, 512)),
    "3d-paper": Case(PAPER, (32, 128, 128), (16, 32, 32)),
    "3d-quarter": Case(QUARTER, (64, 192, 192), (32, 64, 64)),
}


def lively(config: NetworkConfig) -> Network:
    """Return a random network whose batch norms are not the identity."""
    torch.manual_seed(0)
    network = build_network(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def streamed(network: FusedNetwork, image: Tensor) -> Tensor:
    """Return the logits (H, K, *S) of an image (C, *S), pushed a few rows at a time."""
    stream = Stream(network, tuple(image.shape[2:]))
    n = image.shape[1]
    found = torch.empty(
        (len(network.heads), network.config.out_channels, *image.shape[1:])
    )
    given = 0
    for start in range(0, n, ROWS):
        rows = stream.push(image[:, start : start + ROWS], last=start + ROWS >= n)
        found[:, :, given : given + rows.shape[2]] = rows
        given += rows.shape[2]
    return found


def eager(network: Network, image: Tensor) -> Tensor:
    """Return the logits (H, K, *S) of one forward pass."""
    with torch.inference_mode():
        return torch.stack(network(image[None]), dim=1)[0]


def clocked(work: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    """Return CPU-seconds, seconds and what came of it."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def in_turns(engines: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, Any]:
    """Let the engines take turns; the first round only makes kernels ready."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for at in range(rounds + 1):
        for name, work in engines.items():
            cpu, wall, _ = clocked(work)
            if at:
                times[name].append((cpu, wall))
    return {
        name: {"cpu": [cpu for cpu, _ in each], "wall": [wall for _, wall in each]}
        for name, each in times.items()
    }


def differences(found: Tensor, expected: Tensor) -> dict[str, float]:
    """Return how far two answers (H, K, *S) are apart."""
    pair = [
        torch.stack([probabilities(h[None])[0] for h in x]) for x in (found, expected)
    ]
    labels = [each.mean(dim=0).argmax(dim=0) for each in pair]
    return {
        "probability": float((pair[0] - pair[1]).abs().max()),
        "labels": float((labels[0] != labels[1]).float().mean()),
    }


def measure(case: Case, size: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Return all figures of a case."""
    config = NetworkConfig(spatial_dims=len(size), out_channels=3, widths=case.widths)
    network, last = lively(config), lively(config)
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[len(size)]
    last.to(memory_format=layout)
    image = torch.rand(1, *size)
    heads = range(1, config.depth + 1)
    fused = {
        f"stream {name}": FusedNetwork(network, heads=heads, dtype=getattr(torch, name))
        for name in ("float32", "bfloat16")
    }
    engines: dict[str, Callable[[], Tensor]] = {
        "eager": lambda: eager(network, image),
        "eager, channels last": lambda: eager(last, image),
    }
    for name, each in fused.items():
        engines[name] = lambda each=each: streamed(each, image)  # type: ignore[misc]
    expected = eager(network, image)
    return {
        "times": in_turns(engines, rounds),
        "differences": {
            name: differences(streamed(each, image), expected)
            for name, each in fused.items()
        },
        "levels": levels(network, image, rounds),
    }


def levels(network: Network, image: Tensor, rounds: int) -> dict[str, Any]:
    """Time each level alone (fast mode), and count its operations."""
    config = network.config
    engines: dict[str, Callable[[], Tensor]] = {}
    for level in range(1, config.depth + 1):
        fused = FusedNetwork(network, heads=[level], dtype=torch.bfloat16)
        engines[str(level)] = lambda fused=fused: streamed(fused, image)  # type: ignore[misc]
    work = [operations(config, level) for level in range(1, config.depth + 1)]
    return {
        "times": in_turns(engines, max(1, rounds // 2)),
        "operations": [each / work[-1] for each in work],
    }


def operations(config: NetworkConfig, level: int) -> float:
    """Return the products that a pixel of level 0 takes, down to a level."""
    dims, total = config.spatial_dims, 0.0
    for i, width in enumerate(config.widths[: level + 1]):
        n_in = config.in_channels if i == 0 else config.widths[i - 1]
        of_level = 3**dims * width * (n_in + width)
        for j in range(1, level + 1 - i):
            of_level += 3**dims * width * ((j + 1) * width + width)
            of_level += width * config.widths[i + 1]
        total += of_level / 2 ** (dims * i)
    return total


def tell(name: str, size: tuple[int, ...], found: dict[str, Any]) -> None:
    """Print the figures of a case."""
    print(f"{name}, {' x '.join(map(str, size))}")
    base = statistics.median(found["times"]["eager"]["cpu"])
    for engine, times in found["times"].items():
        middle, wall = (statistics.median(times[key]) for key in ("cpu", "wall"))
        line = (
            f"    {engine:22} {middle:8.2f} CPU-s ({min(times['cpu']):.2f} to"
            f" {max(times['cpu']):.2f}), {wall:.2f} s, {base / middle:.2f} x eager"
        )
        if engine in found["differences"]:
            apart = found["differences"][engine]
            line += (
                f"; probabilities differ by {apart['probability']:.1e},"
                f" {100 * apart['labels']:.3f} % of the labels"
            )
        print(line)
    times = found["levels"]["times"]
    deepest = statistics.median(times[max(times)]["cpu"])
    for level, share in zip(times, found["levels"]["operations"], strict=True):
        middle = statistics.median(times[level]["cpu"])
        print(
            f"    level {level} alone: {100 * middle / deepest:.0f} % of the time,"
            f" {100 * share:.0f} % of the operations"
        )


def main() -> None:
    """Measure the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--json", type=Path, help="keep and reuse the figures here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}")
    kept: dict[str, Any] = {}
    if args.json and args.json.exists():
        kept = json.loads(args.json.read_text())
    for name in args.only:
        case = CASES[name]
        size = case.quick if args.quick else case.size
        key = f"{name} {size} {args.threads}"
        if key not in kept:
            kept[key] = measure(case, size, args.rounds)
            if args.json:
                args.json.write_text(json.dumps(kept, indent=1))
        tell(name, size, kept[key])


if __name__ == "__main__":
    main()
