"""Layers that show what a network predicts while it learns.

They cover the view and move with it. Layers of a run before are used again: to take a
hidden layer away kills the viewer with some OpenGL drivers (seen with Mesa 22.3).
Whoever paints meanwhile must not notice: selection, mode and history of the user's
layers stay as they are, and drawing takes a small part of the GUI thread's time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_unetpp._napari._accept import Accepted, Prediction, accept
from napari_unetpp._napari._colours import class_colormap, colours_of
from napari_unetpp._napari._layers import (
    KEY,
    MEAN,
    OLDER,
    UNCERTAINTY,
    add_quietly,
    appearance,
    set_geometry,
)
from napari_unetpp._napari._preview_arrays import MOST_SHOWN, Part, PreviewArrays
from napari_unetpp._napari._preview_place import shown_place
from napari_unetpp._napari._shown import REDRAW_SHARE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._source import Geometry, Source
    from napari_unetpp._types import Box
    from napari_unetpp.config import Task
    from napari_unetpp.inference import PreviewTile

CLASSES = "preview of classes"
FOREGROUND = "preview of objects"
UNSURE = "preview uncertainty"
PREVIEWS = (CLASSES, FOREGROUND, UNSURE)
REDRAW_SECONDS = 0.5
"""Least time between two redraws. What the canvas takes for each is not known here."""
IN_DEPTH = 2
"""How much rarer a volume is redrawn, which takes longer."""
OPACITY = 0.4
"""Of the prediction, so that strokes stand out from it."""


class PreviewLayers:
    """Layers of a live prediction; all methods are for the GUI thread.

    Parameters
    ----------
    viewer : Viewer
        Where the layers go.
    sources : sequence of Source
        The images that are learnt from, in the order in which tiles count them.
    class_values : sequence of int
        Label value of each class, in the order of the network's channels.
    class_colours : sequence of str
        "#rrggbb" for each class; empty for colours chosen here.
    task : {"instances", "classes"}
        What is learnt.
    unlabelled : int, optional
        The label value of pixels that nobody has labelled; ``None`` if there is none,
        then only 0 is written over by `accept`.
    """

    def __init__(
        self,
        viewer: Viewer,
        sources: Sequence[Source],
        class_values: Sequence[int],
        class_colours: Sequence[str],
        task: Task,
        unlabelled: int | None = None,
    ) -> None:
        self._viewer = viewer
        self._sources = tuple(sources)
        self._task = task
        self._unlabelled = unlabelled
        self._kinds = (FOREGROUND if task == "instances" else CLASSES, UNSURE)
        self._layers: dict[str, Layer] = {}
        self._arrays: PreviewArrays | None = None
        self._stale: list[str] = []  # their layers do not show the present arrays
        self._changed: list[str] = []
        self._not_before = 0.0
        self._accepted = Accepted(0, "")
        self.set_classes(class_values, class_colours)

    def set_classes(
        self, class_values: Sequence[int], class_colours: Sequence[str]
    ) -> None:
        """Say what the network's channels mean from now on; they may have become more.

        Parameters
        ----------
        class_values, class_colours
            As when this was made.
        """
        self._values = tuple(class_values)
        self._colours = colours_of(class_values, class_colours)
        layer = self._present(CLASSES)
        if layer is not None:
            layer.colormap = class_colormap(self._colours)
        self._arrays = None

    def show(self, tile: PreviewTile) -> None:
        """Take a tile, and draw it if the last drawing is long enough ago.

        What waits is drawn by `step`, or with the next tile; the last tile of a pass
        never waits.

        Parameters
        ----------
        tile : PreviewTile
            Of the present run. One with channels that were not told of is dropped.
        """
        if self._task == "classes" and len(tile.mean) != len(self._values):
            return
        seen = Part(tile.image, tile.region, tile.loop)
        if self._arrays is None or not self._arrays.part.shows(seen):
            self._cover(seen)
        if self._arrays is not None:
            self._arrays.write(tile)
        self._changed = list(self._kinds)
        if tile.done:
            self._not_before = 0.0
            self._see_through(seen)
        self.step()

    def step(self) -> bool:
        """Draw one thing that waits to be drawn, if it is time; for a timer.

        Returns
        -------
        bool
            Whether there was anything to do.
        """
        started = time.monotonic()
        if started < self._not_before or self._arrays is None:
            return False
        pause = REDRAW_SECONDS * (IN_DEPTH if self._arrays.part.is_deep else 1)
        if self._stale:
            kind = self._stale.pop(0)
            self._put(kind, self._arrays)
        else:
            kind = next((k for k in self._changed if self._on_screen(k)), "")
            if not kind:
                return False
            self._layers[kind].refresh(extent=False, highlight=False, thumbnail=False)
            pause = max(pause, (time.monotonic() - started) / REDRAW_SHARE)
        self._changed = [other for other in self._changed if other != kind]
        self._not_before = time.monotonic() + pause
        return True

    def clear(self) -> None:
        """Empty the layers; they stay, for the next run."""
        if self._arrays is None:
            return
        self._arrays.empty()
        for kind in self._kinds:
            layer = self._present(kind)
            if layer is not None:
                layer.refresh(extent=False, highlight=False)
        self._changed = []

    def accept(self, labels_layer: Labels, view: Box, image: int | None = None) -> int:
        """Write the prediction to a labels layer, where nothing is labelled yet.

        It is one step to undo. Objects get new numbers; those that the view cuts, or
        that are there already, are left out (see `accepted_text`).

        Parameters
        ----------
        labels_layer : Labels
            The user's labels of the image that is shown.
        view : Box
            Where, one interval in pixels for each loop and spatial axis.
        image : int, optional
            Which image the labels and the view are of; ``None`` for the one that is
            shown.

        Returns
        -------
        int
            Pixels written.

        Raises
        ------
        LabelsError
            If the layer cannot be painted on, does not fit the image, or its numbers
            are used up.
        """
        self._accepted = Accepted(
            0, "There is no prediction yet; wait for the preview."
        )
        shown = None if self._arrays is None else self._arrays.part.image
        if self._arrays is not None and image in (None, shown):
            source = self._sources[self._arrays.part.image]
            prediction = Prediction(self._arrays, source, self._task, self._values)
            self._accepted = accept(prediction, labels_layer, view, self._unlabelled)
        return self._accepted.n_pixels

    @property
    def accepted_text(self) -> str:
        """What the last `accept` did, in words."""
        return self._accepted.text

    def _cover(self, seen: Part) -> None:
        """Have arrays that hold a view; what is known of it already is taken over."""
        earlier = self._arrays
        values = self._values if self._task == "classes" else ()
        part = replace(seen, region=self._region(seen))
        self._arrays = PreviewArrays(part, values)
        if earlier is not None:
            self._arrays.take_over(earlier)
        self._stale = list(self._kinds)

    def _see_through(self, seen: Part) -> None:
        """In a volume, do not paint the commonest class: it hides all the others."""
        layer, arrays = self._present(CLASSES), self._arrays
        if layer is None or arrays is None:
            return
        colours = dict(self._colours)
        if seen.is_deep:
            colours.pop(arrays.commonest, None)
        if set(layer.colormap.color_dict) - {None, 0} != set(colours):
            layer.colormap = class_colormap(colours)

    def _region(self, seen: Part) -> Box:
        """Return all of the planes in view if they are small, else what is in view."""
        source = self._sources[seen.image]
        sizes = dict(zip(source.shown_axes, source.shown_shape, strict=True))
        whole = (*seen.region[:-2], (0, sizes["Y"]), (0, sizes["X"]))
        part = replace(seen, region=whole)
        return whole if part.n_pixels <= MOST_SHOWN else seen.region

    def _put(self, kind: str, arrays: PreviewArrays) -> None:
        """Let the layer of a kind show these arrays."""
        source = self._sources[arrays.part.image]
        place = shown_place(source, arrays.part)
        pixels = arrays.uncertainty if kind == UNSURE else arrays.main
        data = place.as_shown(pixels)
        layer = self._present(kind)
        if layer is None and kind in self._layers:  # the user took it away
            return
        if layer is not None and layer.ndim != data.ndim:  # of another kind of image
            _set_aside(layer)
            layer = None
        layer = layer or self._used_before(kind, data.ndim)
        if layer is None:
            layer = self._new(kind, data, place.geometry)
            add_quietly(self._viewer, layer, self._lowest_labels(source.name))
        else:
            layer.data = data
            set_geometry(layer, place.geometry)
            self._raise_above(source.name, layer)
            layer.visible = layer.visible or layer.name.endswith(OLDER)
        layer.name = f"{source.name} | {kind}"
        layer.metadata = {KEY: {"group": source.name + " (preview)", "result": kind}}
        self._layers[kind] = layer

    def _new(self, kind: str, data: npt.NDArray[Any], geometry: Geometry) -> Layer:
        options = {**geometry.as_layer_options(), "metadata": {KEY: {"result": kind}}}
        if kind == CLASSES:
            colours = class_colormap(self._colours)
            layer = Labels(data, colormap=colours, opacity=OPACITY, **options)
            layer.editable = False
            return layer
        looks = appearance(UNCERTAINTY if kind == UNSURE else MEAN)
        layer = Image(
            data, cache=False, visible=kind != UNSURE, opacity=0.6, **looks, **options
        )
        layer.contrast_limits_range = (0.0, 0.5 if kind == UNSURE else 1.0)
        return layer

    def _used_before(self, kind: str, ndim: int) -> Layer | None:
        """Return a layer to use again, of an earlier run too; hide what is no use."""
        found = None
        for layer in self._viewer.layers:
            if (_kind(layer), layer.ndim) == (kind, ndim):
                found = layer
            elif _kind(layer) in PREVIEWS and _kind(layer) not in self._kinds:
                _set_aside(layer)
        if isinstance(found, Labels):
            found.colormap = class_colormap(self._colours)
        return found

    def _lowest_labels(self, image: str) -> Layer | None:
        """Return the lowest labels over an image, below which predictions belong."""
        layers = list(self._viewer.layers)
        first = next((i for i, la in enumerate(layers) if la.name == image), -1) + 1
        over = (la for la in layers[first:] if isinstance(la, Labels))
        return next((la for la in over if _kind(la) not in PREVIEWS), None)

    def _raise_above(self, image: str, layer: Layer) -> None:
        """Move a layer up if an image lies over it; the image before lay lower."""
        layers = self._viewer.layers
        at = layers.index(layer)
        if image in layers and layers.index(image) > at:
            labels = self._lowest_labels(image)
            layers.move(at, len(layers) if labels is None else layers.index(labels))

    def _present(self, kind: str) -> Layer | None:
        """Return a layer, unless the user removed it."""
        layer = self._layers.get(kind)
        return layer if layer is not None and layer in self._viewer.layers else None

    def _on_screen(self, kind: str) -> bool:
        layer = self._present(kind)
        return layer is not None and bool(layer.visible)


def _kind(layer: Layer) -> str:
    """Return what a layer was made for here; empty for layers of the user."""
    return str(layer.metadata.get(KEY, {}).get("result", ""))


def _set_aside(layer: Layer) -> None:
    layer.visible = False
    if not layer.name.endswith(OLDER):
        layer.name += OLDER
