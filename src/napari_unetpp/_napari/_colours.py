"""Colours of classes: those the user painted with, or some that all can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unetpp.config import ModelConfig

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which the colour-blind can
# tell apart too; those first that stand out from grey images, dark or light.
CLASS_COLOURS: Final = (
    "#56b4e9",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#d55e00",
    "#f0e442",
    "#0072b2",
)
"""Colours for classes that have none."""


def colours_of(values: Sequence[int], colours: Sequence[str]) -> dict[int, str]:
    """Return the colour of each label value, 0 left out: it is never painted.

    Parameters
    ----------
    values : sequence of int
        Label value of each class.
    colours : sequence of str
        "#rrggbb" for each of them; empty for colours chosen here.
    """
    wanted = [value for value in values if value]
    if colours:
        given = dict(zip(values, colours, strict=True))
        return {value: given[value] for value in wanted}
    n = len(CLASS_COLOURS)
    return {value: CLASS_COLOURS[i % n] for i, value in enumerate(wanted)}


def model_colours(model: ModelConfig) -> dict[int, str]:
    """Return the colours that a model brings for its labels; empty if it has none."""
    if model.task != "classes" or not model.class_colours:
        return {}
    return colours_of(model.class_values, model.class_colours)


def class_colormap(colours: Mapping[int, str]) -> DirectLabelColormap:
    """Return how a labels layer paints each value; the others are not seen."""
    table: dict[int | None, str] = dict(colours.items())
    table[None] = table[0] = "transparent"
    return DirectLabelColormap(color_dict=table)
