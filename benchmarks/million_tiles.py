"""What a run of a million tiles costs before, and besides, the network.

    python benchmarks/million_tiles.py [--tiles 1000000]

Builds the plan of an image of that many tiles (nothing of it is stored), the queue of
its tiles, and a ledger in which all are marked; closes the ledger, opens it again and
asks what is done. Printed are the seconds of each step and the growth of memory (RSS,
highest) over the program with all its imports. One mark on its own is timed too.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dask.array as da

from napari_unetpp import load_model
from napari_unetpp.arrays import Image, IntensityRange
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.io import Ledger
from napari_unetpp.tiling import Focus, TileQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

CORE = 256
PIECE = 2**16


def peak() -> int:
    """Return the highest memory (RSS) of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print how long a step takes."""
    start = time.perf_counter()
    yield
    print(f"  {what}: {time.perf_counter() - start:.2f} s", flush=True)


def main() -> None:
    """Print the seconds and the memory of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=1_000_000)
    n_tiles = parser.parse_args().tiles
    edge = math.isqrt(n_tiles) * CORE
    model = load_model("nuclei")
    before, start = peak(), time.perf_counter()
    with step(f"image of {edge} x {edge} pixels as a dask array"):
        image = Image(
            da.zeros((edge, edge), chunks=PIECE, dtype="uint8"),
            "YX",
            (1.0, 1.0),
            ("pixel", "pixel"),
        )
    with step("plan"):
        plan = make_plan(
            image,
            model,
            PredictionConfig(tile=CORE, device="cpu"),
            intensity=IntensityRange((0.0,), (255.0,), 1, True),
        )
    print(f"  {len(plan.grid):,} tiles")
    with step("queue, first tile"):
        queue = TileQueue(plan.grid, plan.tiles, Focus(((0, edge), (0, edge))))
        queue.pop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with step("ledger, all tiles marked"), Ledger.open(path) as ledger:
            n = len(plan.grid)
            ledger.mark_many("predict", ((index, b"\x07") for index in range(n)))
        with step("ledger opened again, what is done"), Ledger.open(path) as ledger:
            all_done = bool(ledger.done("predict", n).all())
        total = time.perf_counter() - start
        print(f"  all marked: {all_done}; ledger {path.stat().st_size / 1e6:.0f} MB")
        print(f"all steps: {total:.1f} s, {(peak() - before) / 1e6:.0f} MB more memory")
        with Ledger.open(path) as ledger:
            start = time.perf_counter()
            for index in range(1000):
                ledger.mark("single", index, b"\x07")
            print(f"one mark: {(time.perf_counter() - start):.3f} ms")


if __name__ == "__main__":
    main()
