"""Kill a training at random moments, go on each time: are the weights the same?

    python benchmarks/kill_training.py [--kills 10] [--epochs 6] [--seed 0]

A small network is trained on images made here, once without a stop. Then the same
command is started again and again, each time killed (SIGKILL) after a random time,
until it has been killed often enough and may end. After each kill the checkpoint must
be readable and hold every epoch but the last that the command has told of; the weights
at the end are compared bit by bit.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from safetensors.numpy import load_file

from napari_unetpp.training import read_checkpoint

COMMAND = (
    str(Path(sys.executable).with_name("napari-unetpp")),
    *("train", "--size", "small", "--device", "cpu"),
)


def write_pairs(folder: Path, n: int = 4, edge: int = 32) -> None:
    """Write images of discs and their labels."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for k in range(n):
        labels = np.zeros((edge, edge), np.uint16)
        grid = np.indices(labels.shape)
        for value in range(1, 7):
            y, x = rng.integers(4, edge - 4, 2)
            near = (grid[0] - y) ** 2 + (grid[1] - x) ** 2 < 16
            labels[near & (labels == 0)] = value
        image = 100 * (labels > 0) + rng.integers(0, 60, labels.shape)
        tifffile.imwrite(folder / "images" / f"{k}.tif", image.astype(np.uint8))
        tifffile.imwrite(folder / "labels" / f"{k}.tif", labels)


def start(folder: Path, output: Path, epochs: int, *more: str) -> subprocess.Popen:
    """Start the command that a user types; what it says goes into ``said.txt``."""
    command = [*COMMAND, "--images", str(folder / "images")]
    command += ["--labels", str(folder / "labels"), "--epochs", str(epochs)]
    return subprocess.Popen(
        [*command, "--output", str(output), *more],
        stdout=subprocess.DEVNULL,
        stderr=output.with_suffix(".txt").open("w"),
    )


def epochs_told(output: Path) -> int:
    """Return the last epoch that the command has told of."""
    said = output.with_suffix(".txt").read_text()
    return max(map(int, re.findall(r"^epoch (\d+):", said, re.MULTILINE)), default=0)


def epochs_kept(checkpoint: Path) -> int:
    """Return the epochs that a checkpoint holds; a damaged one raises an error."""
    return read_checkpoint(checkpoint).epoch if checkpoint.exists() else 0


class Killing:
    """A training that is killed again and again, and what it has lost by that."""

    def __init__(self, folder: Path, epochs: int, seconds: float, seed: int) -> None:
        self.folder, self.epochs, self.seconds = folder, epochs, seconds
        self.moments = random.Random(seed)
        self.killed, self.most_lost = 0, 0

    def go(self, output: Path, n_kills: int) -> int:
        """Kill `n_kills` times or until it ends; return its exit code."""
        checkpoint = output.with_name(f"{output.name}.checkpoint")
        kept = 0
        while self.killed < n_kills:
            process = start(self.folder, output, self.epochs, "--resume")
            time.sleep(self.moments.uniform(0.1, 1.0) * self.seconds)
            if process.poll() is not None:
                print(f"  ended with {process.returncode} before it was killed")
                return process.returncode
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.killed += 1
            told, before = max(epochs_told(output), kept), kept
            # A model that is there was written before: nothing is left to do.
            kept = self.epochs if output.exists() else epochs_kept(checkpoint)
            self.most_lost = max(self.most_lost, told - kept)
            print(
                f"  kill {self.killed}: went on from epoch {before}, told of {told},"
                f" kept {kept}",
                flush=True,
            )
            if output.exists():
                return 0
        return start(self.folder, output, self.epochs, "--resume").wait()


def same(a: Path, b: Path) -> bool:
    """Return whether two models have equal weights, bit by bit."""
    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(
        np.array_equal(value, second[name]) for name, value in first.items()
    )


def main() -> None:
    """Kill, go on, compare; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder)
        whole = folder / "whole.safetensors"
        begun = time.perf_counter()
        if start(folder, whole, given.epochs).wait():
            sys.exit(f"it failed\n{whole.with_suffix('.txt').read_text()}")
        seconds = time.perf_counter() - begun
        print(f"without a stop: {seconds:.1f} s, {given.epochs} epochs", flush=True)
        killing = Killing(folder, given.epochs, 0.5 * seconds, given.seed)
        equal, runs = True, 0
        while killing.killed < given.kills:
            output = folder / f"killed-{runs}.safetensors"
            if killing.go(output, given.kills):
                sys.exit(f"it failed\n{output.with_suffix('.txt').read_text()}")
            equal &= same(whole, output)
            runs += 1
        print(
            f"killed {killing.killed} times in {runs} trainings; at most"
            f" {killing.most_lost} whole epochs lost; weights equal: {equal}"
        )
        passed = equal and killing.most_lost <= 1
        print("PASSED" if passed else "FAILED")
        sys.exit(not passed)


if __name__ == "__main__":
    main()
