"""A line that the user draws across an object, to say how large it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes

from napari_unetpp._napari._layers import add_quietly
from napari_unetpp._napari._source import layer_axes, layer_geometry

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image
    from napari.viewer import Viewer

LINES = "Object diameter"
"""Name of the layer in which lines are drawn."""

_MOST_ENDS = 2
_WIDTH = 2.0  # pixels of the canvas, whatever the zoom


def lines_layer(viewer: Viewer, image: Image) -> Shapes:
    """Return a layer to draw a line in, over an image; GUI thread.

    Parameters
    ----------
    viewer : Viewer
        Where it goes; the one that is there is used again.
    image : Image
        What is measured.
    """
    there = [each for each in viewer.layers if is_lines(each)]
    if there:
        return there[0]
    axes = layer_axes(image)
    geometry = layer_geometry(image)
    layer = Shapes(
        ndim=len(axes) - image.rgb,
        name=LINES,
        edge_color="#ffd400",
        edge_width=1,
        **geometry.as_layer_options(),
    )
    add_quietly(viewer, layer)
    zoom = viewer.scene.camera.zoom * geometry.scale[-1]
    layer.current_edge_width = _WIDTH / zoom if zoom > 0 else 1
    return layer


def is_lines(layer: object) -> bool:
    """Return whether a layer is one in which lines are drawn to measure."""
    return isinstance(layer, Shapes) and str(layer.name).startswith(LINES)


def line_lengths(layer: Shapes, image: Image) -> list[float]:
    """Return how long the lines of a layer are in pixels of an image; GUI thread.

    Parameters
    ----------
    layer : Shapes
        With lines; other shapes are left out.
    image : Image
        What they lie over, scaled and turned as it may be.

    Returns
    -------
    list of float
        Along Y and X, in the order in which they were drawn; empty ones left out.
    """
    axes = layer_axes(image)[: image.ndim]
    plane = [axes.index(letter) for letter in "YX"]
    lengths = []
    for kind, corners in zip(layer.shape_type, layer.data, strict=True):
        if kind != "line" or len(corners) != _MOST_ENDS:
            continue
        ends = [_in_pixels(layer, image, end) for end in corners]
        length = float(np.linalg.norm((ends[1] - ends[0])[plane]))
        if length > 0:
            lengths.append(length)
    return lengths


def _in_pixels(
    layer: Shapes,
    image: Image,
    point: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return a point of a layer in pixels of an image; the last axes are shared."""
    world = np.asarray(layer.data_to_world(point), float)
    missing = image.ndim - len(world)
    if missing > 0:
        world = np.concatenate([np.zeros(missing), world])
    return np.asarray(image.world_to_data(world[-image.ndim :]), float)
