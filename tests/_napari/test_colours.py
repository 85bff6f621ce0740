"""Colours of classes, on results too."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unetpp._napari._colours import class_colormap, colours_of, model_colours
from napari_unetpp._napari._layers import ResultGroup, add_labels_result
from napari_unetpp._napari._source import Geometry
from napari_unetpp.config import ModelConfig, NetworkConfig


def model(colours: tuple[str, ...]) -> ModelConfig:
    return ModelConfig(
        network=NetworkConfig(out_channels=3, widths=(4, 8)),
        task="classes",
        class_names=("ground", "axon", "sheath"),
        class_values=(1, 2, 7),
        class_colours=colours,
    )


def test_a_value_has_the_colour_that_was_given_or_one_of_its_own() -> None:
    assert colours_of((3, 5), ("#111111", "#222222")) == {3: "#111111", 5: "#222222"}
    found = colours_of((0, 3, 5, 8), ())
    assert list(found) == [3, 5, 8]
    assert len(set(found.values())) == 3
    table = class_colormap({3: "#ff0000"})
    assert np.allclose(table.map(np.array([0, 3, 4])), [[0] * 4, [1, 0, 0, 1], [0] * 4])


def group(colours: dict[int, str]) -> ResultGroup:
    return ResultGroup(
        "cells", Geometry.plain("YX"), {}, replaces=True, class_colours=colours
    )


def test_results_have_the_colours_of_the_model() -> None:
    viewer = ViewerModel()
    colours = model_colours(model(("#ff0000", "#00ff00", "#0000ff")))
    labels = np.array([[1, 2], [7, 0]], np.uint8)
    layer = add_labels_result(viewer, group(colours), labels)
    assert layer.get_color(7) == pytest.approx((0, 0, 1, 1))
    layer.colormap = class_colormap({7: "#ffffff"})  # the user's choice stays
    assert add_labels_result(viewer, group(colours), labels.copy()) is layer
    assert layer.get_color(7) == pytest.approx((1, 1, 1, 1))
    other = model_colours(model(("#00ff00", "#ff0000", "#00ffff")))
    assert add_labels_result(viewer, group(other), labels.copy()) is layer
    assert layer.get_color(7) == pytest.approx((0, 1, 1, 1))


def test_a_model_without_colours_leaves_those_of_napari() -> None:
    assert model_colours(model(())) == {}
    viewer = ViewerModel()
    layer = add_labels_result(viewer, group({}), np.array([[1, 2]], np.uint8))
    assert len({tuple(layer.get_color(value)) for value in (1, 2)}) == 2


def test_the_selection_stays_when_results_come() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((2, 2)))
    other = viewer.add_image(np.zeros((2, 2)))
    told = []
    viewer.layers.selection.active = image
    viewer.layers.selection.events.active.connect(told.append)
    add_labels_result(viewer, group({}), np.array([[1, 2]], np.uint8))
    assert viewer.layers.selection.active is image
    assert told == []
    viewer.layers.selection = {image, other}
    add_labels_result(
        viewer, ResultGroup("b", Geometry.plain("YX"), {}), np.eye(2, dtype=int)
    )
    assert set(viewer.layers.selection) == {image, other}
    assert viewer.layers.selection.active is None
