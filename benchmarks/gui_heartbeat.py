"""How quick the viewer stays while a whole run goes on and its layers fill.

A timer of 10 ms ticks in the GUI thread; a gap is the time between two ticks. The same
viewer is measured idle first. Aims: 95th percentile under 100 ms, longest under 300 ms.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/gui_heartbeat.py

With ``--folder`` the results grow in files and the layers look into their pyramids.
With ``--jumps N`` the camera jumps N times; for each jump it is told how many of the
tiles that follow are in the new view, and after how long the first of them was there.

    ... gui_heartbeat.py --edge 16384 --folder /tmp/run --jumps 6 --seconds 400
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from _heartbeat import Heartbeat, wait_until  # isort: skip - before napari

import napari
import numpy as np
from qtpy.QtCore import QTimer

from napari_unetpp._napari import Progress, visible_view
from napari_unetpp.io._synthetic import nuclei_stack

IDLE_SECONDS = 10
ZOOMED_PIXELS = 1000
"""Edge of the view, in pixels of the image, after a jump."""


class Jumps:
    """A camera that jumps, and what the run does after each jump."""

    def __init__(self, viewer, panel, layer, n: int) -> None:
        self._viewer, self._panel, self._layer, self._n = viewer, panel, layer, n
        self._places = np.random.default_rng(0)
        self.told: list[dict[str, object]] = []
        self._boxes: list[tuple[float, tuple]] = []
        self._jumped = 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self._jump)

    def start(self, seconds: float) -> None:
        """Jump every few seconds, listening to the run of the panel."""
        self._panel._worker.yielded.connect(self._hear)
        self._timer.start(int(1000 * seconds / (self._n + 1)))

    def _hear(self, sent) -> None:
        if isinstance(sent.event, Progress) and sent.event.box is not None:
            self._boxes.append((time.perf_counter(), sent.event.box))

    def _jump(self) -> None:
        self._tell()
        if len(self.told) == self._n or not self._panel.is_running:
            self._timer.stop()
            return
        rows, columns = self._layer.data.shape[-2:]
        camera = self._viewer.scene.camera
        camera.zoom = self._viewer.canvas.size[-1] / ZOOMED_PIXELS
        camera.center = (0, *self._places.uniform(0.1, 0.9, 2) * (rows, columns))
        self._boxes, self._jumped = [], time.perf_counter()

    def _tell(self) -> None:
        if not self._jumped:
            return
        view = visible_view(
            self._viewer, self._layer, self._panel.form.source, 2
        ).region
        seen = [
            all(a < d and c < b for (a, b), (c, d) in zip(box[-2:], view, strict=True))
            for _, box in self._boxes
        ]
        first = seen.index(True) if any(seen) else None
        self.told.append(
            {
                "tiles_after_jump": len(seen),
                "of_them_in_view": sum(seen),
                "not_in_view_before_the_first": first,
                "first_after_s": None
                if first is None
                else round(self._boxes[first][0] - self._jumped, 2),
            }
        )


def make_image(planes: int, edge: int) -> np.ndarray:
    """Return a stack of nuclei, one generated piece repeated."""
    piece = nuclei_stack((planes, 256, 256), n_nuclei=20 * planes).data
    repeats = -(-edge // 256)
    return np.tile(piece, (1, repeats, repeats))[:, :edge, :edge]


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=1)
    parser.add_argument("--edge", type=int, default=2048)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--folder", type=Path, help="where results grow")
    parser.add_argument("--jumps", type=int, default=0)
    parser.add_argument(
        "--seconds", type=float, default=3600, help="stop the run after as long"
    )
    return parser.parse_args()


def main() -> None:
    """Measure and print one line of JSON for each state of the viewer."""
    arguments = parse()
    viewer = napari.Viewer()
    viewer.window.resize(1300, 850)
    opened = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")
    print(json.dumps({"panel_opened_s": round(time.perf_counter() - opened, 2)}))
    image = make_image(arguments.planes, arguments.edge)
    layer = viewer.add_image(image.squeeze(), name="nuclei", contrast_limits=(0, 3000))
    heartbeat = Heartbeat()
    panel.form.models.choose(arguments.model)
    described = heartbeat.measure(lambda: panel.form.model_text.text(), 60)
    print(json.dumps({"state": "torch is imported", **described}))
    panel.form.advanced.fields["tile"].setValue(arguments.tile)
    panel.form.folder_choice.choose(arguments.folder)
    idle = heartbeat.measure(lambda: False, IDLE_SECONDS)
    print(json.dumps({"state": "idle", **idle}))
    panel.segment_whole()
    jumps = Jumps(viewer, panel, layer, arguments.jumps)
    if arguments.jumps:
        jumps.start(arguments.seconds)
    run = heartbeat.measure(lambda: not panel.is_busy, arguments.seconds)
    progress = f"{panel.run_bar.bar.value()} of {panel.run_bar.bar.maximum()}"
    print(json.dumps({"state": "run", **run, "pieces": progress}))
    for jump in jumps.told:
        print(json.dumps({"state": "jump", **jump}))
    panel.cancel()
    wait_until(lambda: not panel.is_busy, 60)
    print(json.dumps({"state": "end", "result": panel.run_bar.text.text()}))
    viewer.close()


if __name__ == "__main__":
    main()
