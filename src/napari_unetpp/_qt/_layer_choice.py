"""A list of the image layers of a viewer that follows the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_unetpp._napari import is_result

if TYPE_CHECKING:
    from napari.viewer import Viewer


class LayerChoice(QComboBox):  # type: ignore[misc]
    """Combo box of a viewer's image layers, without those that are our results.

    Only bound methods are connected: napari holds them weakly, so that a panel that is
    gone gets no more events.
    """

    layer_changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers: list[Image] = []
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.setToolTip("The image that is segmented")
        self.setAccessibleName("Image")
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._refill)
        self._refill()
        self.setCurrentIndex(self._index_of(viewer.layers.selection.active))
        self.currentIndexChanged.connect(self._tell)

    @property
    def layer(self) -> Image | None:
        """The chosen layer, ``None`` if the viewer has no image."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Image) -> None:
        """Choose a layer of the viewer."""
        self.setCurrentIndex(self._index_of(layer))

    def _refill(self, *_: object) -> None:
        before = self.layer
        with QSignalBlocker(self):
            self.clear()
            self._layers = [
                layer
                for layer in reversed(self._viewer.layers)
                if isinstance(layer, Image) and not is_result(layer)
            ]
            for layer in self._layers:
                self.addItem(layer.name)
                layer.events.name.connect(self._rename)
            self.setCurrentIndex(self._index_of(before))
        if self.layer != before:
            self._tell()

    def _index_of(self, layer: object) -> int:
        """Return the index of a layer, of the first (-1 if none) if it is not there."""
        first = 0 if self._layers else -1
        return next((i for i, own in enumerate(self._layers) if own == layer), first)

    def _rename(self, *_: object) -> None:
        for i, layer in enumerate(self._layers):
            self.setItemText(i, layer.name)

    def _tell(self, *_: object) -> None:
        self.layer_changed.emit()
