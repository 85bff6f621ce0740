"""A stack trained in 3-D in the viewer, and shown in 3-D with its previews.

    xvfb-run -a -s "-screen 0 1400x900x24" \
        python benchmarks/train_stack.py plant_nuclei3d --minutes 10 --picture 3d.png

FOLDER holds ``images/NAME.tif`` and ``labels/NAME.tif`` (ZYX, objects numbered) and a
``manifest.json`` with the size of a voxel. The last fifth or some blocks are held out
by the training itself; the score is what the panel shows for them. The new model then
segments the stack in the Segment panel, and the picture shows its objects in 3-D.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from _heartbeat import wait_until  # isort: skip - before napari

import napari
import tifffile


def open_stack(folder: Path, viewer):
    """Add the first stack of a folder and its labels to a viewer."""
    item = json.loads((folder / "manifest.json").read_text())["items"][0]
    options = {
        "scale": item.get("voxel_size_um_zyx", (1, 1, 1)),
        "units": "um",
        "axis_labels": ("Z", "Y", "X"),
    }
    files = item["files"]
    image = viewer.add_image(
        tifffile.imread(folder / files["image"]["path"]), name=item["name"], **options
    )
    labels = viewer.add_labels(
        tifffile.imread(folder / files["label"]["path"]), name="objects", **options
    )
    return image, labels


def main() -> None:
    """Train, segment, take a picture, and print what the panel says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--size", default="small", choices=["small", "base", "paper"])
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    viewer = napari.Viewer()
    viewer.window.resize(1350, 860)
    image, labels = open_stack(arguments.folder, viewer)
    with tempfile.TemporaryDirectory() as models:
        _, panel = viewer.window.add_plugin_dock_widget(
            "napari-unetpp", "UNet++: train"
        )
        panel.form.name.folder = Path(models)
        panel.form.name.choose("stack")
        panel.form.pairs.choose([((image,), labels)])
        sizes = panel.form.network.sizes
        sizes.setCurrentIndex(sizes.findData(arguments.size))
        panel.form.budget.choose("minutes", arguments.minutes)
        wait_until(lambda: panel.bar.train_button.isEnabled(), 60)
        viewer.dims.ndisplay = 3
        panel.train()
        wait_until(lambda: not panel.is_running, 60 * arguments.minutes + 300)
        print(panel.bar.progress.text.text(), flush=True)
        panel.segment()
        segment = segment_panel(viewer)
        wait_until(lambda: segment.whole_button.isEnabled(), 60)
        segment.segment_whole()
        wait_until(lambda: not segment.is_busy, 1200)
        print(segment.run_bar.text.text(), flush=True)
        labels.visible = False
        wait_until(lambda: False, 2)
        if arguments.picture:
            viewer.window.screenshot(str(arguments.picture), canvas_only=False)
        viewer.close()


def segment_panel(viewer):
    """Return the Segment panel that is open."""
    from napari_unetpp._qt._segment_widget import SegmentWidget

    return next(
        widget
        for widget in viewer.window.dock_widgets.values()
        if isinstance(widget, SegmentWidget)
    )


if __name__ == "__main__":
    main()
