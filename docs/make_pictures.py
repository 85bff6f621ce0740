"""Make the pictures of the docs and the README from the real viewer.

xvfb-run -a -s "-screen 0 1400x900x24" python docs/make_pictures.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault(
    "NAPARI_CONFIG", str(Path(tempfile.mkdtemp(prefix="pictures-")) / "napari.yaml")
)

import napari
import numpy as np
import tifffile
from PIL import Image
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_unetpp.io._synthetic import nuclei_stack

IMAGES = Path(__file__).parent / "images"
SIZE = (1280, 780)
FILM_SIZE = (1240, 660)


def wait(condition=lambda: False, seconds: float = 0.8) -> None:
    """Let the viewer work until something is true, or for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        QApplication.processEvents()
        time.sleep(0.01)


def save(viewer: napari.Viewer, name: str) -> None:
    """Save a picture of the whole window."""
    wait()
    viewer.window.screenshot(str(IMAGES / name), canvas_only=False, flash=False)


def open_viewer(sample: str, theme: str = "dark"):
    """Open a viewer with a sample and the panel."""
    viewer = napari.Viewer()
    viewer.theme = theme
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-unetpp", sample)
    viewer.layers.selection.active = viewer.layers[0]
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")
    wait(lambda: panel.form.model_text.text(), 60)
    viewer.reset_view()
    wait()
    return viewer, panel


def picture_stack() -> None:
    """A stack, filling and filled, in 2-D and 3-D, and its heads side by side."""
    viewer, panel = open_viewer("nuclei_stack")
    panel.form.advanced.fields["tile"].setValue(128)
    panel.form.advanced.fields["link"].setChecked(True)
    panel.segment_whole()
    wait(lambda: panel.run_bar.bar.value() > 14, 120)
    save(viewer, "segment_running.png")
    wait(lambda: not panel.is_busy, 600)
    save(viewer, "segment_2d.png")
    labels = viewer.layers["nuclei stack | labels"]
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (8, 28, 55)
    viewer.scene.camera.zoom *= 1.25
    save(viewer, "segment_3d.png")
    viewer.dims.ndisplay = 2
    viewer.layers[0].visible = labels.visible = False
    shown = [la for la in viewer.layers if " | " in la.name and la is not labels]
    for layer in shown:
        layer.visible = True
    viewer.canvas.grid.enabled = True
    viewer.reset_view()
    save(viewer, "heads.png")
    viewer.close()


def picture_tissue() -> None:
    """A stained image, the part in view, light theme."""
    viewer, panel = open_viewer("stained_tissue", theme="light")
    viewer.scene.camera.zoom *= 2
    wait()
    panel.segment_view()
    wait(lambda: not panel.is_busy, 600)
    viewer.layers["stained tissue (view) | labels"].contour = 1
    save(viewer, "segment_view.png")
    viewer.close()


