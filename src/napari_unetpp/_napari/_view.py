"""Which part of an image the viewer shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.errors import AxesError

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._source import Source
    from napari_unetpp._types import Box

SPATIAL = {2: "YX", 3: "ZYX"}


@dataclass(frozen=True, slots=True)
class View:
    """A part of an image.

    Attributes
    ----------
    region : Box
        Pixels along the spatial axes that the model works in.
    loop : tuple of int
        Index along each other axis but C, in the order of the image.
    """

    region: Box
    loop: tuple[int, ...]

    @property
    def box(self) -> Box:
        """The view, one interval for each axis of a result."""
        return (*((at, at + 1) for at in self.loop), *self.region)

    def origin(self, shown_axes: str) -> tuple[int, ...]:
        """Return the first pixel of the view, one for each axis that is shown."""
        spatial = SPATIAL[len(self.region)]
        starts = {
            letter: start
            for letter, (start, _) in zip(spatial, self.region, strict=True)
        }
        loops = iter(self.loop)
        return tuple(
            0 if a == "C" else starts[a] if a in starts else next(loops)
            for a in shown_axes
        )


def visible_view(
    viewer: Viewer, layer: Image, source: Source, spatial_dims: int
) -> View:
    """Return what a viewer shows of a layer; call it in the GUI thread.

    Axes on the screen are cut to the canvas (not in 3-D, where all is seen at once);
    the others are the plane that the sliders show. A 2-D model always takes one plane,
    a 3-D model in a 2-D view too.

    Parameters
    ----------
    viewer : Viewer
        Viewer that holds the layer.
    layer : Image
        The layer.
    source : Source
        The same layer as read, with the axes corrected by the user.
    spatial_dims : int
        2 for YX, 3 for ZYX.

    Raises
    ------
    AxesError
        If the model's plane is not on the screen, or no pixel of the image is.
    """
    axes, shape = source.shown_axes, source.shown_shape
    spatial = SPATIAL[spatial_dims]
    on_screen = _letters_on_screen(viewer, axes)
    _check_plane_on_screen(spatial, axes, on_screen)
    step = _current_index(viewer, layer, shape)
    box = visible_box(viewer, layer, axes, shape)
    region = tuple(box[axes.index(letter)] for letter in spatial)
    if any(stop <= start for start, stop in region):
        raise AxesError(
            f"no pixel of {source.name!r} is in view; move the image into view (Home"
            " key), or segment the whole of it"
        )
    loop = tuple(step[i] for i, a in enumerate(axes) if a not in spatial + "C")
    return View(region, loop)


def visible_box(viewer: Viewer, layer: Layer, axes: str, shape: tuple[int, ...]) -> Box:
    """Return the pixels of a layer that a viewer shows, along each of its axes.

    Parameters
    ----------
    viewer : Viewer
        Viewer that holds the layer.
    layer : Layer
        An image or labels layer.
    axes, shape : str, tuple of int
        The axes that the layer shows and their sizes, at full resolution.
    """
    on_screen = _letters_on_screen(viewer, axes)
    step = _current_index(viewer, layer, shape)
    if viewer.dims.ndisplay == 3:
        corners = np.array([np.zeros(len(shape), int), shape])
    else:
        corners = _corners(layer, shape)
    return tuple(
        (int(corners[0, i]), int(corners[1, i]))
        if letter in on_screen
        else (step[i], step[i] + 1)
        for i, letter in enumerate(axes)
    )


def _letters_on_screen(viewer: Viewer, axes: str) -> set[str]:
    """Return the axes of a layer that the canvas shows (the last ones are shared)."""
    missing = viewer.dims.ndim - len(axes)
    return {axes[d - missing] for d in viewer.dims.displayed if d >= missing}


def _check_plane_on_screen(spatial: str, axes: str, on_screen: set[str]) -> None:
    missing = [letter for letter in spatial if letter not in axes]
    if missing:
        raise AxesError(
            f"axes {axes!r} have no {' and '.join(missing)}, which a"
            f" {len(spatial)}-D model needs; correct the axes, or choose another model"
        )
    if not {"Y", "X"} <= on_screen:
        raise AxesError(
            f"the view shows {' and '.join(sorted(on_screen))}, the model needs Y and"
            " X; roll the dimensions back, or segment the whole image"
        )


def _current_index(
    viewer: Viewer, layer: Layer, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the pixel of a layer that the sliders stand on."""
    data = np.round(layer.world_to_data(viewer.dims.point))
    return tuple(int(v) for v in np.clip(data, 0, np.array(shape) - 1))


def _corners(layer: Layer, shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Return the first and one past the last visible pixel of level 0, (2, axes).

    They are the same along an axis on which the canvas lies beside the image: napari
    moves both corners to its nearest edge then.
    """
    corners = np.array(layer.corner_pixels)[:, : len(shape)].astype(float)
    beside = (corners[0] == corners[1]) & (np.array(shape) > 1)
    if layer.multiscale:
        corners = corners * np.array(layer.downsample_factors[layer.data_level])
    start, last = np.floor(corners[0]), np.ceil(corners[1])
    stop = np.where(beside, start, last + 1)
    visible: npt.NDArray[np.intp] = np.clip([start, stop], 0, shape).astype(int)
    return visible
