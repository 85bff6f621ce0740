"""Results as layers: names, colours and order, chosen to be readable at once."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap

from napari_unetpp._napari._colours import class_colormap

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._messages import ShownLabels
    from napari_unetpp._napari._source import Geometry

KEY = "napari_unetpp"
"""Entry of a layer's metadata that tells what made it."""

MEAN: Final = "mean"
HEADS: Final = "heads"
UNCERTAINTY: Final = "uncertainty"
LABELS: Final = "labels"

OLDER = " (older)"
"""Behind the name of a layer that shows the result of an earlier run."""

_PROBABILITY_COLOURS = Colormap(
    [[0.1, 0.05, 0.3, 0.0], [0.85, 0.25, 0.35, 0.75], [1.0, 0.9, 0.3, 1.0]],
    name="probability",
)
_UNCERTAINTY_COLOURS = Colormap(
    [[0.0, 0.2, 0.3, 0.0], [0.0, 0.75, 0.85, 0.85], [0.85, 1.0, 1.0, 1.0]],
    name="uncertainty",
)


@dataclass(frozen=True, slots=True, eq=False)
class ResultGroup:
    """What all layers of a run share.

    Attributes
    ----------
    name : str
        Name of the image, the first part of each layer's name.
    geometry : Geometry
        Where the results lie.
    provenance : dict
        Model, recipe and version, for the metadata.
    folder : str or None
        Where the results are kept.
    replaces : bool
        Layers of an earlier group of this name and folder show the new results from now
        on, labels only if nobody painted on them.
    class_colours : mapping of int to str
        "#rrggbb" of each label value, for labels of classes; empty for those of napari.
    """

    name: str
    geometry: Geometry
    provenance: dict[str, Any]
    folder: str | None = None
    replaces: bool = False
    class_colours: Mapping[int, str] = field(default_factory=dict)

    def options(self, kind: str) -> dict[str, Any]:
        """Return the keyword arguments of a layer of this group."""
        return {
            "name": f"{self.name} | {kind}",
            "metadata": self.metadata(kind),
            **self.geometry.as_layer_options(),
        }

    def metadata(self, kind: str) -> dict[str, Any]:
        """Return what a layer of this group tells about itself."""
        made = {"group": self.name, "result": kind, "folder": self.folder}
        return {KEY: made | self.provenance}

    def earlier(self, viewer: Viewer, kind: str) -> Layer | None:
        """Return the layer that the new result replaces, if there is one."""
        same = (la for la in self._present(viewer) if _kind(la) == kind)
        return next((la for la in same if not _edited(la)), None)

    def set_aside(self, viewer: Viewer, kinds: Collection[str]) -> None:
        """Hide what an earlier run of this group gave and the new one does not give.

        It would show another part of the image, or the work of another model, beside
        the new results. It is not removed: see `_replace`.
        """
        for layer in self._present(viewer):
            if _kind(layer) not in kinds and not layer.name.endswith(OLDER):
                layer.visible = False
                layer.name += OLDER

    def _present(self, viewer: Viewer) -> list[Layer]:
        """Return the layers whose places this group takes."""
        if not self.replaces:
            return []
        mine = (self.name, self.folder)
        return [
            layer
            for layer in viewer.layers
            if (made := layer.metadata.get(KEY)) is not None
            and (made.get("group"), made.get("folder")) == mine
        ]


def appearance(kind: str) -> dict[str, Any]:
    """Return the options of an image layer that make a result readable at once."""
    uncertain = kind == UNCERTAINTY
    return {
        "colormap": _UNCERTAINTY_COLOURS if uncertain else _PROBABILITY_COLOURS,
        "contrast_limits": (0.0, 1.0),
        "blending": "translucent",
    }


def is_result(layer: Layer) -> bool:
    """Return whether a layer was made here."""
    return KEY in layer.metadata


