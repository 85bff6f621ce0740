"""What labels say: objects or classes, what 0 means, and which classes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_unetpp._qt._class_table import ClassTable
from napari_unetpp._qt._text import small_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels
    from qtpy.QtWidgets import QFormLayout

    from napari_unetpp._napari import LabelsCounted
    from napari_unetpp.config import Task

MEANINGS: dict[str, tuple[Task, int | None]] = {
    "Classes; 0 is not labelled yet": ("classes", 0),
    "Classes; 0 is a class, too": ("classes", None),
    "Objects; 0 is background": ("instances", None),
}
ASK = "Choose what 0 means…"


class LabelFields(QObject):  # type: ignore[misc]
    """Fields that say what labels mean.

    The meaning is guessed from the labels until the user chooses one; where the guess
    is not safe, the user is asked.
    """

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._counted: LabelsCounted | None = None
        self._layer: Labels | None = None
        self._chosen = False
        self._safe: tuple[Task, int | None] | None = None
        self.meaning = QComboBox()
        self.meaning.setAccessibleName("Labels say")
        self.meaning.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.meaning.setToolTip(
            "What the numbers in the labels say, guessed from them.\nStrokes on some"
            " pixels: 0 is not labelled yet, and is not learnt.\nEvery pixel painted: 0"
            " is a class like the others.\nObjects: each has a number of its own, and 0"
            " is the background between them."
        )
        self.text = small_label()
        self.classes = ClassTable()
        self._offer(ask=False)
        self.meaning.activated.connect(self._choose)
        self.classes.names_changed.connect(self.changed)

    def add_to(self, rows: QFormLayout) -> None:
        """Put the fields into a form."""
        rows.addRow("Labels say", self.meaning)
        rows.addRow("", self.text)
        rows.addRow(self.classes)
        self._show()

    @property
    def task(self) -> Task:
        """What label values number."""
        return self._meaning[0]

    @property
    def unlabelled(self) -> int | None:
        """The value of pixels that nobody has labelled."""
        return self._meaning[1]

    @property
    def names(self) -> dict[int, str]:
        """Name of each class, empty for objects."""
        return self.classes.names if self.task == "classes" else {}

    @property
    def colours(self) -> dict[int, str]:
        """Colour of each class in its layer ("#rrggbb"), empty for objects."""
        layer, counted = self._layer, self._counted
        if layer is None or counted is None or self.task != "classes":
            return {}
        values = [value for value in counted.pixels if value != self.unlabelled]
        found = {value: layer.get_color(value) for value in values}
        return {v: _hex(rgba) for v, rgba in found.items() if rgba is not None}

    @property
    def problem(self) -> str:
        """Why nothing can be learnt from the labels, empty if something can."""
        if self.meaning.currentData() is None:
            return "say what 0 means in the labels"
        if self._counted is None:
            return ""  # not counted yet; the core looks, too
        values = set(self._counted.pixels) - {self.unlabelled}
        if self.task == "instances":
            if not values - {0}:
                return "nothing is painted yet: paint objects, each with its own number"
        elif not values - {0} and len(values) < 2:
            return (
                "nothing is painted yet: paint a few strokes of each class, each with"
                " its own label number"
            )
        elif len(values) == 1:
            return (
                f"only class {next(iter(values))} is painted: paint at least one other,"
                " the background for example, with another label number"
            )
        return ""

    def follow(self, layer: Labels | None) -> None:
        """Take colours from this layer; of another one 0 may mean something else."""
        if layer is not self._layer:
            self._chosen, self._safe, self._layer = False, None, layer

    def show_counts(self, counted: LabelsCounted) -> None:
        """Show what is in the labels, and what it seems to mean."""
        self._counted = counted
        if not self._chosen:
            self._guess(counted)
        self._show()
        self.changed.emit()

    def _guess(self, counted: LabelsCounted) -> None:
        """Guess what labels mean, and stay with a guess that was safe once.

        A layer that was empty when it was chosen is painted by hand: what is 0 there,
        nobody has labelled yet.
        """
        task, unlabelled, ambiguous = counted.meaning
        if set(counted.pixels) <= {0}:
            task, unlabelled, ambiguous = "classes", 0, False
        elif ambiguous and self._safe is not None and task == self._safe[0]:
            (task, unlabelled), ambiguous = self._safe, False
        if not ambiguous:
            self._safe = task, unlabelled
        self._offer(ask=ambiguous)
        if not ambiguous:
            self._select(task, unlabelled)

    def choose(self, task: Task, unlabelled: int | None) -> None:
        """Choose a meaning."""
        self._select(task, unlabelled)
        self._choose()

    @property
    def _meaning(self) -> tuple[Task, int | None]:
        return self.meaning.currentData() or ("classes", 0)

    def _choose(self, *_: object) -> None:
        self._chosen = self.meaning.currentData() is not None
        self._show()
        self.changed.emit()

    def _offer(self, *, ask: bool) -> None:
        with QSignalBlocker(self.meaning):
            self.meaning.clear()
            if ask:
                self.meaning.addItem(ASK, None)
            for text, value in MEANINGS.items():
                self.meaning.addItem(text, value)

    def _select(self, task: Task, unlabelled: int | None) -> None:
        for i in range(self.meaning.count()):
            if self.meaning.itemData(i) == (task, unlabelled):
                self.meaning.setCurrentIndex(i)

    def _show(self) -> None:
        pixels = dict(self._counted.pixels) if self._counted else {}
        self.text.setText(self._words(pixels))
        known = self.meaning.currentData() is not None
        if known and self.unlabelled is not None:
            pixels.pop(self.unlabelled, None)
        listed = known and self.task == "classes" and bool(pixels)
        if listed:
            self.classes.show_classes(pixels, self.colours, self._defaults(pixels))
        self.classes.setVisible(listed)

    def _words(self, pixels: Mapping[int, int]) -> str:
        n_all = sum(pixels.values())
        painted = n_all - pixels.get(0, 0)
        share = percent(painted / max(n_all, 1))
        if self.meaning.currentData() is None:
            return "Is 0 a class, or what nobody has looked at? The labels fit both."
        if self.task == "instances":
            n = len(pixels) - (0 in pixels)
            return f"{n:,} object{'s' * (n != 1)} on {share} of the pixels"
        if self.unlabelled == 0:
            return f"{painted:,} pixels are painted ({share})"
        return "every pixel counts, the 0 too"

    def _defaults(self, pixels: Mapping[int, int]) -> dict[int, str]:
        dense = self.unlabelled is None
        return {v: "background" if dense and v == 0 else f"class {v}" for v in pixels}


def percent(share: float) -> str:
    """Return a share in percent, with two digits where it is small."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _hex(rgba: Any) -> str:
    return "#" + "".join(f"{round(255 * float(v)):02x}" for v in rgba[:3])
