"""Input fields made from a settings model, so that a setting is described once."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
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
    left_out : str
        Text for an integer setting that is left out of the settings, to be chosen
        later; empty if it must be set.
    decimals : int
        Of a setting that is not whole.
    """

    text: str
    help: str
    none: str = "automatic"
    suffix: str = ""
    unit: int = 1
    choices: Mapping[str, str] = field(default_factory=dict)
    left_out: str = ""
    decimals: int = 3


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
        self._labels = dict(labels)
        self.rows = QFormLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 0)
        self.rows.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        for name, label in labels.items():
            info = type(start).model_fields[name]
            widget = _make_field(info, label)
            widget.setToolTip(label.help)
            widget.setAccessibleName(label.text)
            _changed_signal(widget).connect(self._tell)
            self.rows.addRow(label.text, widget)
            self.rows.labelForField(widget).setToolTip(label.help)
            self.fields[name] = widget
        self.show_settings(start)

    def show_settings(self, settings: Settings) -> None:
        """Show the values of other settings of the same kind."""
        for name, widget in self.fields.items():
            label = self._labels[name]
            value = getattr(settings, name)
            if label.left_out and name not in settings.model_fields_set:
                value = None
            _set_value(widget, value, label.unit)

    def values(self) -> dict[str, Any]:
        """Return the value of each field, by the name of its setting.

        Settings that are left out are missing.
        """
        found = {
            name: _get_value(widget, self._labels[name].unit)
            for name, widget in self.fields.items()
        }
        return {
            name: value
            for name, value in found.items()
            if value is not None or not self._labels[name].left_out
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
        return _real(info, optional=optional, label=label)
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
    low, high = (int(v) for v in _limits(info, 1))
    word = label.none if optional else label.left_out
    widget = QSpinBox()
    widget.setRange(low - 1 if word else low, high)
    widget.setSuffix(label.suffix)
    widget.setSpecialValueText(word)
    return widget


def _real(info: FieldInfo, *, optional: bool, label: Label) -> QDoubleSpinBox:
    """Return a spin box for a real number; ``None`` is its lowest step, as a word."""
    step = 10.0**-label.decimals
    low, high = _limits(info, step)
    widget = QDoubleSpinBox()
    widget.setDecimals(label.decimals)
    widget.setSingleStep(10 * step)
    widget.setRange(low - step if optional else low, high)
    widget.setSuffix(label.suffix)
    widget.setSpecialValueText(label.none if optional else "")
    return widget


def _limits(info: FieldInfo, step: float) -> tuple[float, float]:
    """Return the smallest and largest value, in steps, that a field allows."""
    low, high = [0.0], [float(_MOST)]
    for rule in info.metadata:
        if isinstance(rule, Ge):
            low.append(float(rule.ge))  # type: ignore[arg-type]
        elif isinstance(rule, Gt):
            low.append(float(rule.gt) + step)  # type: ignore[arg-type]
        elif isinstance(rule, Le):
            high.append(float(rule.le))  # type: ignore[arg-type]
        elif isinstance(rule, Lt):
            high.append(float(rule.lt) - step)  # type: ignore[arg-type]
    return max(low), min(high)


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
