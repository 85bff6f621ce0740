"""Whole runs on a processor: rows that flow from tile to tile, against tiles alone.

    python benchmarks/streaming_runs.py [--quick] [--rounds 5] [--threads 1] \\
        [--sizes 1024 2048 4096 8192 16384] [--only roads heights scaling] \\
        [--precision float32] [--out FILE]

Every measurement is a process of its own that reads an image of noise (uint16 zarr,
chunks of 512 x 512 or 32 x 128 x 128), runs a network of random weights over it and
writes the mean of the heads into a zarr (`predict_image` with a folder). Measurements
take turns, round after round, and each is added to FILE as it ends: the same command
goes on where the last one stopped. Shown are medians with the least and the most.

roads    the same image by streams and by tiles of 512 (3-D: 64): CPU seconds, wall
         seconds, pixels computed over pixels in the image, share of the time outside of
         the network, peak memory above the loaded program, and what was planned.
heights  peak memory of images of one width and growing height: it must not grow.
scaling  time against the size of the image, with a straight line fitted to it.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

QUARTER = (8, 16, 32, 64, 128)
_STATUS = Path("/proc/self/status")
_BAND = 512


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes
    ----------
    group : str
        "roads", "heights" or "scaling".
    shape : tuple of int
        Of the image.
    road : str
        "streams" or "tiles".
    widths : tuple of int
        Of the network.
    precision : str
        "float32" or "bfloat16".
    threads : int
        Of torch.
    """

    group: str
    shape: tuple[int, ...]
    road: str = "streams"
    widths: tuple[int, ...] = QUARTER
    precision: str = "float32"
    threads: int = 1

    @property
    def name(self) -> str:
        """What the table says."""
        size = " x ".join(map(str, self.shape))
        return f"{self.group}: {size}, {self.road}, {self.threads} threads"


def cases_of(args: argparse.Namespace) -> list[Case]:
    """Return what is to be measured."""
    how: dict[str, Any] = {"precision": args.precision, "threads": args.threads}
    flat = [(size, size) for size in args.sizes]
    stack = (32, 128, 128) if args.quick else (64, 256, 256)
    found = [
        Case("roads", shape, road, **how)
        for shape in ((min(args.sizes[-1], 4096),) * 2, stack)
        for road in ("streams", "tiles")
    ]
    width = args.sizes[-1] if args.quick else 4096
    found += [Case("heights", (n * width, width), **how) for n in (1, 2, 4)]
    found += [Case("scaling", shape, **how) for shape in flat]
    return [case for case in found if case.group in args.only]


def write_image(path: Path, shape: tuple[int, ...]) -> None:
    """Write noise, some rows at a time, unless it is there."""
    import zarr

    if path.exists():
        return
    chunk = (512, 512) if len(shape) == 2 else (32, 128, 128)
    part = path.with_suffix(".part")
    image = zarr.create_array(
        part, shape=shape, dtype="uint16", chunks=tuple(map(min, chunk, shape))
    )
    for start in range(0, shape[0], _BAND):
        rows = min(_BAND, shape[0] - start)
        rng = np.random.default_rng(start)
        image[start : start + rows] = rng.integers(0, 4000, (rows, *shape[1:]))
    part.rename(path)


def measure(case: Case, image_path: str) -> dict[str, float]:
    """Run one case in this process."""
    import torch

    from napari_unetpp.config import (
        INSTANCE_CLASSES,
        ModelConfig,
        NetworkConfig,
        PredictionConfig,
    )
    from napari_unetpp.inference import TileDone, _grid_prediction, predict_image
    from napari_unetpp.inference._plan import make_plan
    from napari_unetpp.io import read_image
    from napari_unetpp.nn import Model

    torch.set_num_threads(case.threads)
    torch.manual_seed(0)
    network = NetworkConfig(
        spatial_dims=len(case.shape), out_channels=3, widths=case.widths
    )
    model = Model.new(
        ModelConfig(
            name="random",
            network=network,
            task="instances",
            class_names=INSTANCE_CLASSES,
            class_values=(0, 1, 2),
            channels="grey",
        )
    )
    settings = PredictionConfig(device="cpu", precision=case.precision)
    if case.road == "tiles":
        edge = 512 if len(case.shape) == 2 else 64
        settings = settings.model_copy(update={"tile": edge})
        # The same run and network, but every tile on its own.
        _grid_prediction.make_plan = lambda *args, **kwargs: replace(
            make_plan(*args, **kwargs), streams=False
        )
    image = read_image(image_path)
    before = _memory("VmRSS")
    with tempfile.TemporaryDirectory() as folder:
        start, busy = time.perf_counter(), time.process_time()
        run = predict_image(
            image, model, settings, "run", folder=Path(folder), keep_heads=False
        )
        planned, last = 0, None
        for event in run:
            planned = max(planned, getattr(event, "memory", 0))
            last = event if isinstance(event, TileDone) else last
        busy = time.process_time() - busy
        wall = time.perf_counter() - start
    return {
        "cpu": busy,
        "wall": wall,
        "network": last.network_seconds,
        "pixels": last.network_pixels / math.prod(case.shape),
        "peak": (_memory("VmHWM") - before) / 2**20,
        "planned": planned / 2**20,
    }


