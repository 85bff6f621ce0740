"""The layers of one run while it goes on: added and redrawn in small steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_unetpp._napari._layers import (
    LABELS,
    add_image_result,
    add_labels_result,
    set_geometry,
)
from napari_unetpp._napari._view import visible_box

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._layers import ResultGroup
    from napari_unetpp._napari._messages import LabelsReady, ShownArrays
    from napari_unetpp._types import Box

REDRAW_SECONDS = 0.25
"""Least time between two redraws."""
REDRAW_SHARE = 0.1
"""Most of the GUI thread's time that redrawing takes."""


class ShownResults:
    """Layers over the arrays of a run.

    All methods are for the GUI thread. `step` does one small piece of work, so that a
    timer can call it without the viewer stopping.

    Parameters
    ----------
    viewer : Viewer
        Where the layers go.
    group : ResultGroup
        Names and place.
    arrays : ShownArrays
        What they show; another thread writes to it.
    """

    def __init__(self, viewer: Viewer, group: ResultGroup, arrays: ShownArrays) -> None:
        self._viewer = viewer
        self._group = group
        self._arrays = arrays
        self._waiting = list(arrays.names)
        self._moved: list[str] = []
        self._end: LabelsReady | None = None
        self._hide_main = False
        self._layers: dict[str, Layer] = {}
        # What is not on the screen is drawn when it comes there: one box is enough.
        self._changed: dict[str, Box] = {}
        self._not_before = 0.0
        group.set_aside(viewer, (*arrays.names, LABELS))

    def tile_done(self, box: Box) -> None:
        """Note that a part of the result has changed, one interval for each axis."""
        for kind in self._arrays.names:
            if kind not in self._changed or self._meets_view(kind, box):
                self._changed[kind] = box

    def end(self, end: LabelsReady) -> None:
        """Note that no tile comes any more, and what is shown from now on."""
        self._end = end
        self._not_before = 0.0
        self._group = end.group or self._group
        if end.arrays is not None:
            self._arrays = end.arrays
            self._moved = list(self._layers)

    def step(self) -> bool:
        """Add the next layer, or redraw one that changed.

        Returns
        -------
        bool
            Whether there was anything to do.
        """
        if self._moved:
            self._move(self._moved.pop())
        elif self._waiting:
            self._add(self._waiting.pop(0))
        elif self._end is not None:
            add_labels_result(self._viewer, self._group, self._end.labels)
            self._end = None
            self._hide_main = True
        elif self._hide_main:
            self._hide_main_result()
        elif time.monotonic() >= self._not_before:
            kind = next((k for k in self._layers if self._to_redraw(k)), None)
            if kind is None:
                return False
            self._redraw(kind)
        return True

    def _add(self, kind: str) -> None:
        self._layers[kind] = add_image_result(
            self._viewer,
            self._group,
            kind,
            self._arrays.data(kind),
            multiscale=self._arrays.multiscale,
            below=self._layers.get(self._arrays.names[0]),
        )

    def _move(self, kind: str) -> None:
        """Let a layer show the results where they lie now."""
        layer = self._present(kind)
        if layer is not None:
            layer.data = self._arrays.data(kind)
            set_geometry(layer, self._group.geometry)

    def _hide_main_result(self) -> None:
        """Hide the mean, which would dim the labels."""
        self._hide_main = False
        mean = self._present(self._arrays.names[0])
        if mean is not None:
            mean.visible = False

    def _present(self, kind: str) -> Layer | None:
        """Return a layer, unless the user removed it."""
        layer = self._layers.get(kind)
        return layer if layer is not None and layer in self._viewer.layers else None

    def _to_redraw(self, kind: str) -> bool:
        """Whether a part of a visible layer changed that is in view."""
        layer, box = self._present(kind), self._changed.get(kind)
        if layer is None or not layer.visible or box is None:
            return False
        return self._meets_view(kind, box)

    def _meets_view(self, kind: str, box: Box) -> bool:
        """Return whether a box of the result is on the screen.

        A layer of one size is in the memory of the graphics card as a whole plane: what
        lies beside the canvas must be right when it is moved there.
        """
        layer, layout = self._present(kind), self._arrays.layout
        if layer is None:
            return False
        shown = visible_box(self._viewer, layer, layout.shown_axes, layout.shown_shape)
        seen = dict(zip(layout.shown_axes, shown, strict=True))
        return all(
            start < seen[letter][1] and seen[letter][0] < stop
            for letter, (start, stop) in zip(layout.result_axes, box, strict=True)
            if letter in layout.loop_axes or layer.multiscale
        )

    def _redraw(self, kind: str) -> None:
        started = time.monotonic()
        layer = self._layers[kind]
        del self._changed[kind]
        layer.refresh(extent=False, highlight=False)
        now = time.monotonic()
        pause = max(REDRAW_SECONDS, (now - started) / REDRAW_SHARE)
        self._not_before = now + pause
