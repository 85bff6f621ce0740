"""Input fields made from a settings model, so that a setting is described once."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from annotated_types import Ge, Gt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from napari_unetpp.config import Settings

_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """How a setting is written in a form.

    Attributes
    ----------
    text : str
        Name before the field.
    help : str
        Tool tip: units and consequences.
    none : str
        Text for an integer setting that is ``None``.
    suffix : str
        Unit behind a number.
    unit : int
        What a step of an integer field stands for, in that of the setting.
    choices : mapping of str to str
        Texts for the values of a setting with a fixed set of them.
    """

    text: str
    help: str
    none: str = "automatic"
    suffix: str = ""
    unit: int = 1
    choices: Mapping[str, str] = field(default_factory=dict)


class SettingsForm(QWidget):  # type: ignore[misc]
    """A form over some fields of a settings model.

    Parameters
    ----------
    start : Settings
        Values to begin with.
    labels : mapping of str to Label
        Fields shown, in order.

    Attributes
    ----------
    rows : QFormLayout
        For fields that are no settings.
    fields : dict of str to QWidget
        Widget of each setting.
    """

    changed = Signal()

    def __init__(self, start: Settings, labels: Mapping[str, Label]) -> None:
        super().__init__()
        self.fields: dict[str, QWidget] = {}
        self._units = {name: label.unit for name, label in labels.items()}
        self.rows = QFormLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        for name, label in labels.items():
            info = type(start).model_fields[name]
            widget = _make_field(info, label)
            _set_value(widget, getattr(start, name), label.unit)
            widget.setToolTip(label.help)
            widget.setAccessibleName(label.text)
            _changed_signal(widget).connect(self._tell)
            self.rows.addRow(label.text, widget)
            self.rows.labelForField(widget).setToolTip(label.help)
            self.fields[name] = widget

    def values(self) -> dict[str, Any]:
        """Return the value of each field, by the name of its setting."""
        return {
            name: _get_value(widget, self._units[name])
            for name, widget in self.fields.items()
        }

    def _tell(self, *_: object) -> None:
        self.changed.emit()


def _make_field(info: FieldInfo, label: Label) -> QWidget:
    """Return the widget that fits a field's type."""
    kind, optional = _plain_type(info.annotation)
    if typing.get_origin(kind) is Literal:
        return _choice(typing.get_args(kind), label)
    if kind is bool:
        return QCheckBox()
    if kind is int:
        return _integer(info, optional=optional, label=label)
    if kind is float:
        widget = QDoubleSpinBox()
        widget.setDecimals(3)
        widget.setRange(*_limits(info))
        widget.setSuffix(label.suffix)
        return widget
    return QLineEdit()


def _plain_type(annotation: Any) -> tuple[Any, bool]:
    """Split ``int | None`` into ``int`` and whether ``None`` is allowed."""
    args = typing.get_args(annotation)
    if types.NoneType not in args:
        return annotation, False
    return next(a for a in args if a is not types.NoneType), True


def _choice(values: tuple[str, ...], label: Label) -> QComboBox:
    widget = QComboBox()
    for value in values:
        widget.addItem(label.choices.get(value, value), value)
    return widget


def _integer(info: FieldInfo, *, optional: bool, label: Label) -> QSpinBox:
    """Return a spin box; ``None`` is its lowest step, shown as a word."""
    low, high = (int(v) for v in _limits(info))
    widget = QSpinBox()
    widget.setRange(low - 1 if optional else low, high)
    widget.setSuffix(label.suffix)
    if optional:
        widget.setSpecialValueText(label.none)
    return widget


def _limits(info: FieldInfo) -> tuple[float, float]:
    """Return the smallest and largest value that a field allows."""
    low = [float(m.ge) for m in info.metadata if isinstance(m, Ge)]  # type: ignore[arg-type]
    above = [float(m.gt) + 1e-3 for m in info.metadata if isinstance(m, Gt)]  # type: ignore[arg-type]
    return max([*low, *above], default=0.0), _MOST


def _set_value(widget: QWidget, value: Any, unit: int) -> None:
    if isinstance(widget, QComboBox):
        widget.setCurrentIndex(widget.findData(value))
    elif isinstance(widget, QCheckBox):
        widget.setChecked(value)
    elif isinstance(widget, QLineEdit):
        widget.setText(value)
    else:
        low = widget.minimum()
        widget.setValue(low if value is None else value if unit == 1 else value // unit)


def _get_value(widget: QWidget, unit: int) -> Any:
    if isinstance(widget, QComboBox):
        return widget.currentData()
    if isinstance(widget, QCheckBox):
        return widget.isChecked()
    if isinstance(widget, QLineEdit):
        return widget.text()
    is_none = widget.specialValueText() and widget.value() == widget.minimum()
    return None if is_none else widget.value() * unit


def _changed_signal(widget: QWidget) -> Any:
    if isinstance(widget, QComboBox):
        return widget.currentIndexChanged
    if isinstance(widget, QCheckBox):
        return widget.toggled
    if isinstance(widget, QLineEdit):
        return widget.textChanged
    return widget.valueChanged
