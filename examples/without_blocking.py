"""Segment a layer from a script or the console, while the viewer stays usable.

python examples/without_blocking.py
"""

import napari
from skimage.data import immunohistochemistry

import napari_unetpp


def segment_layer(viewer, name):
    """Start to segment a layer; return the run, whose `stop` ends it."""
    layer = viewer.layers[name]

    def show(found):  # called in the viewer's thread, where layers may be touched
        place = {"scale": found.scale, "translate": found.translate}
        viewer.add_labels(found.labels, name=f"{name} | found", **place)

    return napari_unetpp.in_background(napari_unetpp.segmenting(layer), then=show)


if __name__ == "__main__":
    shown = napari.Viewer()
    shown.add_image(immunohistochemistry(), name="tissue")
    run = segment_layer(
        shown, "tissue"
    )  # progress is among the activities, lower right
    napari.run()
