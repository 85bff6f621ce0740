"""How quick the viewer stays while it trains, previews and is painted in.

A timer of 10 ms ticks in the GUI thread; a gap is the time between two ticks. The same
viewer is measured idle first. While the network learns, a stroke is painted and the
camera is moved every few seconds. Then Stop is pressed, and the steps that still come
are counted. Aims: 95th percentile under 100 ms, longest gap under 300 ms, at most two
steps after Stop.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/train_heartbeat.py

At the end a second viewer is closed in the middle of a training, in a process of its
own: nothing may be on its standard error, it must end by itself, and its checkpoint
must be gone on with by another process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _heartbeat import Heartbeat, wait_until  # isort: skip - before napari

import napari
import numpy as np

from napari_unetpp.io._synthetic import nuclei_stack

IDLE_SECONDS = 10
PANEL = ("napari-unetpp", "UNet++: train")
DISTURB_SECONDS = 4.0


def open_panel(folder: Path, edge: int):
    """Return a viewer with an image, some strokes on it, and the panel over them."""
    viewer = napari.Viewer()
    viewer.window.resize(1300, 850)
    plane = nuclei_stack((1, 512, 512), n_nuclei=160).data[0]
    repeats = -(-edge // 512)
    image = viewer.add_image(
        np.tile(plane, (repeats, repeats))[:edge, :edge],
        name="nuclei",
        contrast_limits=(0, 3000),
    )
    labels = viewer.add_labels(np.zeros((edge, edge), np.uint8), name="strokes")
    for k in range(12):
        paint(labels, np.random.default_rng(k))
    _, panel = viewer.window.add_plugin_dock_widget(*PANEL)
    panel.form.name.folder = folder
    panel.form.name.choose("heartbeat")
    panel.form.pairs.choose([((image,), labels)])
    panel.form.labels.choose("classes", 0)
    panel.form.budget.choose("minutes", 60)
    return viewer, panel, labels


def paint(labels, places: np.random.Generator) -> None:
    """Paint a stroke of nuclei (2) or ground (1), as the image says, in one go."""
    image = np.asarray(napari.current_viewer().layers["nuclei"].data)
    row = int(places.integers(image.shape[0]))
    first = int(places.integers(image.shape[1] - 120))
    columns = np.arange(first, first + 120)
    value = np.where(image[row, columns] > image.mean() + image.std(), 2, 1).astype(
        labels.data.dtype
    )
    labels.data_setitem((np.full(120, row), columns), value)


class Disturbance:
    """A user who paints and moves the camera while the network learns."""

    def __init__(self, viewer, labels) -> None:
        self._viewer, self._labels = viewer, labels
        self._places = np.random.default_rng(1)
        self._last = time.monotonic()

    def __call__(self) -> bool:
        """Do something every few seconds; never true, so it can be waited for."""
        if time.monotonic() - self._last > DISTURB_SECONDS:
            self._last = time.monotonic()
            paint(self._labels, self._places)
            camera = self._viewer.scene.camera
            edge = self._labels.data.shape[0]
            camera.zoom = self._viewer.canvas.size[-1] / (0.5 * edge)
            camera.center = (0, *self._places.uniform(0.25, 0.75, 2) * edge)
        return False


class Listener:
    """Counts what a training tells."""

    def __init__(self, panel) -> None:
        self.kinds: dict[str, int] = {}
        self.first: dict[str, float] = {}
        self._began = time.monotonic()
        panel._worker.yielded.connect(self._hear)

    def _hear(self, sent) -> None:
        kind = getattr(sent.event, "kind", type(sent.event).__name__)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.first.setdefault(kind, round(time.monotonic() - self._began, 1))


def show(**values: object) -> None:
    """Print one line of JSON."""
    print(json.dumps(values), flush=True)


def measure(folder: Path, edge: int, seconds: float) -> None:
    """Measure a viewer that trains, and how soon Stop is heard."""
    viewer, panel, labels = open_panel(folder, edge)
    heartbeat = Heartbeat()
    heartbeat.measure(lambda: panel.bar.train_button.isEnabled(), 60)
    show(state="idle", **heartbeat.measure(lambda: False, IDLE_SECONDS))
    panel.train()
    listener = Listener(panel)
    begun = heartbeat.measure(
        lambda: listener.kinds.keys() & {"StepDone", "Failed"}, 120
    )
    if "Failed" in listener.kinds:
        raise SystemExit(panel.bar.progress.text.text())
    show(state="until the first step", **begun)
    disturbance = Disturbance(viewer, labels)
    show(state="training", **heartbeat.measure(disturbance, seconds))
    show(state="told", events=listener.kinds, first_after_s=listener.first)
    before, pressed = listener.kinds["StepDone"], time.monotonic()
    panel.stop()
    wait_until(lambda: not panel.is_running, 120)
    show(
        state="stop",
        steps_after=listener.kinds["StepDone"] - before,
        seconds=round(time.monotonic() - pressed, 2),
        result=panel.bar.progress.text.text(),
    )
    viewer.close()


def await_event(panel, listener: Listener, kind: str) -> None:
    """Wait for an event of a training; end with what the panel says if none comes."""
    wait_until(lambda: kind in listener.kinds or not panel.is_running, 120)
    if kind not in listener.kinds:
        raise SystemExit(f"no {kind}: {panel.bar.progress.text.text()}")


def close_in_mid_training(folder: Path, edge: int) -> None:
    """Train, close the viewer after an epoch, and see whether a thread stays."""
    viewer, panel, _ = open_panel(folder, edge)
    wait_until(lambda: panel.bar.train_button.isEnabled(), 60)
    panel.form.advanced.training.fields["steps_per_epoch"].setValue(5)
    panel.train()
    await_event(panel, Listener(panel), "CheckpointSaved")
    wait_until(lambda: False, 1)
    viewer.close()


def check_close(edge: int) -> None:
    """Close a viewer in mid-training in another process, and look at what is left."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, __file__, "--close-in", place, "--edge", str(edge)]
        closed = subprocess.run(command, capture_output=True, text=True, timeout=600)
        left = sorted(path.name for path in Path(place).iterdir())
        goes_on = subprocess.run(
            [*command, "--resume"], capture_output=True, text=True, timeout=600
        )
    show(
        state="closed in mid-training",
        exit_code=closed.returncode,
        stderr=closed.stderr,
        left=left,
        resumed=goes_on.stdout.strip(),
        resumed_stderr=goes_on.stderr,
    )


def resume(folder: Path, edge: int) -> None:
    """Go on with what `close_in_mid_training` left."""
    viewer, panel, _ = open_panel(folder, edge)
    wait_until(lambda: panel.bar.resume_button.isEnabled(), 60)
    panel.resume()
    wait_until(lambda: panel.is_running, 30)
    await_event(panel, Listener(panel), "EpochDone")
    panel.stop()
    wait_until(lambda: not panel.is_running, 120)
    print(panel.bar.progress.text.text())
    viewer.close()


def main() -> None:
    """Measure and print one line of JSON for each state of the viewer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edge", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--close-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.close_in is None:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), arguments.edge, arguments.seconds)
        check_close(arguments.edge)
    elif arguments.resume:
        resume(arguments.close_in, arguments.edge)
    else:
        close_in_mid_training(arguments.close_in, arguments.edge)


if __name__ == "__main__":
    main()
