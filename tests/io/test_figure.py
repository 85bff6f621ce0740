from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetpp.errors import OutputError
from napari_unetpp.io._figure import (
    PROBABILITY_COLOURS,
    image_panel,
    labels_panel,
    map_panel,
    write_figure,
)


def test_map_goes_from_the_first_colour_to_the_last():
    pixels = map_panel("p", np.array([[0.0, 1.0]]), PROBABILITY_COLOURS).pixels
    assert tuple(pixels[0, 0]) == PROBABILITY_COLOURS[0]
    assert tuple(pixels[0, 1]) == PROBABILITY_COLOURS[-1]


def test_map_reaches_its_last_colour_at_the_top():
    half = map_panel("s", np.array([[0.25, 0.5, 0.9]]), top=0.5).pixels
    assert tuple(half[0, 1]) == tuple(half[0, 2]) == PROBABILITY_COLOURS[-1]
    assert tuple(half[0, 0]) == PROBABILITY_COLOURS[2]


def test_labels_tint_objects_and_nothing_else():
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    labels = np.zeros((8, 8), np.uint16)
    labels[2:6, 2:6] = 7
    plain = image_panel("image", image).pixels
    tinted = labels_panel("labels", image, labels).pixels
    assert np.array_equal(plain[labels == 0], tinted[labels == 0])
    assert (plain != tinted).any(axis=-1)[labels > 0].all()


def test_an_even_image_is_shown_too():
    assert image_panel("even", np.full((4, 4), 9.0)).pixels.max() == 0


def test_figure_has_a_row_for_each_image(tmp_path):
    panel = image_panel("image", np.arange(100.0).reshape(10, 10))
    path = tmp_path / "figure.png"
    write_figure(path, [[panel, panel], [panel]])
    two_rows = iio.imread(path)
    write_figure(path, [[panel, panel]])
    one_row = iio.imread(path)
    assert two_rows.shape == (2 * one_row.shape[0], *one_row.shape[1:])


def test_figure_that_cannot_be_written_names_the_file(tmp_path):
    panel = image_panel("image", np.zeros((4, 4)))
    with pytest.raises(OutputError, match=r"no_such_folder.*figure\.png"):
        write_figure(tmp_path / "no_such_folder" / "figure.png", [[panel]])
