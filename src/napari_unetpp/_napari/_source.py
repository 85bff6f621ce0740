"""A layer, read once in the GUI thread, as plain values any thread may use."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from napari.utils.transforms import Affine

from napari_unetpp.arrays import guess_axes

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image, Layer

    from napari_unetpp._types import LazyArray

CHANNEL = "C"


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where the pixels of a layer lie in the world; one entry for each axis shown.

    Attributes
    ----------
    scale, translate : tuple of float
        World units a pixel, and the place of pixel 0.
    rotate, shear, affine : array
        As the layer gives them.
    units, axis_labels : tuple of str
        As the layer gives them.
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    rotate: npt.NDArray[np.float64]
    shear: npt.NDArray[np.float64]
    affine: npt.NDArray[np.float64]
    units: tuple[str, ...]
    axis_labels: tuple[str, ...]

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """Pixels to the world, (axes + 1, axes + 1)."""
        own: npt.NDArray[np.float64] = self._own.affine_matrix
        return self.affine @ own

    @property
    def _own(self) -> Affine:
        return Affine(
            scale=self.scale,
            translate=self.translate,
            rotate=self.rotate,
            shear=self.shear,
        )

    def shifted(self, offset: tuple[float, ...]) -> Geometry:
        """Return the geometry of the part that starts `offset` pixels further on."""
        return replace(self, translate=tuple(float(v) for v in self._own(offset)))

    @classmethod
    def plain(cls, axes: str) -> Geometry:
        """Return the geometry of pixels that are the world."""
        n = len(axes)
        return cls(
            scale=(1.0,) * n,
            translate=(0.0,) * n,
            rotate=np.eye(n),
            shear=np.zeros(n * (n - 1) // 2),
            affine=np.eye(n + 1),
            units=("pixel",) * n,
            axis_labels=tuple(axes),
        )

    def flattened(self, axis: int, size: int) -> Geometry:
        """Return the geometry of a layer of one pixel that covers `size` along `axis`.

        A result without channels lies beside all channels of its image in this way.
        """
        scale, translate = list(self.scale), list(self.translate)
        translate[axis] += scale[axis] * (size - 1) / 2
        scale[axis] *= size
        return replace(self, scale=tuple(scale), translate=tuple(translate))

    def with_shape(self, shape: tuple[int, ...], new: tuple[int, ...]) -> Geometry:
        """Return the geometry of other pixels over the same extent.

        Parameters
        ----------
        shape, new : tuple of int
            Pixels that there are along each axis, and those that are wanted.
        """
        steps = [n / m for n, m in zip(shape, new, strict=True)]
        moved = self.shifted(tuple((step - 1) / 2 for step in steps))
        scale = tuple(s * step for s, step in zip(self.scale, steps, strict=True))
        return replace(moved, scale=scale)

    def as_layer_options(self) -> dict[str, Any]:
        """Return the keyword arguments that give a new layer this geometry."""
        return {
            "scale": self.scale,
            "translate": self.translate,
            "rotate": self.rotate,
            "shear": self.shear,
            "affine": self.affine,
            "units": self.units,
            "axis_labels": self.axis_labels,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image layer as it was when a button was pressed.

    It has the attributes that `napari_unetpp.io.as_image` reads from a layer, so it
    stands for the layer in threads that must not touch one.

    Attributes
    ----------
    name : str
        Name of the layer.
    data : array
        Pixels; level 0 of a multiscale layer. Not a copy.
    rgb : bool
        The last axis of `data` is the colour.
    axes : str
        One letter for each axis of `data`.
    geometry : Geometry
        Of the axes shown: all of `data` but the colour.
    """

    name: str
    data: LazyArray
    rgb: bool
    axes: str
    geometry: Geometry
    multiscale: bool = field(default=False, init=False)

    @property
    def shown_axes(self) -> str:
        """Axes that the viewer shows: without the colour."""
        return self.axes[:-1] if self.rgb else self.axes

    @property
    def shown_shape(self) -> tuple[int, ...]:
        """Sizes of the axes shown."""
        return tuple(self.data.shape[: len(self.shown_axes)])

    @property
    def n_channels(self) -> int:
        """Size of the C axis, 1 if there is none."""
        return self.data.shape[self.axes.index(CHANNEL)] if CHANNEL in self.axes else 1

    @property
    def scale(self) -> tuple[float, ...]:
        """World units a pixel of the axes shown."""
        return self.geometry.scale

    @property
    def translate(self) -> tuple[float, ...]:
        """Place of pixel 0 along the axes shown."""
        return self.geometry.translate

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the axes shown."""
        return self.geometry.units

    @property
    def axis_labels(self) -> tuple[str, ...]:
        """Letters of the axes shown."""
        return tuple(self.shown_axes)

    def with_axes(self, axes: str) -> Self:
        """Return the same image with other letters for its axes."""
        return replace(self, axes=axes)

    def with_data(self, data: LazyArray) -> Self:
        """Return the same image with other pixels."""
        return replace(self, data=data)


def read_layer(layer: Image) -> Source:
    """Read an image layer, in the GUI thread.

    Parameters
    ----------
    layer : Image
        Of any dimension; RGB and multiscale too.

    Returns
    -------
    Source
        With the axes guessed by `layer_axes`.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    return Source(
        name=str(layer.name),
        data=data,
        rgb=bool(layer.rgb),
        axes=layer_axes(layer),
        geometry=layer_geometry(layer),
    )


def layer_geometry(layer: Layer) -> Geometry:
    """Return where the pixels of a layer lie, in the GUI thread."""
    return Geometry(
        scale=tuple(float(v) for v in layer.scale),
        translate=tuple(float(v) for v in layer.translate),
        rotate=np.array(layer.rotate),
        shear=np.array(layer.shear),
        affine=np.array(layer.affine.affine_matrix),
        units=tuple(str(unit) for unit in layer.units),
        axis_labels=tuple(str(label) for label in layer.axis_labels),
    )


def layer_axes(layer: Image) -> str:
    """Return one letter for each axis of a layer's data.

    Taken from the layer's axis labels if they are letters with Y and X among them, else
    guessed from its shape.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    labels = [str(label).strip().upper() for label in layer.axis_labels]
    letters = "".join(labels) + (CHANNEL if layer.rgb else "")
    named = len(letters) == data.ndim == len(set(letters)) and letters.isalpha()
    if named and {"Y", "X"} <= set(letters):
        return letters
    return guess_axes(tuple(data.shape), rgb=bool(layer.rgb))
