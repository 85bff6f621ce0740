"""Leading the user to a place of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._napari._source import CHANNEL
from napari_unetpp._napari._view import SPATIAL

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_unetpp.inference import ErrorPlace, Place

SMALLEST, LARGEST = 0.25, 0.8
"""Share of the canvas that a place takes: in between, the user's zoom stays."""
WANTED = 0.5
"""Share of the canvas that a place takes where the zoom must change."""


def go_to(
    viewer: Viewer,
    layer: Image | Labels,
    place: Place | ErrorPlace,
    axes: str,
    spatial_dims: int = 2,
) -> None:
    """Move camera and sliders so that a place is in the middle of the view.

    Parameters
    ----------
    viewer : Viewer
        Viewer that holds the layer.
    layer : Image or Labels
        What the place is in; of channels in several layers any.
    place : Place or ErrorPlace
        Where, one index for each loop and spatial axis.
    axes : str
        Axes that the layer shows, C among them if it is (`Source.shown_axes`).
    spatial_dims : int
        Of the model; it tells the loop axes from the spatial ones.
    """
    spatial = SPATIAL[spatial_dims]
    order = "".join(a for a in axes if a not in spatial + CHANNEL) + spatial
    centre = dict(zip(order, place.centre, strict=True))
    box = dict(zip(order, place.box, strict=True))
    here = np.round(layer.world_to_data(viewer.dims.point))
    # The middle of the region, but on the plane that is worst.
    middle = {a: sum(box[a]) / 2 - 0.5 if a in "YX" else centre[a] for a in order}
    point = [middle.get(a, here[i]) for i, a in enumerate(axes)]
    world = np.array(layer.data_to_world(point), float)
    n_more = viewer.dims.ndim - len(axes)  # axes of other layers, which come first
    for axis, value in enumerate(world, start=n_more):
        viewer.dims.set_point(axis, value)
    shown = viewer.dims.displayed
    camera = viewer.scene.camera
    position = [world[d - n_more] if d >= n_more else 0.0 for d in shown]
    camera.center = (*camera.center[: 3 - len(shown)], *position)
    if len(shown) == 2:
        edges = _world_edges(layer, [box.get(a, (0, 1)) for a in axes])
        sizes = [edges[d - n_more] if d >= n_more else 0.0 for d in shown]
        camera.zoom = _zoom(camera.zoom, sizes, viewer.canvas.size)


def _world_edges(
    layer: Image | Labels, box: list[tuple[int, int]]
) -> npt.NDArray[np.float64]:
    """Return the size of a box of pixels in the world, one for each axis."""
    first, last = (
        np.array(layer.data_to_world([span[side] for span in box]), float)
        for side in (0, 1)
    )
    edges: npt.NDArray[np.float64] = np.abs(last - first)
    return edges


def _zoom(now: float, sizes: list[float], canvas: tuple[int, int]) -> float:
    """Return the zoom (pixels of the canvas for a unit) that shows these sizes."""
    share = max(size / edge for size, edge in zip(sizes, canvas, strict=True))
    if share <= 0 or SMALLEST <= share * now <= LARGEST:
        return now
    return WANTED / share
