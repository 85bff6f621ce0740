"""Which library reads and writes the shards of results: zarr-python or TensorStore?

    python benchmarks/zarr_or_tensorstore.py [--rounds 9] [--folder DIR]

Writes and reads the shard of one tile as a job does (probabilities of a blob image in
uint8, 2-D 1024 x 1024 in chunks of 256 x 256, 3-D 128^3 in chunks of 64^3), by both
libraries in turn, round after round, with the codecs in question. Shown are medians in
milliseconds, the size, and the share of the time that the bundled network's kind takes
for a tile on this machine. Each library must read what the other has written.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorstore as ts
import torch
import zarr
from scipy import ndimage
from zarr.codecs import BloscCodec, ZstdCodec

from napari_unetpp.io import bundled_models, load_model_file

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "2-D 1024^2": ((1024, 1024), (256, 256)),
    "3-D 128^3": ((128, 128, 128), (64, 64, 64)),
}
CODECS: dict[str, tuple[Any, dict[str, Any]]] = {
    "zstd 1": (ZstdCodec(level=1), {"name": "zstd", "configuration": {"level": 1}}),
    "blosc zstd 1": (
        BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=1),
        {
            "name": "blosc",
            "configuration": {
                "cname": "zstd",
                "clevel": 1,
                "shuffle": "shuffle",
                "typesize": 1,
                "blocksize": 0,
            },
        },
    ),
    "blosc lz4 1": (
        BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", typesize=1),
        {
            "name": "blosc",
            "configuration": {
                "cname": "lz4",
                "clevel": 1,
                "shuffle": "shuffle",
                "typesize": 1,
                "blocksize": 0,
            },
        },
    ),
}


def probabilities(shape: tuple[int, ...]) -> np.ndarray:
    """Return a map as a network makes it: sure of most pixels, soft at borders."""
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    smooth = ndimage.gaussian_filter(noise, 6)
    grain = 0.02 * np.random.default_rng(1).standard_normal(shape, np.float32)
    sure = 1 / (1 + np.exp(-12 * (smooth / smooth.std() - 0.5) + grain))
    return np.rint(255 * sure).astype(np.uint8)


def open_zarr(path: Path, shard: Any, chunk: Any, codec: Any) -> Any:
    return zarr.create_array(
        path,
        shape=shard,
        shards=shard,
        chunks=chunk,
        dtype="uint8",
        compressors=codec,
        fill_value=0,
        overwrite=True,
    )


def open_tensorstore(path: Path, shard: Any, chunk: Any, codec: Any) -> Any:
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(chunk),
            "codecs": [{"name": "bytes"}, codec],
            "index_codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "crc32c"},
            ],
        },
    }
    regular = {"name": "regular", "configuration": {"chunk_shape": list(shard)}}
    return ts.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(path), "file_io_sync": False},
            "metadata": {
                "shape": list(shard),
                "chunk_grid": regular,
                "data_type": "uint8",
                "fill_value": 0,
                "codecs": [sharding],
            },
            "create": True,
            "delete_existing": True,
            "recheck_cached_data": True,
        }
    ).result()


def milliseconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def measure(folder: Path, case: str, codec: str, rounds: int) -> dict[str, list[float]]:
    """Return the times of each library and action, and what was stored."""
    shard, chunk = CASES[case]
    for_zarr, for_tensorstore = CODECS[codec]
    pixels = probabilities(shard)
    by_zarr = open_zarr(folder / "zarr", shard, chunk, for_zarr)
    by_ts = open_tensorstore(folder / "ts", shard, chunk, for_tensorstore)
    part = (slice(0, chunk[0]), *(slice(0, size) for size in chunk[1:]))

    def write_zarr() -> None:
        by_zarr[...] = pixels

    actions = {
        "zarr write": write_zarr,
        "ts write": lambda: by_ts.write(pixels).result(),
        "zarr read": lambda: by_zarr[...],
        "ts read": lambda: by_ts.read().result(),
        "zarr chunk": lambda: by_zarr[part],
        "ts chunk": lambda: by_ts[part].read().result(),
    }
    times: dict[str, list[float]] = {name: [] for name in actions}
    for at in range(rounds + 1):  # the first warms up
        for name, action in actions.items():
            spent = milliseconds(action)
            if at:
                times[name].append(spent)
    spec = {"driver": "zarr3", "kvstore": f"file://{folder / 'zarr'}"}
    np.testing.assert_array_equal(ts.open(spec).result().read().result(), pixels)
    np.testing.assert_array_equal(zarr.open_array(folder / "ts", mode="r")[...], pixels)
    files = (p for p in (folder / "zarr").rglob("*") if p.is_file())
    size = sum(path.stat().st_size for path in files)
    return {**times, "KiB": [size / 1024]}


def network_milliseconds() -> float:
    """Return what the bundled network takes for a 2-D tile with a core of 1024."""
    name = next(iter(bundled_models().values()))
    model = load_model_file(name)
    network = model.network.eval()
    tile = torch.zeros(1, 1, 1280, 1280)
    with torch.inference_mode():
        return milliseconds(lambda: network(tile))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    columns = ("zarr write", "ts write", "zarr read", "ts read", "zarr chunk")
    columns += ("ts chunk", "KiB")
    print(f"{'':24}", *(f"{name:>10}" for name in columns))
    slowest = 0.0
    for case in CASES:
        for codec in CODECS:
            with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
                times = measure(Path(scratch), case, codec, options.rounds)
            medians = {
                name: statistics.median(values) for name, values in times.items()
            }
            shown = (f"{medians[name]:10.2f}" for name in columns)
            print(f"{case + ', ' + codec:24}", *shown)
            if case.startswith("2-D"):
                slowest = max(slowest, medians["zarr write"])
    tile = network_milliseconds()
    print(f"network, tile with a core of 1024^2: {tile:.0f} ms on the CPU")
    print(f"the slowest write by zarr-python is {slowest / tile:.2%} of it")


if __name__ == "__main__":
    main()
