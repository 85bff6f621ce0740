"""Do the objects depend on the tiles? Count and labels for several tile sizes.

    python benchmarks/tile_size_invariance.py DSB2018_FOLDER [--sizes 2048 8192]
    python benchmarks/tile_size_invariance.py --image STACK --model MODEL --tiles 32 ...

The first form makes mosaics of real images of nuclei; the second takes any image. Each
is segmented once for each tile size and once with little memory, which makes blocks of
labels smaller too. All label arrays are compared with those of the first tile size:
the number of objects, and the pixels that belong to another object.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import zarr

import napari_unetpp
from _mosaic import write_mosaic
from napari_unetpp.config import PredictionConfig

BLOCK = 2048


def labels_of(
    image: Path, model: str, settings: PredictionConfig, folder: Path
) -> tuple[zarr.Array, int, float]:
    """Return the labels of an image, their number and the seconds it took."""
    start = time.perf_counter()
    saved = napari_unetpp.segment_to(
        image, folder, model, settings, save=["labels"], form="zarr"
    )
    seconds = time.perf_counter() - start
    labels = zarr.open_array(saved.outputs["labels"] / "labels/labels/0", mode="r")
    return labels, int(saved.n_objects), seconds


def different_pixels(a: zarr.Array, b: zarr.Array, n_objects: int) -> int:
    """Return how many pixels belong to another object, whatever the ids are."""
    partner = np.full(n_objects + 1, -1, np.int64)  # of each id of a in b
    partner[0] = 0
    n = 0
    spans = [range(0, size, BLOCK) for size in a.shape]
    for place in product(*spans):
        index = tuple(slice(at, at + BLOCK) for at in place)
        first, second = a[index].ravel(), b[index].ravel()
        ids, where = np.unique(first, return_index=True)
        new = partner[ids] < 0
        partner[ids[new]] = second[where[new]]
        n += int((partner[first] != second).sum())
    return n


def compare(image: Path, model: str, ways: dict[str, PredictionConfig]) -> bool:
    """Print how the ways to segment an image differ; return whether none does."""
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        reference = None
        for name, settings in ways.items():
            place = Path(folder) / name.replace(" ", "-")
            labels, n, seconds = labels_of(image, model, settings, place)
            if reference is None:
                reference = labels, n
            differing = different_pixels(reference[0], labels, reference[1])
            same_ids = differing == 0 and n == reference[1]
            equal &= same_ids
            print(
                f"  {name:>14}: {n:6d} objects, {differing} of"
                f" {np.prod(labels.shape):,} pixels in another object, {seconds:.0f} s",
                flush=True,
            )
    return equal


def main() -> None:
    """Compare, and exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dsb2018", type=Path, nargs="?")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--image", type=Path)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--tiles", type=int, nargs="+", default=[256, 512, 1024, 2048])
    parser.add_argument("--level", type=int)
    parser.add_argument("--memory", default="1400 MB")
    given = parser.parse_args()
    shared = {"level": given.level, "device": "cpu"}
    ways = {
        f"tile {tile}": PredictionConfig(tile=tile, **shared) for tile in given.tiles
    }
    ways[given.memory] = PredictionConfig(memory=given.memory, **shared)
    equal = True
    with tempfile.TemporaryDirectory() as folder:
        images = [given.image] if given.image else []
        for size in given.sizes if given.dsb2018 else []:
            images.append(Path(folder) / f"mosaic-{size}.zarr")
            write_mosaic(given.dsb2018, images[-1], size)
        for image in images:
            print(f"{image.name}, level {given.level or 'all'}:", flush=True)
            equal &= compare(image, given.model, ways)
    print("PASSED" if equal else "FAILED")
    sys.exit(not equal)


if __name__ == "__main__":
    main()
