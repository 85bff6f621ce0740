"""Noticing that somebody has painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_unetpp._napari import LabelledSource, read_labels_layer, snapshot
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels
    from napari.viewer import Viewer


class _Watched(QObject):  # type: ignore[misc]
    """One labels layer: whether it was painted on since the last look."""

    touched = Signal()

    def __init__(self, layer: Labels, parent: QObject) -> None:
        super().__init__(parent)
        self.layer = layer
        self.dirty = False
        # A stroke is told once, when the button is released; an undo only as the
        # second; a new array in the place of the old as the third.
        self._events = [layer.events.paint, layer.events.set_data, layer.events.data]
        for event in self._events:
            event.connect(self._touched)

    def end(self) -> None:
        for event in self._events:
            event.disconnect(self._touched)
        self.deleteLater()

    def _touched(self, *_: object) -> None:
        self.dirty = True
        self.touched.emit()


class LabelWatcher(QObject):  # type: ignore[misc]
    """Tells when any of some labels layers was painted on; for the GUI thread."""

    touched = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._watched: list[_Watched] = []

    def watch(self, layers: Sequence[Labels]) -> None:
        """Watch these layers, and no others any more."""
        if [one.layer for one in self._watched] == list(layers):
            return
        for one in self._watched:
            one.end()
        self._watched = [_Watched(layer, self) for layer in layers]
        for one in self._watched:
            one.touched.connect(self.touched)


class Strokes(QObject):  # type: ignore[misc]
    """Copies of the labels of a training, renewed when somebody has painted.

    A layer that is removed, or gets another shape, stays as it was; `lost` says so.

    Parameters
    ----------
    viewer : Viewer
        The viewer of the layers.
    layers : sequence of Labels
        The labels layer of each image.
    pairs : sequence of LabelledSource
        What the training has begun with, in the same order.
    parent : QObject
        The panel.
    """

    lost = Signal(str)

    def __init__(
        self,
        viewer: Viewer,
        layers: Sequence[Labels],
        pairs: Sequence[LabelledSource],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._pairs = list(pairs)
        self._copies: list[Any] = [pair.labels.data for pair in pairs]
        self._watched: list[_Watched | None] = [_Watched(la, self) for la in layers]
        self._kept_last = False
        self._removed = viewer.layers.events.removed
        self._removed.connect(self._keep)

    def newest(self) -> list[Any] | None:
        """Return the labels of all images, if any were painted on since last time."""
        changed = [self._renew(i) for i in range(len(self._watched))]
        kept_last, self._kept_last = self._kept_last, False
        return list(self._copies) if kept_last or any(changed) else None

    def now(self) -> list[Any]:
        """Return the labels of all images as they are now."""
        return [
            snapshot(self._read(i, one.layer)) if one and one.dirty else copy
            for i, (one, copy) in enumerate(
                zip(self._watched, self._copies, strict=True)
            )
        ]

    def end(self) -> None:
        """Watch no more, and let go of the layers and copies."""
        self._removed.disconnect(self._keep)
        for one in self._watched:
            if one is not None:
                one.end()
        self._watched, self._copies, self._pairs = [], [], []
        self.deleteLater()

    def _renew(self, i: int) -> bool:
        """Copy one layer if it was painted on; return whether it was."""
        one = self._watched[i]
        if one is None or not one.dirty:
            return False
        one.dirty = False
        self._copies[i] = snapshot(self._read(i, one.layer))
        return True

    def _read(self, i: int, layer: Labels) -> Any:
        """Return the labels of a layer, the last ones if it does not fit any more."""
        try:
            read = read_labels_layer(layer, self._pairs[i].images[0])
        except LabelsError as error:
            self._give_up(i, f"{error}. Training goes on with the labels before.")
            return self._copies[i]
        return read.data

    def _keep(self, event: Any) -> None:
        """Take a last copy of a layer that is removed."""
        for i, one in enumerate(self._watched):
            if one is not None and one.layer == event.value:
                self._kept_last |= self._renew(i)
                name = str(event.value.name)
                self._give_up(
                    i,
                    f"Labels {name!r} were removed; training goes on with what was"
                    " painted so far.",
                )

    def _give_up(self, i: int, text: str) -> None:
        one = self._watched[i]
        if one is not None:
            one.end()
            self._watched[i] = None
            self.lost.emit(text)
