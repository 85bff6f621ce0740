"""Lines drawn over an image, measured in its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Shapes

from napari_unetpp._napari import line_lengths


def test_lengths_are_in_pixels_of_the_image() -> None:
    image = Image(np.zeros((50, 60)), scale=(0.5, 0.5), translate=(3, 4))
    lines = Shapes([[[0, 0], [3, 4]], [[1, 1], [1, 11]]], shape_type="line")
    assert line_lengths(lines, image) == pytest.approx([10.0, 20.0])


def test_only_lines_count_and_only_along_rows_and_columns() -> None:
    image = Image(np.zeros((4, 50, 60)), scale=(5, 1, 1))
    shapes = Shapes(ndim=3)
    shapes.add([[10.0, 2, 2], [10, 2, 9]], shape_type="line")
    shapes.add([[10.0, 5, 5], [10, 5, 5]], shape_type="line")
    shapes.add(
        [[10.0, 0, 0], [10, 0, 9], [10, 9, 9], [10, 9, 0]], shape_type="rectangle"
    )
    assert line_lengths(shapes, image) == pytest.approx([7.0])


def test_a_plane_may_be_measured_over_a_stack() -> None:
    stack = Image(np.zeros((4, 50, 60)), scale=(2, 0.25, 0.25))
    lines = Shapes([[[1, 1], [1, 6]]], shape_type="line")
    assert line_lengths(lines, stack) == pytest.approx([20.0])
    colour = Image(np.zeros((50, 60, 3), np.uint8), rgb=True)
    assert line_lengths(lines, colour) == pytest.approx([5.0])