def add_image_result(
    viewer: Viewer,
    group: ResultGroup,
    kind: str,
    data: Any,
    *,
    multiscale: bool,
    below: Layer | None = None,
) -> Image:
    """Show probabilities or the uncertainty; call it in the GUI thread.

    Parameters
    ----------
    viewer : Viewer
        Where; the selection stays as it is.
    group : ResultGroup
        Names and place.
    kind : str
        "mean", "head 1", ..., "uncertainty".
    data : array or list of arrays
        Pixels, (*shown axes); written to later, in place.
    multiscale : bool
        `data` is a list of sizes.
    below : Layer, optional
        The main result, under which this one begins hidden.
    """
    earlier = group.earlier(viewer, kind)
    if earlier is not None and earlier.multiscale == multiscale:
        _replace(earlier, data, group, kind)
        earlier.visible = earlier.visible or below is None
        return earlier
    layer = Image(
        data,
        multiscale=multiscale,
        visible=below is None,
        cache=False,
        **appearance(kind),
        **group.options(kind),
    )
    layer.contrast_limits_range = (0.0, 1.0)
    add_quietly(viewer, layer, below)
    return layer


def add_labels_result(viewer: Viewer, group: ResultGroup, data: ShownLabels) -> Labels:
    """Show labels, (*shown axes); call it in the GUI thread."""
    layer, several = group.earlier(viewer, LABELS), isinstance(data, list)
    if layer is None or layer.multiscale != several:
        options = group.options(LABELS)
        layer = Labels(data, multiscale=several, opacity=0.6, **options)
        _paint_in(layer, group.class_colours)
        add_quietly(viewer, layer)
    else:
        if layer.metadata[KEY].get("class_colours") != group.class_colours:
            _paint_in(layer, group.class_colours)
        _replace(layer, data, group, LABELS)
        layer.visible = True
    layer.metadata[KEY]["class_colours"] = dict(group.class_colours)
    layer.editable = isinstance(data, np.ndarray)
    if isinstance(data, np.ndarray):
        layer.metadata[KEY]["checksum"] = checksum(data)
    return layer


def _paint_in(layer: Labels, colours: Mapping[int, str]) -> None:
    """Give labels of classes the colours of the model, if it has any."""
    if colours:
        layer.colormap = class_colormap(colours)


def checksum(data: npt.NDArray[Any]) -> int:
    """Return a number that changes when the array is painted on."""
    return zlib.crc32(np.ascontiguousarray(data).data)


def _kind(layer: Layer) -> str:
    return str(layer.metadata[KEY]["result"])


def _edited(layer: Layer) -> bool:
    before = layer.metadata[KEY].get("checksum")
    return before is not None and bool(checksum(layer.data) != before)


def _replace(layer: Layer, data: Any, group: ResultGroup, kind: str) -> None:
    """Let a layer show another result.

    Not a new layer in the place of the old: the user's colours stay, and to take a
    hidden layer away kills the viewer with some OpenGL drivers (seen with Mesa 22.3).
    """
    layer.data = data
    layer.metadata = group.metadata(kind)
    layer.name = layer.name.removesuffix(OLDER)
    set_geometry(layer, group.geometry)


def set_geometry(layer: Layer, geometry: Geometry) -> None:
    """Move a layer; what is right already is not set, since that would draw it."""
    for name, value in geometry.as_layer_options().items():
        if not _equal(getattr(layer, name), value):
            setattr(layer, name, value)


def _equal(now: Any, wanted: Any) -> bool:
    """Compare a property of a layer with what it should be."""
    now = getattr(now, "affine_matrix", now)
    if isinstance(wanted[0], str):
        now = [str(value) for value in now]
    return bool(np.array_equal(now, wanted))


def add_quietly(viewer: Viewer, layer: Layer, below: Layer | None = None) -> None:
    """Add a layer on top, or below another; the selection stays as it is.

    Otherwise the user would lose the layer that a tool is at work on. Nobody is told of
    the change and the change back: that would redraw the controls of both layers.
    """
    selection = viewer.layers.selection
    selected, active = set(selection), selection.active
    at = len(viewer.layers)
    if below is not None and below in viewer.layers:
        at = viewer.layers.index(below)
    with selection.events.blocker_all():
        viewer.layers.insert(at, layer)
        viewer.layers.selection = selected
        selection.active = active
