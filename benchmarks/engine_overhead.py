"""How much of a run is not the network? Wall time over time inside the network.

    python benchmarks/engine_overhead.py [--size 8192] [--level N] [--workers 1 2]

A generated image is segmented into OME-Zarr on the CPU, as the command does. Printed
are the wall time of the tiles over the time inside the network, and the same for the
whole run, labels and files included. With --workers the tiles are also shared out to
so many processes of one thread each, and the rates (pixels a second) are compared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

import napari_unetpp
from big_image_memory import write_image
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import TileDone


@dataclass(frozen=True)
class Timed:
    """Seconds of a run: its tiles, all of it, and those inside the network."""

    tiles: float
    whole: float
    network: float
    first: float


def timed(image: Path, folder: Path, level: int | None, n_workers: int) -> Timed:
    """Segment an image and look at the clock."""
    start = time.perf_counter()
    run = napari_unetpp.segmenting_to(
        image,
        folder,
        settings=PredictionConfig(level=level, device="cpu"),
        form="zarr",
        workers=n_workers,
    )
    next(run)
    begun = time.perf_counter()
    first = last = begun
    network = 0.0
    for event in run:
        if isinstance(event, TileDone):
            last, network = time.perf_counter(), event.network_seconds
            first = first if event.n_done > 1 else last
    return Timed(last - begun, time.perf_counter() - start, network, first - begun)


def main() -> None:
    """Print the figures of each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--level", type=int)
    parser.add_argument("--workers", type=int, nargs="*", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        image = Path(name) / "blobs.zarr"
        write_image(image, given.size)
        if not given.workers:
            found = timed(image, Path(name) / "alone", given.level, 1)
            print(
                f"{given.size} x {given.size}, {torch.get_num_threads()} threads:"
                f" tiles {found.tiles:.1f} s, network {found.network:.1f} s, ratio"
                f" {found.tiles / found.network:.3f}; whole run {found.whole:.1f} s,"
                f" ratio {found.whole / found.network:.3f}"
            )
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)
        rates = {}
        for n in given.workers:
            found = timed(image, Path(name) / f"workers-{n}", given.level, n)
            rates[n] = given.size**2 / found.tiles
            print(
                f"{n} workers of one thread: {rates[n] / 1e3:.0f} kpixel/s,"
                f" {found.tiles:.1f} s, the first tile after {found.first:.1f} s,"
                f" {rates[n] / rates[given.workers[0]]:.2f} x {given.workers[0]}",
                flush=True,
            )


if __name__ == "__main__":
    main()
