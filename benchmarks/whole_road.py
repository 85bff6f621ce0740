"""From zarr to zarr: what of a segmentation is not the network?

    python benchmarks/whole_road.py [--size 4096] [--model nuclei] [--rounds 3]
        [--precision float32 bfloat16] [--save labels mean heads uncertainty]
        [--mosaic FOLDER] [--quick]

A uint16 image of bright blobs (or, with --mosaic, the nuclei of a dsb2018 folder side
by side) is segmented into OME-Zarr by one thread of torch, so that processor seconds
can be told apart: those inside the network, and those of everything else, by what is
done meanwhile. Printed for each precision are the medians over the rounds, after one
round on a small part that loads what is loaded once.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
import zarr

import napari_unetpp
from _mosaic import write_mosaic
from big_image_memory import write_image
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import BlockDone
from napari_unetpp.inference._encode import JobSink
from napari_unetpp.inference._probability_stream import ProbabilityStream
from napari_unetpp.inference._reading import TileReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

TIMED = {
    "network": (ProbabilityStream, "push"),
    "reading": (TileReader, "_load"),
    "encoding": (JobSink, "encode"),
    "writing": (JobSink, "write"),
}
"""What is timed in whichever thread it happens."""


@dataclass
class Road:
    """Processor seconds of one run."""

    whole: float = 0.0
    wall: float = 0.0
    parts: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    n_objects: int | None = None

    @property
    def outside(self) -> float:
        """Seconds that the network has not taken."""
        return self.whole - self.parts["network"]


def timed(road: Road, name: str) -> AbstractContextManager[Any]:
    """Return the context in which a method adds up the time of its threads."""
    owner, method = TIMED[name]
    plain: Callable[..., Any] = getattr(owner, method)

    def call(*given: Any, **options: Any) -> Any:
        start = time.thread_time()
        try:
            return plain(*given, **options)
        finally:
            road.parts[name] += time.thread_time() - start

    return mock.patch.object(owner, method, call)


def walk(image: Any, given: argparse.Namespace, precision: str) -> Road:
    """Segment an image into a folder that goes again."""
    road = Road()
    settings = PredictionConfig(device="cpu", precision=precision, level=given.level)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        contexts = [timed(road, name) for name in TIMED]
        for context in contexts:
            context.__enter__()
        try:
            start, wall = time.process_time(), time.perf_counter()
            run = napari_unetpp.segmenting_to(
                image, folder, given.model, settings, save=given.save, form="zarr"
            )
            for stage, seconds in by_stage(run):
                road.stages[stage] += seconds
            road.whole = time.process_time() - start
            road.wall = time.perf_counter() - wall
        finally:
            for context in contexts:
                context.__exit__(None, None, None)
    return road


def by_stage(run: Any) -> Iterator[tuple[str, float]]:
    """Yield what each event ended, and the processor seconds since the one before."""
    last = time.process_time()
    for event in run:
        now = time.process_time()
        name = event.stage if isinstance(event, BlockDone) else type(event).__name__
        yield name, now - last
        last = now


def tell(precision: str, roads: list[Road], n_pixels: int) -> None:
    """Print the medians of some runs."""

    def middle(values: Iterator[float]) -> float:
        return statistics.median(values)

    whole = middle(road.whole for road in roads)
    outside = [road.outside / road.whole for road in roads]
    print(
        f"{precision}: {whole:.2f} s of a processor ({n_pixels / whole / 1e6:.2f}"
        f" Mpixel/s), {100 * statistics.median(outside):.1f} % outside the network"
        f" ({100 * min(outside):.1f} - {100 * max(outside):.1f})"
    )
    for name in TIMED:
        seconds = middle(road.parts[name] for road in roads)
        print(f"    {name:16} {seconds:7.2f} s  {100 * seconds / whole:5.1f} %")
    for name in roads[0].stages:
        if name not in ("TileDone", "Finished"):
            seconds = middle(road.stages[name] for road in roads)
            print(f"    {name:16} {seconds:7.2f} s  {100 * seconds / whole:5.1f} %")


def main() -> None:
    """Print the figures of each precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--level", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--save", nargs="+")
    parser.add_argument("--mosaic", type=Path, help="a folder with dsb2018")
    parser.add_argument("--folder", type=Path, help="a disk with room")
    parser.add_argument("--quick", action="store_true", help="small and short")
    given = parser.parse_args()
    if given.quick:
        given.size, given.rounds = 1024, 1
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        path = Path(name) / "image.zarr"
        if given.mosaic is None:
            write_image(path, given.size)
        else:
            write_mosaic(given.mosaic, path, given.size)
        print(
            f"{given.size} x {given.size}, {given.model}, one thread,"
            f" {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
        )
        small = zarr.open_array(path)[:512, :512]
        for precision in given.precision:
            walk(small, given, precision)
        roads: dict[str, list[Road]] = {precision: [] for precision in given.precision}
        for _ in range(given.rounds):
            for precision, found in roads.items():
                found.append(walk(path, given, precision))
        for precision, found in roads.items():
            tell(precision, found, given.size**2)


if __name__ == "__main__":
    main()
