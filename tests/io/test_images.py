from __future__ import annotations

import dask.array as da
import imageio.v3 as iio
import numpy as np
import pytest

from napari_unetpp.arrays import Image
from napari_unetpp.errors import AxesError, ImageError, LabelsError
from napari_unetpp.io import as_image, read_image, read_labels, stem


class Layer:
    """What a napari layer shows of itself."""

    name = "cells"
    multiscale = False
    rgb = False

    def __init__(self, data, **changes):
        ndim = (data[0] if isinstance(data, list) else data).ndim - changes.get(
            "rgb", False
        )
        self.data = data
        self.scale = np.arange(1.0, ndim + 1)
        self.translate = np.arange(ndim) * 10.0
        self.units = ("pixel",) * ndim
        self.axis_labels = tuple(str(-n) for n in range(ndim, 0, -1))
        for name, value in changes.items():
            setattr(self, name, value)


def test_png_grey_and_colour(tmp_path, stack, colour):
    iio.imwrite(tmp_path / "grey.png", stack[0])
    image = read_image(tmp_path / "grey.png")
    assert (image.axes, image.rgb, image.name) == ("YX", False, "grey")
    np.testing.assert_array_equal(image.data, stack[0])
    iio.imwrite(tmp_path / "colour.png", colour)
    image = read_image(tmp_path / "colour.png")
    assert (image.axes, image.rgb) == ("YXC", True)
    np.testing.assert_array_equal(image.data, colour)


def test_alpha_is_dropped(tmp_path, colour):
    alpha = np.dstack([colour, colour[..., 0]])
    iio.imwrite(tmp_path / "a.png", alpha)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, colour)
    np.testing.assert_array_equal(as_image(alpha).data, colour)
    iio.imwrite(tmp_path / "b.png", alpha[..., 2:], mode="LA")
    image = read_image(tmp_path / "b.png")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.data, colour[..., 2])


def test_jpeg(tmp_path):
    iio.imwrite(tmp_path / "a.jpg", np.full((16, 16, 3), 99, np.uint8))
    image = read_image(tmp_path / "a.jpg")
    assert image.rgb
    np.testing.assert_allclose(image.data, 99, atol=2)


def test_npy_is_mapped(tmp_path, stack):
    np.save(tmp_path / "a.npy", stack)
    image = read_image(tmp_path / "a.npy")
    assert (image.axes, image.axes_guessed) == ("ZYX", True)
    np.testing.assert_array_equal(image.data, stack)


def test_content_tells_what_a_file_is(tmp_path, stack):
    np.save(tmp_path / "a.npy", stack)
    (tmp_path / "a.npy").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, stack)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tif", b"", r"a\.tif is empty \(0 bytes\)"),
        ("a.tif", b"hello, world", r"a\.tif is not an image that can be read; give"),
        ("a.png", b"\x89PNG\r\n\x1a\nnonsense", r"a\.png is damaged"),
        ("a.jpg", b"\xff\xd8\xff\xe0nonsense", r"a\.jpg is damaged"),
        ("a.npy", b"\x93NUMPYnonsense", r"a\.npy is damaged"),
        ("a.tif", b"II*\0", r"a\.tif is a damaged or incomplete TIFF"),
    ],
)
def test_file_that_is_no_image(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / name)


def test_no_such_file(tmp_path):
    with pytest.raises(ImageError, match=r"no\.tif: no such file or folder"):
        read_image(tmp_path / "no.tif")


def test_truncated_png_and_npy(tmp_path, stack):
    iio.imwrite(tmp_path / "a.png", stack[0])
    np.save(tmp_path / "a.npy", stack)
    for name in ("a.png", "a.npy"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(ImageError, match="damaged, incomplete"):
            read_image(path)


def test_npy_that_would_run_code_is_refused(tmp_path):
    array = np.array([print], dtype=object)
    np.save(tmp_path / "a.npy", np.array([None], object), allow_pickle=True)
    assert array.dtype == object
    with pytest.raises(ImageError, match="damaged"):
        read_image(tmp_path / "a.npy")


def test_numpy_is_not_copied():
    pixels = np.zeros((4, 64, 64), np.uint8)
    image = as_image(pixels)
    pixels[2] = 5
    assert image.data[2].compute().min() == 5


def test_dask_stays_as_it_is(stack):
    data = da.from_array(stack, chunks=(1, 20, 20))
    assert as_image(data).data is data


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        ("bool", "uint8"),
        ("int8", "int8"),
        ("uint16", "uint16"),
        (">u2", "uint16"),
        ("float16", "float16"),
        (">f8", "float64"),
        ("int64", "int64"),
    ],
)
def test_dtypes(dtype, kept):
    pixels = (np.arange(12).reshape(3, 4) % 2).astype(dtype)
    image = as_image(pixels)
    assert image.data.dtype == kept
    assert image.data.dtype.isnative
    np.testing.assert_array_equal(image.data, pixels)


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "S3", "object"])
def test_pixels_that_are_no_numbers(dtype):
    with pytest.raises(ImageError, match=r"has dtype .*pixels must be whole or real"):
        as_image(np.zeros((3, 4), dtype))


