"""Where a live prediction lies: over a part of its image, without channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari._results import Layout
from napari_unetpp._napari._source import CHANNEL, Geometry
from napari_unetpp._napari._view import SPATIAL, View

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._napari._preview_arrays import Part
    from napari_unetpp._napari._source import Source


@dataclass(frozen=True, slots=True, eq=False)
class ShownPlace:
    """How a part of an image lies in a layer.

    Attributes
    ----------
    layout : Layout
        Axes of the layer and of results.
    geometry : Geometry
        Where the part lies in the world, for each axis of the layer.
    """

    layout: Layout
    geometry: Geometry

    def as_shown(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of pixels along the spatial axes with the axes of the layer."""
        loops = (np.newaxis,) * len(self.layout.loop_axes)
        return self.layout.as_shown(pixels[loops])


def shown_place(source: Source, part: Part) -> ShownPlace:
    """Return how a part of an image is shown: without channels, maybe thinned."""
    axes, geometry = source.shown_axes, source.geometry
    if axes.startswith(CHANNEL):  # napari lines layers up by their last axes
        axes, geometry = axes[1:], _without_first(geometry)
    spatial = SPATIAL[len(part.region)]
    loops = "".join(a for a in axes if a not in spatial + CHANNEL)
    geometry = geometry.shifted(View(part.region, part.loop).origin(axes))
    if CHANNEL in axes:
        n = source.shown_shape[source.shown_axes.index(CHANNEL)]
        geometry = geometry.flattened(axes.index(CHANNEL), n)
    steps = dict(zip(spatial, part.every, strict=True))
    shape = (*(1 for _ in loops), *part.shown_shape)
    return ShownPlace(
        Layout(axes, loops + spatial, shape, len(spatial)),
        _thinned(geometry, tuple(steps.get(a, 1) for a in axes)),
    )


def _thinned(geometry: Geometry, steps: tuple[int, ...]) -> Geometry:
    """Return the geometry of a layer that has a pixel for every `steps` pixels."""
    if max(steps) == 1:
        return geometry
    middle = geometry.shifted(tuple((step - 1) / 2 for step in steps))
    scale = tuple(s * k for s, k in zip(geometry.scale, steps, strict=True))
    return replace(middle, scale=scale)


def _without_first(geometry: Geometry) -> Geometry:
    """Return the geometry of the same pixels without their first axis."""
    n = len(geometry.scale)
    return Geometry(
        scale=geometry.scale[1:],
        translate=geometry.translate[1:],
        rotate=geometry.rotate[1:, 1:],
        shear=geometry.shear[n - 1 :],  # rows of an upper triangle
        affine=geometry.affine[1:, 1:],
        units=geometry.units[1:],
        axis_labels=geometry.axis_labels[1:],
    )
