"""The layers of one run while it goes on: added and redrawn in small steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_unetpp._napari._layers import add_image_result, add_labels_result
from napari_unetpp._napari._view import plane_in_view

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._layers import ResultGroup
    from napari_unetpp._napari._results import ResultArrays

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
    arrays : ResultArrays
        What they show; another thread writes to it.
    """

    def __init__(
        self, viewer: Viewer, group: ResultGroup, arrays: ResultArrays
    ) -> None:
        self._viewer = viewer
        self._group = group
        self._arrays = arrays
        self._waiting = list(arrays.names)
        self._labels: npt.NDArray[Any] | None = None
        self._hide_main = False
        self._layers: dict[str, Layer] = {}
        self._changed: dict[str, set[tuple[int, ...]]] = {
            n: set() for n in arrays.names
        }
        self._not_before = 0.0

    def tile_done(self, plane: tuple[int, ...]) -> None:
        """Note that a tile of a plane was written."""
        for planes in self._changed.values():
            planes.add(plane)

    def end(self, labels: npt.NDArray[Any] | None) -> None:
        """Note that no tile comes any more, and the labels, (*shown axes), if any."""
        self._labels = labels
        self._not_before = 0.0

    def step(self) -> bool:
        """Add the next layer, or redraw one that changed.

        Returns
        -------
        bool
            Whether there was anything to do.
        """
        if self._waiting:
            self._add(self._waiting.pop(0))
        elif self._labels is not None:
            add_labels_result(self._viewer, self._group, self._labels)
            self._labels = None
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
        """Whether a visible plane of a visible layer changed."""
        layer = self._present(kind)
        if layer is None or not layer.visible or not self._changed[kind]:
            return False
        if self._viewer.dims.ndisplay == 3:
            return True
        return self._plane(layer) in self._changed[kind]

    def _plane(self, layer: Layer) -> tuple[int, ...]:
        """Return the index of the plane on the screen along the loop axes."""
        layout = self._arrays.layout
        return plane_in_view(self._viewer, layer, layout.shown_axes, layout.loop_axes)

    def _redraw(self, kind: str) -> None:
        started = time.monotonic()
        layer = self._layers[kind]
        # The plane on the screen is drawn now, the others when they come up.
        self._changed[kind].clear()
        layer.refresh(extent=False, highlight=False)
        now = time.monotonic()
        pause = max(REDRAW_SECONDS, (now - started) / REDRAW_SHARE)
        self._not_before = now + pause
