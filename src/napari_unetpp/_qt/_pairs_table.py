"""Pairs of images and labels that are learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_unetpp._napari import labels_shapes, new_labels_options, read_layer
from napari_unetpp._qt._layer_choice import ImageChoice, LabelsChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Labels
    from napari.viewer import Viewer

_NEW_DTYPE = np.uint16  # objects may be more than 255
_STROKE = 60
"""A new brush is this part of the image's shorter edge, and 3 to 30 pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class PairLayers:
    """The layers of one image, one or its channels, and its labels."""

    images: tuple[Image, ...]
    labels: Labels | None


class PairRow(QWidget):  # type: ignore[misc]
    """Fields for the layers of one image and its labels.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    """

    changed = Signal()
    removed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.images: list[ImageChoice] = []
        self._removers: list[QToolButton] = []
        self.labels = LabelsChoice(viewer)
        self.channel_button = _tool("+", "Add a layer of this shape as a channel")
        self.channel_button.setAccessibleName("Add a channel")
        self.channel_button.clicked.connect(self.add_channel)
        self.new_button = _tool(
            "New",
            "Add a labels layer of the image's shape and start to paint.\n"
            "Paint a few strokes of each class, each with its own label number.",
        )
        self.new_button.clicked.connect(self.add_labels)
        self.remove_button = _tool("\N{MINUS SIGN}", "Leave this image out")
        self.remove_button.setAccessibleName("Leave this image out")
        self.remove_button.clicked.connect(self.removed)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 4)
        self._grid.setColumnStretch(1, 1)
        widest = self.fontMetrics().horizontalAdvance("+ channel 1")
        self._grid.setColumnMinimumWidth(0, widest)
        self._add_image()
        self.labels.layer_changed.connect(self.changed)
        self.suggest_labels()

    @property
    def layers(self) -> PairLayers:
        """The layers that are chosen now."""
        chosen = (choice.layer for choice in self.images)
        images = tuple(layer for layer in chosen if layer is not None)
        return PairLayers(images, self.labels.layer)

    def choose(self, images: Sequence[Image], labels: Labels) -> None:
        """Choose layers: an image or its channels, and its labels."""
        while len(self.images) > 1:
            self._drop_channel(1)
        for _ in images[1:]:
            self._add_image()
        for choice, layer in zip(self.images, images, strict=True):
            choice.choose(layer)
        self.labels.choose(labels)

    def add_channel(self) -> None:
        """Add another layer of the image as a channel."""
        used = {choice.layer for choice in self.images}
        first, choice = self.images[0].layer, self._add_image()
        layers = list(self._viewer.layers)
        at = layers.index(first) if first in layers else 0
        nearest = sorted(range(len(layers)), key=lambda i: abs(i - at))
        for layer in (layers[i] for i in nearest):
            other = choice.offers(layer) and layer not in used
            if other and first is not None and layer.data.shape == first.data.shape:
                choice.choose(layer)
                break
        self.changed.emit()

    def add_labels(self) -> None:
        """Add a labels layer over the image, chosen and ready to be painted on."""
        image = self.images[0].layer
        if image is None:
            return
        shape, options = new_labels_options(read_layer(image))
        layer = self._viewer.add_labels(np.zeros(shape, _NEW_DTYPE), **options)
        self.labels.choose(layer)
        layer.brush_size = int(np.clip(min(shape[-2:]) // _STROKE, 3, 30))
        self._viewer.layers.selection.active = layer
        layer.mode = "paint"

    def suggest_labels(self) -> None:
        """Choose labels that fit the image, unless some are chosen that do."""
        image, chosen = self.images[0].layer, self.labels.layer
        if image is None:
            return
        shapes = labels_shapes(read_layer(image))
        if chosen is None or tuple(chosen.data.shape) not in shapes:
            self.labels.suggest(shapes)

    def _add_image(self) -> ImageChoice:
        choice = ImageChoice(self._viewer)
        n = len(self.images)
        self.images.append(choice)
        if n == 0:
            choice.setToolTip("The image that is learnt from")
            choice.layer_changed.connect(self._image_changed)
            button = self.channel_button
        else:
            choice.setToolTip(f"Channel {n} of the image, counted from 0")
            choice.layer_changed.connect(self.changed)
            button = _tool("\N{MINUS SIGN}", "Leave this channel out")
            button.clicked.connect(self._remove_channel)
            self._removers.append(button)
        self._place(choice, button)
        return choice

    def _place(self, choice: ImageChoice, button: QToolButton) -> None:
        """Put a field for an image into the grid, and the labels under all of them."""
        n = len(self.images)
        text = "Image" if n == 1 else f"+ channel {n - 1}"
        self._grid.addWidget(QLabel(text), n - 1, 0)
        self._grid.addWidget(choice, n - 1, 1)
        self._grid.addWidget(button, n - 1, 2)
        if n == 1:
            self._labels_text = QLabel("Labels")
            self._grid.addWidget(self.remove_button, 0, 3)
        self._grid.addWidget(self._labels_text, n, 0)
        self._grid.addWidget(self.labels, n, 1)
        self._grid.addWidget(self.new_button, n, 2, 1, 2)

    def _remove_channel(self) -> None:
        self._drop_channel(self._removers.index(self.sender()) + 1)
        self.changed.emit()

    def _drop_channel(self, at: int) -> None:
        for column in range(3):
            widget = self._grid.itemAtPosition(at, column).widget()
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        del self.images[at], self._removers[at - 1]
        self._regrid()

    def _regrid(self) -> None:
        """Close the gap that a channel left."""
        rows = []
        for row in range(self._grid.rowCount()):
            items = [self._grid.itemAtPosition(row, c) for c in range(3)]
            if items[0] is not None:
                rows.append([item.widget() for item in items])
        for n, (text, field, button) in enumerate(rows):
            last = field is self.labels
            if n and not last:
                text.setText(f"+ channel {n}")
            self._grid.addWidget(text, n, 0)
            self._grid.addWidget(field, n, 1)
            self._grid.addWidget(button, n, 2, 1, 2 if last else 1)

    def _image_changed(self) -> None:
        self.suggest_labels()
        self.changed.emit()


class PairsTable(QWidget):  # type: ignore[misc]
    """The images and labels that are learnt from, one row or more.

    The first row fills itself: the active image, and the topmost labels of its shape.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.rows: list[PairRow] = []
        self.add_button = QPushButton("Add another image")
        self.add_button.setToolTip(
            "Learn from several images. With four or more, whole images are held out\n"
            "for validation; with fewer, places within them."
        )
        self.add_button.clicked.connect(self.add_row)
        self.add_button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._layout.addWidget(self.add_button)
        self.add_row()
        viewer.layers.events.inserted.connect(self._suggest)

    @property
    def pairs(self) -> list[PairLayers]:
        """The layers of each image."""
        return [row.layers for row in self.rows]

    def add_row(self) -> PairRow:
        """Add fields for another image: one that is not used yet, if there is one."""
        used = {layer for pair in self.pairs for layer in pair.images}
        row = PairRow(self._viewer)
        for layer in reversed(self._viewer.layers):
            if used and layer not in used and row.images[0].offers(layer):
                row.images[0].choose(layer)
                break
        row.changed.connect(self.changed)
        row.removed.connect(self._remove)
        self.rows.append(row)
        self._layout.insertWidget(len(self.rows) - 1, row)
        self._show_removers()
        self.changed.emit()
        return row

    def choose(self, pairs: Sequence[tuple[Sequence[Image], Labels]]) -> None:
        """Choose these layers, and no others."""
        while len(self.rows) > 1:
            self._drop(self.rows[-1])
        for number, (images, labels) in enumerate(pairs):
            if number:
                self.add_row()
            self.rows[-1].choose(images, labels)

    def _remove(self) -> None:
        self._drop(self.sender())

    def _drop(self, row: PairRow) -> None:
        self.rows.remove(row)
        self._layout.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._show_removers()
        self.changed.emit()

    def _show_removers(self) -> None:
        for row in self.rows:
            row.remove_button.setVisible(len(self.rows) > 1)

    def _suggest(self, *_: object) -> None:
        for row in self.rows:
            if row.labels.layer is None:
                row.suggest_labels()


def _tool(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    return button
