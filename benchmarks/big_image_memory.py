"""Peak memory of `napari-unetpp segment` on a large image, and how fast Ctrl-C works.

    python benchmarks/big_image_memory.py [--size 16384] [--folder DIR] [-- OPTIONS]

Writes a generated uint16 zarr of size x size pixels, segments it with the command that
a user types, and samples the memory (RSS) of the process and its children meanwhile.
A second run is interrupted by SIGINT in the middle of its tiles; the time until it has
ended is given in seconds and in tiles. What stands after `--` goes to `segment`.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import zarr
from scipy import ndimage

BLOCK = 1024
COUNTER = re.compile(rb"(\d+)/(\d+)")
PREDICTED = 3  # tiles after which the run is interrupted


def write_image(path: Path, size: int) -> None:
    """Write size x size pixels of bright blobs on noisy ground, block by block."""
    image = zarr.create_array(
        path, shape=(size, size), chunks=(BLOCK, BLOCK), dtype="uint16"
    )
    for y in range(0, size, BLOCK):
        for x in range(0, size, BLOCK):
            shape = (min(BLOCK, size - y), min(BLOCK, size - x))
            rng = np.random.default_rng((y, x))
            image[y : y + shape[0], x : x + shape[1]] = blobs(rng, shape)


def blobs(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return about one blob of radius 12 for each 50 x 50 pixels."""
    points = np.zeros(shape, np.float32)
    n = shape[0] * shape[1] // 2500 + 1
    points[rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)] = 1
    smooth = ndimage.gaussian_filter(points, 8) * (2 * np.pi * 8**2)
    discs = 1 / (1 + np.exp(-20 * (smooth - 0.35)))
    signal_ = 300 + 4000 * discs * rng.uniform(0.7, 1.0)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.sqrt(signal_)
    return np.clip(signal_ + noise, 0, 65535).astype(np.uint16)


@dataclass
class Watched:
    """A running command: memory of its processes, and the counters of its bar."""

    process: subprocess.Popen
    bar: int
    started: float = field(default_factory=time.perf_counter)
    peak: int = 0
    peak_at: float = 0.0
    ticks: list[tuple[float, int, int]] = field(default_factory=list)
    shown: bytes = b""

    def __post_init__(self) -> None:
        self._threads = [
            threading.Thread(target=task, daemon=True)
            for task in (self._sample_memory, self._read_bar)
        ]
        for thread in self._threads:
            thread.start()

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def wait(self) -> int:
        code = self.process.wait()
        for thread in self._threads:
            thread.join(timeout=5)
        return code

    def _sample_memory(self) -> None:
        while self.process.poll() is None:
            rss = tree_memory(self.process.pid)
            if rss > self.peak:
                self.peak, self.peak_at = rss, self.seconds()
            time.sleep(0.05)

    def _read_bar(self) -> None:
        while True:
            try:
                text = os.read(self.bar, 65536)
            except OSError:  # the command has closed its end
                return
            if not text:
                return
            self.shown = (self.shown + text)[-4000:]
            for done, total in COUNTER.findall(text):
                tick = (self.seconds(), int(done), int(total))
                if not self.ticks or tick[1:] != self.ticks[-1][1:]:
                    self.ticks.append(tick)


def tree_memory(pid: int) -> int:
    """Return the RSS of a process and its children in bytes, 0 if it has ended."""
    total = 0
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def start(image: Path, output: Path, options: list[str]) -> Watched:
    """Start the command with its progress bar on a terminal that we read."""
    command = Path(sys.executable).with_name("napari-unetpp")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(command), "segment", str(image), "--output", str(output), *options],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160"},
    )
    os.close(theirs)
    return Watched(process, ours)


def measure_memory(image: Path, output: Path, options: list[str]) -> dict[str, object]:
    """Segment the image to the end; return peak memory and time."""
    run = start(image, output, options)
    code = run.wait()
    tiles = [tick for tick in run.ticks if tick[2] == run.ticks[0][2]]
    written = sum(f.stat().st_size for f in output.rglob("*") if f.is_file())
    result = {
        "exit_code": code,
        "peak_rss_gib": round(run.peak / 2**30, 3),
        "peak_at_seconds": round(run.peak_at, 1),
        "seconds": round(run.seconds(), 1),
        "n_tiles": tiles[-1][2] if tiles else None,
        "predicted_after_seconds": round(tiles[-1][0], 1) if tiles else None,
        "output_gib": round(written / 2**30, 3),
    }
    if code:
        sys.stderr.write(run.shown.decode(errors="replace"))
    return result


def measure_cancel(image: Path, output: Path, options: list[str]) -> dict[str, object]:
    """Interrupt the run in the middle of its tiles; return how long it goes on."""
    run = start(image, output, options)
    while run.process.poll() is None:
        if run.ticks and run.ticks[-1][1] >= PREDICTED:
            break
        time.sleep(0.01)
    before = list(run.ticks)
    sent = run.seconds()
    run.process.send_signal(signal.SIGINT)
    code = run.wait()
    seconds = run.seconds() - sent
    times = [tick[0] for tick in before if tick[1]]
    a_tile = statistics.median(np.diff(times)) if len(times) > 1 else float("nan")
    left = sorted(str(p.relative_to(output)) for p in output.glob("*"))
    return {
        "exit_code": code,
        "interrupted_after_tiles": before[-1][1] if before else None,
        "seconds_to_end": round(seconds, 2),
        "seconds_a_tile": round(a_tile, 2),
        "tiles_to_end": round(seconds / a_tile, 2),
        "left_behind": left,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=16384, help="edge in pixels")
    parser.add_argument("--folder", type=Path, help="where to work; kept if given")
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--skip-cancel", action="store_true")
    parser.add_argument("options", nargs="*", help="options of `segment`, after --")
    arguments = parser.parse_args()
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="big-image-"))
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"blobs-{arguments.size}.zarr"
    results: dict[str, object] = {"size": arguments.size, "options": arguments.options}
    try:
        if not image.exists():
            write_image(image, arguments.size)
        for name, measure, skip in (
            ("segment", measure_memory, arguments.skip_memory),
            ("cancel", measure_cancel, arguments.skip_cancel),
        ):
            if not skip:
                output = folder / f"output-{name}"
                shutil.rmtree(output, ignore_errors=True)
                results[name] = measure(image, output, arguments.options)
                print(json.dumps({name: results[name]}), flush=True)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
