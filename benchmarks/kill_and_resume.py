"""Kill a run at random moments, go on each time: are the results the same?

    python benchmarks/kill_and_resume.py [--size 2048] [--kills 20] [--seed 0]

A generated image is segmented once without a stop. Then the same command is started
again and again, each time killed (SIGKILL) after a random time, until it has been
killed often enough and may end. The decoded arrays of both results are compared byte
for byte. From the ledger it is read before and after each start which tiles are done:
a tile that was marked must not be done again, those in flight may.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import zarr

from big_image_memory import write_image

COMMAND = (
    str(Path(sys.executable).with_name("napari-unetpp")),
    *("segment", "--tile", "256", "--level", "2", "--format", "zarr"),
)


def start(image: Path, folder: Path) -> subprocess.Popen:
    """Start the command that a user types."""
    return subprocess.Popen(
        [*COMMAND, str(image), "-o", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=(folder.parent / "said.txt").open("a"),
    )


def marks(job: Path) -> dict[tuple[str, int], int]:
    """Return what the ledger of a job that nobody runs holds: piece to row number."""
    path = job / "ledger.sqlite"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as ledger:
        rows = ledger.execute("SELECT stage, piece, rowid FROM pieces").fetchall()
    return {(stage, piece): row for stage, piece, row in rows}


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Return every array of a zarr folder, by its place."""
    members = zarr.open_group(path, mode="r").members(max_depth=None)
    return {name: node[:] for name, node in members if isinstance(node, zarr.Array)}


def kill_often(image: Path, folder: Path, n_kills: int, seconds: float, seed: int):
    """Run and kill until it was killed `n_kills` times; return how often work was lost.

    Later kills come later after the start, as less and less is left to do.
    """
    moments = random.Random(seed)
    job = folder / f"{image.stem}.job"
    redone, killed = 0, 0
    while killed < n_kills:
        before = marks(job)
        process = start(image, folder)
        time.sleep(moments.uniform(0.1, 1.0) * seconds)
        if process.poll() is not None:
            print(f"  ended with {process.returncode} before it was killed")
            return redone, killed
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        after = marks(job)
        if after:  # else the run was done, and has removed its ledger
            redone += sum(after.get(piece) != row for piece, row in before.items())
        stages = {}
        for stage, _ in after:
            stages[stage] = stages.get(stage, 0) + 1
        print(f"  kill {killed}: marked {stages or 'nothing yet'}", flush=True)
    return redone, killed


def main() -> None:
    """Kill, go on, compare; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        image = base / "blobs.zarr"
        write_image(image, given.size)
        begun = time.perf_counter()
        if start(image, base / "whole").wait():
            sys.exit("the run without a stop failed")
        seconds = time.perf_counter() - begun
        print(f"without a stop: {seconds:.1f} s")
        redone = killed = folders = 0
        equal = True
        reference = arrays(base / "whole" / "blobs.ome.zarr")
        while killed < given.kills:
            folder = base / f"killed-{folders}"
            lost, n = kill_often(
                image, folder, given.kills - killed, 0.6 * seconds, given.seed + folders
            )
            redone, killed, folders = redone + lost, killed + n, folders + 1
            if start(image, folder).wait() not in (0,):
                sys.exit(f"the last run failed\n{(base / 'said.txt').read_text()}")
            found = arrays(folder / "blobs.ome.zarr")
            same = found.keys() == reference.keys() and all(
                np.array_equal(array, reference[key]) for key, array in found.items()
            )
            equal &= same and not (folder / "blobs.job").exists()
        print(f"killed {killed} times in {folders} folders; arrays equal: {equal};")
        print(f"pieces that were marked and done again: {redone}")
        print("PASSED" if equal and not redone else "FAILED")
        sys.exit(not (equal and not redone))


if __name__ == "__main__":
    main()
