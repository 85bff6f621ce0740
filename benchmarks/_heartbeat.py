"""A timer that ticks in the GUI thread, and waiting as a viewer waits.

Importing it gives napari settings of its own, so that a benchmark does not touch the
user's; so it comes before napari.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault(
    "NAPARI_CONFIG", str(Path(tempfile.mkdtemp(prefix="heartbeat-")) / "napari.yaml")
)

import numpy as np
from qtpy.QtCore import QEventLoop, QTimer

TICK_MS = 10


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
