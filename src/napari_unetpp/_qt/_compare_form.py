"""What is compared with what, and how: the fields of the Compare panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QSpinBox, QWidget

from napari_unetpp._napari import (
    CompareRequest,
    can_be_compared,
    compare_request,
    is_found,
    task_of,
)
from napari_unetpp._qt._layer_choice import LayerChoice
from napari_unetpp.errors import LabelsError

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp.config import Task

_TASKS: tuple[tuple[str, Task], ...] = (
    ("objects", "instances"),
    ("classes", "classes"),
)
_NONE = -1


class _Choice(LayerChoice):
    """Combo box of the labels layers that can be compared."""

    def offers(self, layer: Layer) -> bool:
        return can_be_compared(layer)


class CompareForm(QWidget):  # type: ignore[misc]
    """Two layers, what their values number, and two limits.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.labels = _named(_Choice(viewer), "Labels", "What a model, or you, made")
        self.truth = _named(_Choice(viewer), "Truth", "The labels that are right")
        self.task = QComboBox()
        for words, task in _TASKS:
            self.task.addItem(words, task)
        _named(
            self.task,
            "Values are",
            "objects: each has a number of its own, 0 lies between them.\n"
            "classes: each value is a class; 0 is the background.",
        )
        self.unlabelled = QSpinBox()
        self.unlabelled.setRange(_NONE, 2**31 - 1)
        self.unlabelled.setValue(_NONE)
        self.unlabelled.setSpecialValueText("all labelled")
        _named(
            self.unlabelled,
            "Not labelled",
            "Value in the truth of pixels that nobody has labelled; they do not count."
            "\n0 if the truth is strokes.",
        )
        self.tolerance = _spin(2.0, (0.0, 50.0), 0.5, " px")
        _named(
            self.tolerance,
            "Tolerance",
            "Boundary F: outlines that are not further apart are the same",
        )
        self.iou = _spin(0.5, (0.05, 1.0), 0.05)
        _named(
            self.iou,
            "Found from IoU",
            "Objects of a lower IoU with the true one are shown as errors. The scores"
            "\nsay at which IoU they are taken.",
        )
        self._lay_out()
        self.suggest()
        self.labels.layer_changed.connect(self._labels_changed)
        self.truth.layer_changed.connect(self.changed)
        self.task.currentIndexChanged.connect(self._task_changed)
        for field in (self.unlabelled, self.tolerance, self.iou):
            field.valueChanged.connect(self.changed)
        self._task_changed()

    def suggest(self) -> None:
        """Choose the topmost result and the topmost other labels of its shape."""
        offered = [la for la in reversed(self._viewer.layers) if can_be_compared(la)]
        found = next((la for la in offered if is_found(la)), None)
        self.labels.choose(found if found is not None else next(iter(offered), None))
        chosen = self.labels.layer
        others = [la for la in offered if la != chosen and not is_found(la)]
        same = [la for la in others if _shape(la) == _shape(chosen)]
        self.truth.choose(next(iter([*same, *others]), None))
        self._suggest_task()

    @property
    def chosen_task(self) -> Task:
        """What the values number."""
        index: int = self.task.currentIndex()
        return _TASKS[index][1]

    @property
    def ready(self) -> bool:
        """Whether two layers are chosen."""
        layers = self.labels.layer, self.truth.layer
        return None not in layers and layers[0] != layers[1]

    def request(self) -> CompareRequest:
        """Freeze what is chosen; call it in the GUI thread.

        Raises
        ------
        LabelsError
            If the layers cannot be compared.
        """
        labels, truth = self.labels.layer, self.truth.layer
        if not isinstance(labels, Labels) or not isinstance(truth, Labels):
            raise LabelsError(
                "there are no two labels layers in the viewer; open or paint the labels"
                " that are right"
            )
        value = self.unlabelled.value()
        return compare_request(
            labels,
            truth,
            self.chosen_task,
            None if value == _NONE else value,
            self.tolerance.value(),
            self.iou.value(),
        )

    def _lay_out(self) -> None:
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        fields = (self.labels, self.truth, self.task, self.unlabelled)
        for field in (*fields, self.tolerance, self.iou):
            layout.addRow(field.accessibleName(), field)

    def _labels_changed(self) -> None:
        self._suggest_task()
        self.changed.emit()

    def _suggest_task(self) -> None:
        """Choose what a result says that its values number."""
        layer = self.labels.layer
        task = None if layer is None else task_of(layer)
        if task is not None:
            self.task.setCurrentIndex([own for _, own in _TASKS].index(task))

    def _task_changed(self) -> None:
        self.iou.setEnabled(self.chosen_task == "instances")
        self.changed.emit()


def _named(field: QWidget, name: str, hint: str) -> QWidget:
    """Give a field the name that stands before it, and a hint."""
    field.setAccessibleName(name)
    field.setToolTip(hint)
    return field


def _spin(
    value: float, limits: tuple[float, float], step: float, suffix: str = ""
) -> QDoubleSpinBox:
    """Return a field for a number."""
    field = QDoubleSpinBox()
    field.setRange(*limits)
    field.setSingleStep(step)
    field.setValue(value)
    field.setSuffix(suffix)
    return field


def _shape(layer: Layer | None) -> tuple[int, ...]:
    """Return the shape of labels at full size."""
    if layer is None:
        return ()
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)