def _memory(which: str) -> int:
    """Return what the system tells of this process, in bytes."""
    rows = _STATUS.read_text().splitlines()
    return 1024 * next(int(row.split()[1]) for row in rows if row.startswith(which))


def gather(cases: list[Case], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Do the measurements that are missing, each in a process of its own."""
    out = Path(args.out)
    lines = out.read_text().splitlines() if out.exists() else []
    found = [json.loads(line) for line in lines]
    folder = Path(args.folder or tempfile.gettempdir())
    for round_ in range(args.rounds):
        for case in cases:
            key = {"case": asdict(case), "round": round_}
            key = json.loads(json.dumps(key))
            if any(key.items() <= row.items() for row in found):
                continue
            path = folder / f"noise-{'x'.join(map(str, case.shape))}.zarr"
            write_image(path, case.shape)
            command = [sys.executable, __file__, "--one", json.dumps(asdict(case))]
            done = subprocess.run(
                [*command, "--image", str(path)], stdout=subprocess.PIPE, check=True
            )
            row = key | json.loads(done.stdout)
            found.append(row)
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            shown = ", ".join(f"{k} {row[k]:.3g}" for k in UNITS)
            print(f"{case.name}, round {round_ + 1}: {shown}", flush=True)
    return found


UNITS = ("cpu", "wall", "network", "pixels", "peak", "planned")


def values_of(rows: list[dict[str, Any]], case: Case, what: str) -> list[float]:
    """Return what was measured of a case, round after round."""
    key = json.loads(json.dumps(asdict(case)))
    return [row[what] for row in rows if row["case"] == key]


def show(cases: list[Case], rows: list[dict[str, Any]]) -> None:
    """Print medians with the least and the most."""
    print(f"\nCPU: {_processor()}, torch threads as named; medians (least-most)\n")
    print(
        "| case | CPU s | wall s | pixels | outside the network | peak MiB | planned |"
    )
    print("|---|---|---|---|---|---|---|")
    for case in cases:
        of = {what: values_of(rows, case, what) for what in UNITS}
        pairs = zip(of["wall"], of["network"], strict=True)
        outside = [100 * (1 - network / wall) for wall, network in pairs]
        print(
            f"| {case.name} | {_spread(of['cpu'])} | {_spread(of['wall'])}"
            f" | {of['pixels'][0]:.3f} | {_spread(outside)} % | {_spread(of['peak'])}"
            f" | {of['planned'][0]:.0f} |"
        )
    _show_ratios(cases, rows)
    _show_line([case for case in cases if case.group == "scaling"], rows)


def _show_ratios(cases: list[Case], rows: list[dict[str, Any]]) -> None:
    """Print how much faster streams are than tiles, round by round."""
    for case in cases:
        if case.group == "roads" and case.road == "streams":
            ours = values_of(rows, case, "cpu")
            tiles = values_of(rows, replace(case, road="tiles"), "cpu")
            ratios = [b / a for a, b in zip(ours, tiles, strict=False)]
            print(f"\n{case.name}: {_spread(ratios)} times less CPU than tiles")


def _show_line(cases: list[Case], rows: list[dict[str, Any]]) -> None:
    """Fit a straight line to time against pixels, and print what it leaves."""
    if len(cases) < 3:
        return
    pixels = np.array([math.prod(case.shape) for case in cases]) / 1e6
    seconds = np.array([statistics.median(values_of(rows, c, "cpu")) for c in cases])
    slope, offset = np.polyfit(pixels, seconds, 1, w=1 / seconds)
    left = np.abs(offset + slope * pixels - seconds) / seconds
    print(
        f"\nscaling: {slope:.4f} CPU-s a million pixels + {offset:.2f} s;"
        f" largest residual {100 * left.max():.1f} % of the time"
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for row in info.read_text().splitlines():
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    """Measure what is missing, and show all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small images, one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16384]
    )
    groups = ["roads", "heights", "scaling"]
    parser.add_argument("--only", nargs="+", default=groups, choices=groups)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--folder", help="where the images are made")
    parser.add_argument("--out", default="streaming_runs.jsonl")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--image", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        given = json.loads(args.one)
        lists = {k: tuple(v) for k, v in given.items() if isinstance(v, list)}
        print(json.dumps(measure(Case(**(given | lists)), args.image)))
        return
    if args.quick:
        args.sizes, args.rounds = [256, 512, 1024], 1
    cases = cases_of(args)
    show(cases, gather(cases, args))


if __name__ == "__main__":
    main()