def picture_large() -> None:
    """A large image: saved while it goes on, the tiles in view first."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    plane = nuclei_stack((1, 512, 512), n_nuclei=160).data[0]
    corner = np.block([[plane, plane[:, ::-1]], [plane[::-1], plane[::-1, ::-1]]])
    viewer.add_image(
        np.tile(corner, (4, 4)), name="section", scale=(0.5, 0.5), units="um"
    )
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")
    wait(lambda: panel.form.model_text.text(), 60)
    viewer.reset_view()
    viewer.scene.camera.zoom *= 2.6
    viewer.scene.camera.center = (0, 1150, 1250)
    wait()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        panel.form.folder_choice.choose(Path("results"))
        panel.form.advanced.fields["tile"].setValue(256)
        panel.segment_whole()
        wait(lambda: panel.run_bar.bar.value() > 24, 300)
        save(viewer, "segment_large.png")
        panel.cancel()
        wait(lambda: not panel.is_busy, 60)
        viewer.close()


def picture_train() -> None:
    """Strokes on an image, the form, and a training that is under way."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    stack = nuclei_stack((3, 512, 512), n_nuclei=200)
    plane = stack.data[1]
    viewer.add_image(plane, name="nuclei", scale=(0.5, 0.5), units="um")
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: train")
    strokes = viewer.add_labels(
        draw_strokes(plane), name="strokes", scale=(0.5, 0.5), units="um"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        panel.form.name.folder = Path("models")
        panel.form.name.choose("my nuclei")
        panel.form.budget.choose("minutes", 2)
        wait(lambda: panel.form.network.size_text.text(), 60)
        wait(lambda: panel.bar.train_button.isEnabled(), 60)
        wait(lambda: len(panel.form.labels.names) == 2, 20)
        classes = panel.form.labels.classes
        classes.item(0, 1).setText("background")
        classes.item(1, 1).setText("nucleus")
        viewer.reset_view()
        viewer.layers.selection.active = strokes
        save(viewer, "train_panel.png")
        panel.train()
        wait(lambda: not panel.is_running, 400)
        panel.form.name.choose("my next nuclei")
        panel.watch.guide.next_button.click()
        wait(lambda: "unsure" in panel.watch.guide.text.text(), 60)
        save(viewer, "train_curves.png")
        viewer.close()


def picture_training_film() -> None:
    """A training from its first stroke on, as a short film."""
    viewer = napari.Viewer()
    viewer.window.resize(*FILM_SIZE)
    plane = nuclei_stack((3, 512, 512), n_nuclei=200).data[1]
    viewer.add_image(plane, name="nuclei", scale=(0.5, 0.5), units="um")
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: train")
    drawn = draw_strokes(plane)
    strokes = viewer.add_labels(
        np.zeros_like(drawn), name="strokes", scale=(0.5, 0.5), units="um"
    )
    strokes.data[:150] = drawn[:150]
    strokes.refresh()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        panel.form.name.folder = Path("models")
        panel.form.name.choose("my nuclei")
        panel.form.network.sizes.setCurrentIndex(0)
        panel.form.budget.choose("minutes", 1)
        wait(lambda: panel.bar.train_button.isEnabled(), 60)
        wait(lambda: len(panel.form.labels.names) == 2, 20)
        classes = panel.form.labels.classes
        classes.item(0, 1).setText("background")
        classes.item(1, 1).setText("nucleus")
        viewer.reset_view()
        viewer.scene.camera.zoom *= 1.5
        viewer.scene.camera.center = (0, 90, 128)
        viewer.layers.selection.active = strokes
        frames = [film_frame(viewer)]
        panel.train()
        until = time.monotonic() + 150
        while panel.is_running and time.monotonic() < until:
            wait(seconds=1.5)
            frames.append(film_frame(viewer))
            painted = min(len(drawn), 150 + 20 * len(frames))
            strokes.data[:painted] = drawn[:painted]  # somebody paints on
            strokes.refresh()
        save_film(frames, IMAGES / "training.gif")
        viewer.close()


def film_frame(viewer: napari.Viewer) -> Image.Image:
    """Return a picture of the window, with few colours."""
    shown = viewer.window.screenshot(canvas_only=False, flash=False)
    return Image.fromarray(shown[..., :3]).quantize(96, dither=Image.Dither.NONE)


def save_film(frames: list[Image.Image], path: Path, n_frames: int = 24) -> None:
    """Save at most `n_frames` of the frames, evenly chosen; the last one stays."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, n_frames).astype(int))
    first, *rest = (frames[index] for index in chosen)
    times = [600, *[300] * (len(rest) - 1), 2500]  # milliseconds
    first.save(path, save_all=True, append_images=rest, duration=times, loop=0)


def picture_batch() -> None:
    """A folder of images, one of which is none, segmented; one result is shown."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: batch")
    wait(lambda: panel.form.model_text.text(), 60)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        plate = Path("plate")
        plate.mkdir()
        for number in range(1, 8):
            stack = nuclei_stack((1, 256, 320), n_nuclei=20 + 12 * number, seed=number)
            tifffile.imwrite(plate / f"B{number:02}.tif", stack.data[0])
        (plate / "B06.tif").write_bytes(b"this is not an image")
        panel.images.add_paths([plate])
        wait(lambda: len(panel.images.items) == 7, 20)
        panel.start()
        wait(lambda: not panel.is_running, 300)
        panel.table.selectRow(5)
        panel.open_result(3)
        wait(lambda: len(viewer.layers) == 2, 20)
        viewer.reset_view()
        save(viewer, "batch.png")
        viewer.close()


def picture_compare() -> None:
    """A plane, what the model finds in it, and what is wrong with that."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    stack = nuclei_stack((3, 256, 256), n_nuclei=260)
    out_of_focus = ndimage.gaussian_filter(stack.data[1], 4)
    viewer.add_image(out_of_focus, name="nuclei")
    viewer.add_labels(stack.labels[1], name="by hand", visible=False)
    viewer.layers.selection.active = viewer.layers["nuclei"]
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: segment")
    wait(lambda: panel.form.model_text.text(), 60)
    panel.segment_whole()
    wait(lambda: not panel.is_busy, 300)
    _, compare = viewer.window.add_plugin_dock_widget(
        "napari-unetpp", "UNet++: compare with truth", tabify=True
    )
    compare.compare()
    wait(lambda: not compare.is_running, 60)
    viewer.layers["nuclei | mean"].visible = False
    viewer.layers["nuclei | labels"].contour = 1
    viewer.reset_view()
    save(viewer, "compare.png")
    viewer.close()


def picture_models() -> None:
    """The Models panel, and what a model finds in the middle of the view."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-unetpp", "stained_tissue")
    _, panel = viewer.window.add_plugin_dock_widget("napari-unetpp", "UNet++: models")
    wait(lambda: panel.models.chosen is not None, 60)
    panel.models.choose("nuclei")
    panel.page.setCurrentIndex(1)
    viewer.reset_view()
    wait()
    panel.preview()
    wait(lambda: not panel.is_running, 120)
    save(viewer, "models.png")
    viewer.close()


def draw_strokes(plane: np.ndarray) -> np.ndarray:
    """Return strokes on every sixtieth row: 1 on the ground, 2 on nuclei."""
    strokes = np.zeros(plane.shape, np.uint8)
    nuclei = ndimage.gaussian_filter(plane, 2.0) > plane.mean() + 0.5 * plane.std()
    inside = ndimage.binary_erosion(nuclei, iterations=3)
    outside = ~ndimage.binary_dilation(nuclei, iterations=4)
    for first in range(30, len(plane), 60):
        rows = slice(first, first + 3)
        columns = slice((first * 7) % 200, (first * 7) % 200 + 220)
        strokes[rows, columns] = outside[rows, columns] + 2 * inside[rows, columns]
    return strokes


def main() -> None:
    """Make all pictures, or those that are named."""
    pictures = {
        "stack": picture_stack,
        "tissue": picture_tissue,
        "large": picture_large,
        "train": picture_train,
        "film": picture_training_film,
        "batch": picture_batch,
        "compare": picture_compare,
        "models": picture_models,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(pictures)}")
    IMAGES.mkdir(exist_ok=True)
    for name in parser.parse_args().names or pictures:
        pictures[name]()


if __name__ == "__main__":
    main()