def test_empty_image():
    with pytest.raises(ImageError, match=r"shape \(0, 4\) holds no pixels"):
        as_image(np.zeros((0, 4)))


def test_one_pixel_can_be_read():
    assert as_image(np.zeros((1, 1))).shape == (1, 1)


@pytest.mark.parametrize("source", [None, 3, [[1, 2], [3, 4]], {"a": 1}])
def test_things_that_are_no_image(source):
    with pytest.raises(ImageError, match="is not an image; give a path"):
        as_image(source)


def test_axes_given_and_guessed(stack, colour):
    assert as_image(stack).axes == "ZYX"
    assert as_image(stack, axes="tyx").axes == "TYX"
    assert as_image(colour).axes == "YXC"
    assert not as_image(colour, axes="ZYX").rgb
    assert as_image(colour, axes="YXC").rgb
    assert not as_image(stack[0]).axes_guessed
    with pytest.raises(AxesError, match="at least two axes"):
        as_image(np.zeros(5))


def test_image_passes_through(stack):
    image = as_image(stack)
    assert as_image(image) is image
    assert as_image(image, axes="CYX", channel=1).shape == stack.shape[1:]


def test_layer_brings_its_place_in_the_world(stack):
    layer = Layer(stack, units=("micrometer",) * 3, axis_labels=("t", "y", "x"))
    image = as_image(layer)
    assert (image.axes, image.axes_guessed, image.name) == ("TYX", False, "cells")
    assert image.scale == (1.0, 2.0, 3.0)
    assert image.translate == (0.0, 10.0, 20.0)
    assert image.units == ("micrometer",) * 3


def test_layer_without_axis_labels_is_guessed(stack):
    image = as_image(Layer(stack))
    assert (image.axes, image.axes_guessed) == ("ZYX", True)


def test_layer_of_colour(colour):
    image = as_image(Layer(colour, rgb=True))
    assert (image.axes, image.rgb) == ("YXC", True)
    assert image.scale == (1.0, 2.0, 1.0)
    alpha = np.dstack([colour, colour[..., 0]])
    assert as_image(Layer(alpha, rgb=True)).shape == colour.shape


def test_multiscale_layer_gives_its_finest_level(stack):
    levels = [stack, stack[:, ::2, ::2]]
    image = as_image(Layer(levels, multiscale=True))
    np.testing.assert_array_equal(image.data, stack)


def test_real_layers(stack, colour):
    layers = pytest.importorskip("napari.layers")
    image = as_image(layers.Image(stack, scale=(2, 1, 1), name="n"))
    assert (image.axes, image.scale, image.name) == ("ZYX", (2.0, 1.0, 1.0), "n")
    assert image.units == ("pixel",) * 3
    assert as_image(layers.Image(colour, rgb=True)).rgb
    assert read_labels(layers.Labels(stack)).axes == "ZYX"
    with pytest.raises(ImageError, match="is not an image"):
        as_image(layers.Points(np.zeros((3, 2))))


def test_labels_are_whole_numbers(stack, colour):
    assert read_labels(stack).data.dtype == np.uint16
    assert read_labels(stack > 9).data.dtype == np.uint8
    with pytest.raises(LabelsError, match="float32; labels are whole numbers"):
        read_labels(stack.astype(np.float32))
    with pytest.raises(LabelsError, match="colour image"):
        read_labels(colour)


def test_stem():
    names = ["a.tif", "a.ome.tif", "a.OME.TIFF", "a.zarr", "a.ome.zarr", "a.png"]
    assert {stem(f"/b/{name}") for name in names} == {"a"}
    assert stem("a.b.tif") == "a.b"


def test_image_is_what_it_says():
    assert isinstance(as_image(np.zeros((3, 4))), Image)
