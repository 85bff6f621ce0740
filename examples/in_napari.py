"""Open an image in napari with the labels and the uncertainty of each pixel.

python examples/in_napari.py
"""

import napari
from skimage.data import immunohistochemistry

import napari_unetpp


def show(viewer) -> None:
    """Add an image, its labels, and where the heads disagree."""
    layer = viewer.add_image(
        immunohistochemistry()[:192, :224], name="tissue", scale=(0.5, 0.5), units="um"
    )
    result = napari_unetpp.segment(layer)  # knows the scale of the layer
    place = {"scale": result.scale, "translate": result.translate}
    viewer.add_image(
        result.prediction.uncertainty, name="unsure", colormap="inferno", **place
    )
    viewer.add_labels(result.labels, name="nuclei", **place)


if __name__ == "__main__":
    show(napari.Viewer())
    napari.run()
