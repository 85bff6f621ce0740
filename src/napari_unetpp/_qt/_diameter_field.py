"""How large the objects of an image are: given, drawn, or measured by the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSignalBlocker, QTimer, Signal, Slot
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_unetpp._amounts import AUTO
from napari_unetpp._napari import line_lengths, lines_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Image, Shapes
    from napari.viewer import Viewer

AS_IT_IS, PIXELS, MICRONS = "as it is", "px", "um"

_TEXTS = {
    AS_IT_IS: "as the image is",
    AUTO: "automatic",
    PIXELS: "in pixels",
    MICRONS: "in micrometres",
}
_TO_MICRONS = {"nm": 1e-3, "um": 1.0, "mm": 1e3}
_HELP = (
    "Diameter of the objects in the image. A model knows objects of about one size:\n"
    "the image is read at the size at which yours are like those that it has learnt.\n"
    "Results lie on the pixels of the image. Automatic: the model measures some of\n"
    "them first, which takes a little more time."
)
_MEASURE_HELP = (
    "Draw a line across a typical object: press here, then drag from one side of it\n"
    "to the other. Each further line counts too; the median is taken."
)


class DiameterField(QWidget):  # type: ignore[misc]
    """Chooses a diameter: none, measured by the model, or a number.

    Parameters
    ----------
    viewer : Viewer
        In which a line can be drawn.
    image : callable
        Returns the image layer that is measured, ``None`` if there is none.
    """

    changed = Signal()
    said = Signal(str)

    def __init__(self, viewer: Viewer, image: Callable[[], Image | None]) -> None:
        super().__init__()
        self._viewer, self._image = viewer, image
        self._layer: Shapes | None = None
        self._before: Any = None
        self._learnt: float | None = None
        self.way = QComboBox()
        for way, text in _TEXTS.items():
            self.way.addItem(text, way)
        self.way.setToolTip(_HELP)
        self.way.setAccessibleName("Object diameter")
        self.way.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.number = QDoubleSpinBox()
        self.number.setDecimals(1)
        self.number.setRange(0.1, 100_000)
        self.number.setToolTip(_HELP)
        self.number.setAccessibleName("Object diameter in pixels")
        self.measure = QPushButton("Draw")
        self.measure.setCheckable(True)
        self.measure.setToolTip(_MEASURE_HELP)
        rows = QGridLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setColumnStretch(0, 1)
        rows.addWidget(self.way, 0, 0)
        rows.addWidget(self.measure, 0, 1)
        rows.addWidget(self.number, 1, 0, 1, 2)
        self.way.currentIndexChanged.connect(self._way_changed)
        self.number.valueChanged.connect(self._tell)
        self.measure.toggled.connect(self._draw)
        self._show_number()

    @property
    def value(self) -> float | str | None:
        """What is chosen, as `PredictionConfig.diameter` has it."""
        way = self.way.currentData()
        if way == PIXELS:
            return float(self.number.value())
        if way == MICRONS:
            return f"{self.number.value():g} {MICRONS}"
        return AUTO if way == AUTO else None

    def show_value(self, value: float | str | None) -> None:
        """Show a diameter of a recipe or of the preferences."""
        with QSignalBlocker(self.number):
            if value is None or value == AUTO:
                self._choose(AUTO if value == AUTO else AS_IT_IS)
            elif isinstance(value, str):
                number, unit = value.split()
                self.number.setValue(float(number) * _TO_MICRONS[unit])
                self._choose(MICRONS)
            else:
                self.number.setValue(value)
                self._choose(PIXELS)
        self._tell()

    def show_learnt(self, diameter: float | None) -> None:
        """Begin with what the model has learnt, until a number is given."""
        if diameter is not None and self._learnt is None:
            self._learnt = diameter
            with QSignalBlocker(self.number):
                if self.way.currentData() in (AS_IT_IS, AUTO):
                    self.number.setValue(diameter)

    def _choose(self, way: str) -> None:
        self.way.setCurrentIndex(self.way.findData(way))

    def _way_changed(self, *_: object) -> None:
        self._show_number()
        self._tell()

    def _show_number(self) -> None:
        way = self.way.currentData()
        self.number.setVisible(way in (PIXELS, MICRONS))
        self.number.setSuffix(" µm" if way == MICRONS else " px")

    def _tell(self, *_: object) -> None:
        self.changed.emit()

    @Slot(bool)  # type: ignore[untyped-decorator]
    def _draw(self, wanted: bool) -> None:
        """Let the user draw a line, or leave it."""
        image = self._image()
        if not wanted:
            self._leave()
            return
        if image is None:
            self.measure.setChecked(False)
            self.said.emit("Open an image first: a line is drawn on it.")
            return
        self._before = self._viewer.layers.selection.active
        self._layer = lines_layer(self._viewer, image)
        self._layer.visible = True
        self._viewer.layers.selection.active = self._layer
        self._layer.mode = "add_line"
        self._layer.mouse_drag_callbacks.append(self._drawing)
        self.said.emit("Drag a line across a typical object, from side to side.")

    def _drawing(self, layer: Shapes, event: Any) -> Generator[None, None, None]:
        """Follow the mouse while a line is drawn."""
        yield
        while event.type == "mouse_move":
            yield
        # The layer ends the line after this: what is measured must be complete.
        QTimer.singleShot(0, self._drawn)

    @Slot()  # type: ignore[untyped-decorator]
    def _drawn(self) -> None:
        """Take the length of what was drawn."""
        image = self._image()
        if self._layer is None or image is None:
            return
        lengths = line_lengths(self._layer, image)
        if not lengths:
            return
        diameter = float(np.median(lengths))
        self.show_value(round(diameter, 1))
        many = f", the median of {len(lengths)} lines" if len(lengths) > 1 else ""
        self.said.emit(f"Objects of {diameter:.1f} px{many}.")
        self.measure.setChecked(False)

    def _leave(self) -> None:
        """Give the mouse back to whatever had it before."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        if self._drawing in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._drawing)
        if layer in self._viewer.layers:
            layer.mode = "pan_zoom"
        if self._before in self._viewer.layers:
            self._viewer.layers.selection.active = self._before
