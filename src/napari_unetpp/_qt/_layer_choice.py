"""Lists of layers of a viewer that follow the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image, Labels, Layer, Shapes
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_unetpp._napari import can_be_learnt, is_result

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari.viewer import Viewer


class LayerChoice(QComboBox):  # type: ignore[misc]
    """Combo box of some of a viewer's layers.

    Only bound methods are connected: napari holds them weakly, so that a panel that is
    gone gets no more events.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    none : str
        Text for no layer, the first choice; without it there is no such choice.
    """

    layer_changed = Signal()

    def __init__(self, viewer: Viewer, none: str = "") -> None:
        super().__init__()
        self._viewer = viewer
        self._none = none
        self._layers: list[Layer | None] = []
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._refill)
        self._refill()
        self.currentIndexChanged.connect(self._tell)

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, if there is one."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer of the viewer."""
        self.setCurrentIndex(self._index_of(layer))

    def offers(self, layer: Layer) -> bool:
        """Return whether a layer can be chosen."""
        raise NotImplementedError

    def _refill(self, *_: object) -> None:
        before = self.layer
        with QSignalBlocker(self):
            self.clear()
            found = [la for la in reversed(self._viewer.layers) if self.offers(la)]
            self._layers = [None, *found] if self._none else found
            for layer in self._layers:
                self.addItem(self._none if layer is None else layer.name)
                if layer is not None:
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
            if layer is not None:
                self.setItemText(i, layer.name)

    def _tell(self, *_: object) -> None:
        self.layer_changed.emit()


class ImageChoice(LayerChoice):
    """Combo box of a viewer's image layers, without those that are our results."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self.setToolTip("The image that is segmented")
        self.setAccessibleName("Image")
        self.choose(viewer.layers.selection.active)

    def offers(self, layer: Layer) -> bool:
        return isinstance(layer, Image) and not is_result(layer)


class LabelsChoice(LayerChoice):
    """Combo box of a viewer's labels layers; of our results only final labels.

    They are worth learning from once somebody has corrected them; previews are not.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer, none="none yet")
        self.setToolTip(
            "What is painted on the image: a few strokes of each class, or a mask"
        )
        self.setAccessibleName("Labels")

    def suggest(self, shapes: Collection[tuple[int, ...]]) -> None:
        """Choose the topmost layer of one of these shapes that is no result of ours."""
        for layer in self._layers:
            if layer is None or is_result(layer) or layer.multiscale:
                continue
            if tuple(layer.data.shape) in shapes:
                self.choose(layer)
                return

    def offers(self, layer: Layer) -> bool:
        return isinstance(layer, Labels) and can_be_learnt(layer)


class InsideChoice(LayerChoice):
    """Combo box of what results can be restricted to: labels and shapes."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer, none="everywhere")
        self.setToolTip(
            "Segment only where a labels layer is not 0, or inside drawn shapes, on the"
            "\nplanes on which they are seen. Tiles without any of it are not read."
        )
        self.setAccessibleName("Only inside")

    def offers(self, layer: Layer) -> bool:
        return isinstance(layer, (Labels, Shapes))
