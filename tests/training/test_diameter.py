"""A model tells how large the objects are that it has learnt."""

from __future__ import annotations

import math

import numpy as np
import pytest

from conftest import class_config, instance_config
from napari_unetpp.arrays import equivalent_diameters, object_diameters
from napari_unetpp.data import TrainingPair
from napari_unetpp.training._diameter import with_diameter
from napari_unetpp.training._loop import TrainingData


def pair(labels: np.ndarray, counts: np.ndarray | None = None) -> TrainingPair:
    pixels = np.zeros((1, *labels.shape), np.float32)
    return TrainingPair(pixels, labels, "made", counts=counts)


def squares(*edges: int) -> np.ndarray:
    labels = np.full((40, 100), 0, np.int32)
    for number, edge in enumerate(edges, start=1):
        labels[2 : 2 + edge, 20 * number : 20 * number + edge] = number
    labels[-3:] = -1
    return labels


def test_diameters_are_those_of_circles_and_spheres_of_the_same_size() -> None:
    y, x = np.mgrid[:80, :80]
    disc = ((y - 40) ** 2 + (x - 40) ** 2 <= 30**2).astype(int) * 7
    assert object_diameters(disc) == pytest.approx([60], rel=0.02)
    z, y, x = np.mgrid[:40, :40, :40]
    ball = ((z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 15**2).astype(int)
    assert object_diameters(ball) == pytest.approx([30], rel=0.02)
    assert equivalent_diameters(np.array([math.pi]), 2) == pytest.approx([2])
    assert len(object_diameters(np.zeros((4, 4), int))) == 0


def test_the_median_over_all_objects_of_all_images() -> None:
    data = TrainingData(
        pairs=[pair(squares(4, 6)), pair(squares(10))],
        validation=[pair(squares(12, 14))],
    )
    found = with_diameter(instance_config(), data).diameter
    assert found == pytest.approx(2 * 10 / math.sqrt(math.pi), abs=0.01)


def test_pieces_that_are_held_out_of_an_image_are_not_counted_again() -> None:
    held = pair(squares(3), np.ones((40, 100), bool))
    data = TrainingData(pairs=[pair(squares(8))], validation=[held])
    found = with_diameter(instance_config(), data).diameter
    assert found == pytest.approx(2 * 8 / math.sqrt(math.pi), abs=0.01)


def test_without_objects_there_is_no_diameter() -> None:
    data = TrainingData(pairs=[pair(squares())])
    assert with_diameter(instance_config(), data).diameter is None
    before = class_config().model_copy(update={"diameter": 4.0})
    data = TrainingData(pairs=[pair(squares(8))])
    assert with_diameter(before, data).diameter is None
