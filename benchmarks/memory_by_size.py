"""Does memory grow with the image? Peak memory of a run on 1 GiB and on 32 GiB.

    python benchmarks/memory_by_size.py [--gib 1 32] [--memory 2GB] [-- OPTIONS]

Writes zarr images of 8-bit pixels, dark but for some blocks of blobs (what is dark
takes no room on the disk), segments each with the command that a user types, and prints
the highest memory (RSS) of the process, also above that of a program that has imported
what the command imports and no more. What stands after `--` goes to `segment`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr

from big_image_memory import blobs

BLOCK = 1024
N_BLOCKS = 6
IMPORTS = (
    "import torch, zarr, dask.array, scipy.ndimage, skimage.segmentation, imagecodecs,"
    " tifffile, napari_unetpp.cli._app, napari_unetpp.api"
)


def write_image(path: Path, gib: int) -> tuple[int, int]:
    """Write an image of so many GiB; return its shape."""
    edge = 2**15
    shape = (edge * gib, edge) if gib < 4 else (edge * gib // 8, edge * 8)
    image = zarr.create_array(
        path, shape=shape, chunks=(BLOCK, BLOCK), dtype="uint8", fill_value=12
    )
    rng = np.random.default_rng(0)
    places = rng.choice((shape[0] // BLOCK) * (shape[1] // BLOCK), N_BLOCKS, False)
    for place in places:
        y, x = (int(at) * BLOCK for at in divmod(place, shape[1] // BLOCK))
        pixels = blobs(np.random.default_rng(place), (BLOCK, BLOCK)) // 32
        image[y : y + BLOCK, x : x + BLOCK] = np.clip(pixels, 12, 255)
    return shape


def peak_of(command: list[str]) -> tuple[int, int]:
    """Run a command; return its exit code and its highest memory in bytes."""
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024


def main() -> None:
    """Print the memory of each run; exit with 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("options", nargs="*")
    given = parser.parse_args()
    _, imports = peak_of([sys.executable, "-c", IMPORTS])
    print(f"imports alone: {imports / 2**20:.0f} MiB", flush=True)
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        for gib in given.gib:
            image = Path(name) / f"image-{gib}.zarr"
            shape = write_image(image, gib)
            start = time.perf_counter()
            code, peak = peak_of(
                [
                    str(Path(sys.executable).with_name("napari-unetpp")),
                    *("segment", str(image), "-o", f"{name}/{gib}"),
                    *("--format", "zarr", "--memory", given.memory, *given.options),
                ]
            )
            if code:
                sys.exit(f"the run on {gib} GiB ended with {code}")
            peaks.append(peak)
            print(
                f"{gib} GiB ({shape[0]} x {shape[1]}): peak {peak / 2**20:.0f} MiB,"
                f" {(peak - imports) / 2**20:.0f} MiB above the imports,"
                f" {time.perf_counter() - start:.0f} s",
                flush=True,
            )
    print(f"highest over lowest: {max(peaks) / min(peaks):.3f}")


if __name__ == "__main__":
    main()
