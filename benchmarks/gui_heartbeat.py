"""How quick the viewer stays while a whole-stack run goes on and layers fill.

A timer of 10 ms ticks in the GUI thread; a gap is the time between two ticks. The same
viewer is measured idle first. Aims: 95th percentile under 100 ms, longest under 300 ms.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/gui_heartbeat.py
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault(
    "NAPARI_CONFIG", str(Path(tempfile.mkdtemp(prefix="heartbeat-")) / "napari.yaml")
)

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer

from napari_unetpp.io._synthetic import nuclei_stack

TICK_MS = 10
IDLE_SECONDS = 10


class Heartbeat:
    """A timer in the GUI thread that remembers when it ticked."""

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self._timer = QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def _tick(self) -> None:
        self.ticks.append(time.perf_counter())

    def measure(self, until, seconds: float) -> dict[str, float]:
        """Let the GUI run until something is true, or for some seconds."""
        self.ticks = [time.perf_counter()]
        self._timer.start()
        wait_until(until, seconds)
        self._timer.stop()
        gaps = 1e3 * np.diff(self.ticks)
        return {
            "median_ms": round(float(np.median(gaps)), 1),
            "p95_ms": round(float(np.percentile(gaps, 95)), 1),
            "longest_ms": round(float(gaps.max()), 1),
            "over_100_ms": int((gaps > 100).sum()),
            "n": len(gaps),
            "seconds": round(self.ticks[-1] - self.ticks[0], 1),
        }


def wait_until(condition, seconds: float) -> None:
    """Run Qt's event loop as a viewer does, until a condition holds."""
    loop = QEventLoop()
    check = QTimer()
    end = time.monotonic() + seconds
    check.timeout.connect(
        lambda: loop.quit() if condition() or time.monotonic() > end else None
    )
    check.start(50)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()


def make_image(planes: int, edge: int) -> np.ndarray:
    """Return a stack of nuclei, one generated piece repeated."""
    piece = nuclei_stack((planes, 256, 256), n_nuclei=20 * planes).data
    repeats = -(-edge // 256)
    return np.tile(piece, (1, repeats, repeats))[:, :edge, :edge]


def main() -> None:
    """Measure and print one line of JSON for each state of the viewer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=1)
    parser.add_argument("--edge", type=int, default=2048)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--model", default="nuclei")
    arguments = parser.parse_args()
    viewer = napari.Viewer()
    opened = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")
    print(json.dumps({"panel_opened_s": round(time.perf_counter() - opened, 2)}))
    viewer.add_image(make_image(arguments.planes, arguments.edge), name="nuclei")
    heartbeat = Heartbeat()
    panel.form.models.choose(arguments.model)
    described = heartbeat.measure(lambda: panel.form.model_text.text(), 60)
    print(json.dumps({"state": "torch is imported", **described}))
    panel.form.advanced.fields["tile"].setValue(arguments.tile)
    idle = heartbeat.measure(lambda: False, IDLE_SECONDS)
    print(json.dumps({"state": "idle", **idle}))
    panel.segment_whole()
    run = heartbeat.measure(lambda: not panel.is_busy, 3600)
    print(json.dumps({"state": "run", **run, "result": panel.run_bar.text.text()}))
    viewer.close()


if __name__ == "__main__":
    main()
