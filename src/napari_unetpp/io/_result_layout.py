"""What is kept of a run, and the arrays that this makes: known before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from napari_unetpp.io._pyramid import pyramid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from napari_unetpp.config import Task
    from napari_unetpp.io._pyramid import Level
    from napari_unetpp.io._result import OutputKind

Probability = Literal["uint8", "float16"]
OmeZarr = Literal["0.5", "0.4"]

STEPS = 255
"""Steps in which a probability of 0...1 is kept in 8 bits."""

KNOWN_AXES = "TCZYX"
"""Axes that OME-Zarr has a type for, in the order that it wants."""

_ORDER: tuple[OutputKind, ...] = ("mean", "uncertainty", "heads", "labels")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image of an OME-Zarr folder.

    Attributes
    ----------
    kind : str
        Of which result it is, or is a part.
    place : str
        Its group in the folder, ``"heads/1"``.
    axes : str
        One letter for each axis in the order on disk: T, others, C, Z, Y, X.
    channels : tuple of str
        Names along C; empty without it.
    head : int, optional
        Which head it holds, counted from 0, if not all.
    levels : tuple of Level
        Finest first.
    dtype : str
        Of all levels.
    """

    kind: OutputKind
    place: str
    axes: str
    channels: tuple[str, ...]
    head: int | None
    levels: tuple[Level, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class ResultLayout:
    """What is kept of a run over one image, and how.

    Attributes
    ----------
    name : str
        What the image is called.
    axes : str
        Of a result without channels, loops first, then the spatial axes: ``"TZYX"``.
    shape : tuple of int
        Pixels along each of `axes`.
    scale, translate : tuple of float
        World units a pixel and position of the first one, for each of `axes`.
    units : tuple of str
        Unit of each of `axes`.
    core, block : tuple of int
        Edges of a tile's core and of a block of labels, along the spatial axes.
    kinds : tuple of str
        Results that are kept.
    task : {"instances", "classes"}
        What the model finds.
    head_names, class_names : tuple of str
        Heads that are computed, and classes of the model.
    probability : {"uint8", "float16"}
        What mean, heads and uncertainty are kept in; uint8 is in steps of 1/255.
    ome_zarr : {"0.5", "0.4"}
        Version of the format.
    attributes : mapping
        Where the results come from, as JSON: ``"fingerprint"``, ``"model"``, ....
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    scale: tuple[float, ...]
    units: tuple[str, ...]
    translate: tuple[float, ...]
    core: tuple[int, ...]
    block: tuple[int, ...]
    kinds: tuple[OutputKind, ...]
    task: Task
    head_names: tuple[str, ...]
    class_names: tuple[str, ...]
    probability: Probability = "uint8"
    ome_zarr: OmeZarr = "0.5"
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)

    def to_json(self) -> dict[str, JsonValue]:
        """Return all of it as JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the layout that `to_json` has told of."""
        parsed: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**parsed)

    @property
    def loop_axes(self) -> str:
        """Axes of which every index is predicted on its own."""
        return self.axes[: -len(self.core)]

    @property
    def spatial_axes(self) -> str:
        """``"YX"`` or ``"ZYX"``."""
        return self.axes[-len(self.core) :]

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Pixels along the spatial axes."""
        return self.shape[-len(self.core) :]

    @property
    def has_objects(self) -> bool:
        """Whether labels are objects, made in stages of their own."""
        return self.task == "instances"

    @property
    def makes_objects(self) -> bool:
        """Whether the job needs the arrays in which objects are made."""
        return self.has_objects and "labels" in self.kinds

    def leading(self, kind: OutputKind) -> tuple[tuple[str, ...], ...]:
        """Return the names along each axis that a result has before `axes`.

        Heads; classes where a model tells several apart. Objects have one probability,
        that of the foreground.
        """
        several = self.task == "classes" and len(self.class_names) > 1
        classes = (self.class_names,) if several else ()
        heads = (self.head_names,) if kind == "heads" else ()
        return heads + classes if kind in ("heads", "mean") else ()

    def images(self) -> tuple[StoredImage, ...]:
        """Return the images of the OME-Zarr folder, the one to open first in front."""
        kinds = [kind for kind in _ORDER if kind in self.kinds]
        return tuple(image for kind in kinds for image in self._images(kind))

    def _images(self, kind: OutputKind) -> list[StoredImage]:
        """Return the images of one result: one, or one for each head.

        OME-Zarr has no axis of heads beside that of classes, and allows one axis of
        channels or of a kind of its own.
        """
        leading = self.leading(kind)
        single = kind == "heads" and (len(leading) > 1 or set(self.axes) > {*"TZYX"})
        labels = kind == "labels"
        core = self.block if labels and self.has_objects else self.core
        dtype = "uint32" if labels else self.probability
        levels = pyramid(self.spatial_shape, core, self.scale[-len(core) :])
        place = "labels/labels" if labels else kind
        if not single:
            channels = leading[0] if leading else ()
            axes = self._stored_axes(bool(channels))
            return [StoredImage(kind, place, axes, channels, None, levels, dtype)]
        channels = leading[1] if len(leading) > 1 else ()
        axes = self._stored_axes(bool(channels))
        return [
            StoredImage(kind, f"{place}/{h + 1}", axes, channels, h, levels, dtype)
            for h in range(len(self.head_names))
        ]

    def _stored_axes(self, channels: bool) -> str:
        """Return the axes in the order on disk: time, others, channels, space."""
        rank = {"T": 0, "C": 2, "Z": 3, "Y": 4, "X": 5}
        return "".join(
            sorted("C" * channels + self.axes, key=lambda axis: rank.get(axis, 1))
        )
