from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_unetpp.arrays import Image
from napari_unetpp.io import as_image, read_image
from napari_unetpp.io._region_mask import region_mask
from napari_unetpp.io._write_input import (
    find_channel,
    holds,
    small_labels,
    write_input,
)


def image_of(axes: str, dtype: str = "uint16", rgb: bool = False) -> Image:
    shape = tuple({"T": 2, "C": 3, "Z": 4, "Y": 10, "X": 12, "Q": 2}[a] for a in axes)
    pixels = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    told = {"Z": 2.0, "Y": 0.5, "X": 0.25, "T": 3.0}
    units = {"T": "second", "C": "pixel", "Q": "pixel"}
    found = as_image(pixels, axes)
    return Image(
        found.data,
        axes,
        scale=tuple(told.get(a, 1.0) for a in axes),
        units=tuple(units.get(a, "micrometer") for a in axes),
        name="cells",
        rgb=rgb,
    )


@pytest.mark.parametrize(
    ("axes", "dtype"),
    [
        ("YX", "uint8"),
        ("ZYX", "float32"),
        ("TCZYX", "uint16"),
        ("CZYX", "int64"),
        ("TYX", "float16"),
        ("YXC", "uint8"),
        ("XY", "uint8"),
        ("QYX", "uint8"),
    ],
)
def test_what_is_written_is_read_as_it_was(tmp_path, axes, dtype):
    image = image_of(axes, dtype)
    write_input(image, tmp_path / "image-1.tif")
    found = read_image(tmp_path / "image-1.tif", axes)
    assert found.axes == axes
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(image.data))
    assert holds(tmp_path / "image-1.tif", image, whole=True)
    ome = axes in ("YX", "ZYX", "TCZYX")
    if ome:
        assert read_image(tmp_path / "image-1.tif").axes == axes
        assert (found.scale, found.units) == (image.scale, image.units)


def test_colour_stays_colour(tmp_path):
    image = image_of("YXC", "uint8", rgb=True)
    write_input(image, tmp_path / "image-1.tif")
    found = read_image(tmp_path / "image-1.tif")
    assert (found.axes, found.rgb) == ("YXC", True)
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(image.data))


def test_labels_become_as_small_as_they_may(tmp_path):
    labels = image_of("ZYX", "int64")
    write_input(small_labels(labels), tmp_path / "labels-1.tif")
    assert read_image(tmp_path / "labels-1.tif").data.dtype == np.uint8
    assert holds(tmp_path / "labels-1.tif", labels, whole=True)


def test_one_changed_pixel_is_another_image(tmp_path):
    image = image_of("ZYX")
    path = tmp_path / "image-1.tif"
    write_input(image, path)
    pixels = np.array(image.data)
    pixels[3, 9, 11] += 1
    assert not holds(path, as_image(pixels), whole=True)
    assert not holds(path, as_image(pixels[:, :, :-1]), whole=True)
    assert not holds(tmp_path / "none.tif", image, whole=True)


def test_a_channel_is_found_in_its_file(tmp_path):
    image = image_of("CYX", "uint8")
    path = tmp_path / "channels.tif"
    tifffile.imwrite(path, np.asarray(image.data), metadata={"axes": "CYX"}, ome=True)
    second = as_image(np.asarray(image.data[1]))
    assert find_channel(path, second) == 1
    assert find_channel(path, as_image(np.asarray(second.data) + 1)) is None


def test_a_region_is_a_mask_of_the_image(tmp_path):
    image = image_of("TCYX")
    mask = region_mask(image, {"T": (1, 2), "X": (3, 99)})
    expected = np.zeros((2, 10, 12), np.uint8)
    expected[1, :, 3:] = 1
    assert mask.axes == "TYX"
    np.testing.assert_array_equal(np.asarray(mask.data), expected)
    np.testing.assert_array_equal(
        np.asarray(mask.data[1, 4:, 2:5]), expected[1, 4:, 2:5]
    )
