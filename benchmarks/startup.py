"""How long does it take to begin? Imports, help, a first prediction, a first panel.

    python benchmarks/startup.py [--rounds 5] [--no-viewer] [--quick]

Every row is a fresh process, all of them in turn in each round. Printed are medians of
processor and wall seconds, and the wall time as a multiple of `python -c pass` and of
`import napari`. The panel is opened in a real viewer, which needs a display (or
`xvfb-run`); its time is counted from the request to the widget on the screen, without
the start of the viewer, which is the row above.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

FIRST = """
import numpy as np, napari_unetpp
napari_unetpp.segment(np.random.default_rng(0).random((256, 256), np.float32))
"""
VIEWER = """
import sys, time
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
for _ in range(5):
    QApplication.processEvents()
"""
PANEL = (
    VIEWER
    + """
wall, cpu = time.perf_counter(), time.process_time()
viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")
QApplication.processEvents()
print(time.perf_counter() - wall, time.process_time() - cpu)
sys.stdout.flush()
import os
os._exit(0)
"""
)
PYTHON = [sys.executable, "-c"]
COMMAND = shutil.which("napari-unetpp", path=os.path.dirname(sys.executable))
ROWS = {
    "python -c pass": [*PYTHON, "pass"],
    "import napari": [*PYTHON, "import napari"],
    "import torch": [*PYTHON, "import torch"],
    "import napari_unetpp": [*PYTHON, "import napari_unetpp"],
    "napari-unetpp --help": [COMMAND or "napari-unetpp", "--help"],
    "load a model": [*PYTHON, "import napari_unetpp as n; n.load_model('nuclei')"],
    "first prediction": [*PYTHON, FIRST],
}
VIEWERS = {
    "an empty viewer": [*PYTHON, VIEWER],
    "the panel, in it": [*PYTHON, PANEL],
}


def measured(command: list[str]) -> tuple[float, float]:
    """Run a command; return its wall and processor seconds, or those it tells."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if command[-1] == PANEL:
        told = found.stdout.split()
        return float(told[-2]), float(told[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-viewer", action="store_true")
    parser.add_argument("--quick", action="store_true", help="two rounds, no viewer")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.no_viewer = 2, True
    rows = ROWS if given.no_viewer else ROWS | VIEWERS
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(given.rounds):
        for name, command in rows.items():
            found[name].append(measured(command))
    wall = {n: statistics.median(w for w, _ in values) for n, values in found.items()}
    print(f"{'':22}{'wall':>8}{'cpu':>8}{'/ pass':>9}{'/ napari':>10}")
    for name, values in found.items():
        cpu = statistics.median(c for _, c in values)
        print(
            f"{name:22}{wall[name]:7.3f}s{cpu:7.3f}s"
            f"{wall[name] / wall['python -c pass']:9.1f}"
            f"{wall[name] / wall['import napari']:10.2f}"
        )


if __name__ == "__main__":
    main()
