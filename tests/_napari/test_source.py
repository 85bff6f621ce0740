"""Reading layers: their axes and their place."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_unetpp._napari import layer_axes, read_layer
from napari_unetpp.io import as_image


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((20, 30), {}, "YX"),
        ((5, 20, 30), {}, "ZYX"),
        ((5, 20, 30), {"axis_labels": ("t", "y", "x")}, "TYX"),
        ((5, 20, 30), {"axis_labels": ("time", "y", "x")}, "ZYX"),
        ((5, 20, 30), {"axis_labels": ("A", "B", "C")}, "ZYX"),
        ((2, 5, 20, 30), {}, "CZYX"),
        ((20, 30, 3), {"rgb": True}, "YXC"),
        ((4, 20, 30, 3), {"rgb": True, "axis_labels": ("T", "Y", "X")}, "TYXC"),
        ((2, 3, 4, 20, 30), {}, "TCZYX"),
    ],
)
def test_axes_of_a_layer(
    shape: tuple[int, ...], options: dict[str, object], axes: str
) -> None:
    layer = Image(np.zeros(shape, np.uint8), **options)
    assert layer_axes(layer) == axes
    source = read_layer(layer)
    image = as_image(source, axes=source.axes)
    assert image.axes == axes
    assert image.shape == shape


def test_multiscale_is_read_at_full_size() -> None:
    data = np.zeros((64, 96), np.uint8)
    layer = Image([data, data[::2, ::2]])
    assert read_layer(layer).data.shape == (64, 96)


def test_scale_and_units_reach_the_core() -> None:
    layer = Image(
        np.zeros((4, 20, 30), np.uint8),
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        units=("um", "um", "um"),
    )
    image = as_image(read_layer(layer))
    assert image.scale == (2, 0.5, 0.25)
    assert image.translate == (1, 2, 3)
    assert image.units == ("micrometer",) * 3


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_part_lies_where_it_was_cut_out() -> None:
    layer = Image(
        np.zeros((4, 20, 30)),
        scale=(2, 0.5, 0.25),
        translate=(1, 2, 3),
        rotate=(10, 20, 30),
        shear=(0.1, 0.2, 0.3),
        affine=np.diag([1, 2, 3, 1]),
    )
    offset = (1, 5, 7)
    geometry = read_layer(layer).geometry.shifted(offset)
    part = Image(layer.data[1:, 5:, 7:], **geometry.as_layer_options())
    for pixel in ((0, 0, 0), (2, 10, 20)):
        there = np.add(pixel, offset)
        np.testing.assert_allclose(
            part.data_to_world(pixel), layer.data_to_world(there)
        )


def test_one_pixel_covers_all_channels() -> None:
    layer = Image(np.zeros((5, 20, 30)), scale=(3, 1, 1), translate=(7, 0, 0))
    geometry = read_layer(layer).geometry.flattened(0, 5)
    flat = Image(np.zeros((1, 20, 30)), **geometry.as_layer_options())
    for channel in range(5):
        at = flat.world_to_data(layer.data_to_world((channel, 1, 1)))
        assert round(at[0]) == 0
    assert round(flat.world_to_data(layer.data_to_world((5.1, 0, 0)))[0]) == 1
