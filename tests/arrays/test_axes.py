from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_unetpp.arrays import (
    Image,
    canonical,
    guess_axes,
    looks_rgb,
    parse_axes,
    select_channel,
    with_axes,
)
from napari_unetpp.errors import AxesError, ImageError

SIZES = {"T": 2, "P": 6, "C": 3, "Z": 5, "Y": 7, "X": 8}


def image(axes: str, rgb: bool = False, **changes) -> Image:
    """An image whose every pixel has a value of its own."""
    shape = tuple(changes.pop("sizes", SIZES)[a] for a in axes)
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    scale = tuple(float(ord(a)) for a in axes)
    units = tuple(f"unit {a}" for a in axes)
    return Image(da.from_array(pixels), axes, scale, units, rgb=rgb, **changes)


@pytest.mark.parametrize("text", ["zyx", " ZYX ", "TZY", "CYX"])
def test_axes_are_upper_cased(text):
    if "X" in text.upper():
        assert parse_axes(text, (2, 3, 4)) == text.strip().upper()
    else:
        with pytest.raises(AxesError, match="lack Y or X"):
            parse_axes(text, (2, 3, 4))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("YX", "name 2 axes but the image has 3"),
        ("ZCYX", "name 4 axes but the image has 3"),
        ("YYX", "repeat a letter"),
        ("Z-X", "letters only"),
        ("", "letters only"),
        ("TZX", "lack Y or X"),
    ],
)
def test_wrong_axes_name_value_rule_and_cure(text, rule):
    with pytest.raises(AxesError, match=rule) as error:
        parse_axes(text, (2, 3, 4))
    assert repr(text) in str(error.value)
    assert "for example ZCYX" in str(error.value)


@pytest.mark.parametrize(
    ("shape", "rgb", "axes"),
    [
        ((4, 5), False, "YX"),
        ((4, 5, 6), False, "ZYX"),
        ((9, 5, 6, 7), False, "TZYX"),
        ((2, 5, 6, 7), False, "CZYX"),
        ((2, 5, 6, 7, 8), False, "TCZYX"),
        ((2, 2, 5, 6, 7, 8), False, "WTCZYX"),
        ((4, 5, 3), True, "YXC"),
        ((9, 4, 5, 4), True, "ZYXC"),
    ],
)
def test_guessed_axes(shape, rgb, axes):
    assert guess_axes(shape, rgb) == axes


def test_one_axis_is_no_image():
    with pytest.raises(AxesError, match="at least two axes"):
        guess_axes((5,))


def test_only_bytes_look_like_colour():
    assert looks_rgb((5, 6, 3), np.dtype("uint8"))
    assert looks_rgb((5, 6, 4), np.dtype("uint8"))
    assert not looks_rgb((5, 6, 3), np.dtype("uint16"))
    assert not looks_rgb((6, 3), np.dtype("uint8"))


@pytest.mark.parametrize(
    ("axes", "dims", "loops", "result"),
    [
        ("YX", 2, "", "YX"),
        ("XY", 2, "", "YX"),
        ("ZYX", 2, "Z", "ZYX"),
        ("ZYX", 3, "", "ZYX"),
        ("TZYX", 3, "T", "TZYX"),
        ("TCZYX", 2, "TZ", "TZYX"),
        ("TCZYX", 3, "T", "TZYX"),
        ("YXC", 2, "", "YX"),
        ("PTZYX", 2, "PTZ", "PTZYX"),
        ("ZPYTX", 2, "ZPT", "ZPTYX"),
    ],
)
def test_canonical_moves_every_pixel_to_its_place(axes, dims, loops, result):
    source = image(axes)
    made = canonical(source, dims, "as_is", source.n_channels)
    assert (made.loop_axes, made.result_axes) == (loops, result)
    assert made.result_shape == tuple(SIZES[a] for a in result)
    assert made.n_channels == (3 if "C" in axes else 1)
    assert made.result_scale == tuple(float(ord(a)) for a in result)
    assert made.result_units == tuple(f"unit {a}" for a in result)
    assert made.result_translate == (0.0,) * len(result)
    stored = loops + "C" + made.spatial_axes
    pixels = np.asarray(source.data)
    if "C" not in axes:
        pixels, axes = pixels[None], "C" + axes
    expected = np.einsum(f"{axes.lower()}->{stored.lower()}", pixels)
    np.testing.assert_array_equal(np.asarray(made.data), expected)
    box = tuple((size // 3, size // 3 + 1 + size // 2) for size in made.data.shape)
    part = expected[tuple(slice(*span) for span in box)]
    np.testing.assert_array_equal(np.asarray(made.cut(box)), part)


def test_translate_follows_its_axis():
    source = image("XZY", translate=(1.0, 2.0, 3.0))
    assert canonical(source, 3, "as_is", 1).result_translate == (2.0, 3.0, 1.0)


def test_3d_model_needs_depth():
    with pytest.raises(AxesError, match=r"axes TYX but the model is 3-D.*--axes"):
        canonical(image("TYX"), 3, "as_is", 1)


@pytest.mark.parametrize("axes", ["YXC", "CYX", "TYXC"])
def test_colour_becomes_luminance(axes):
    made = canonical(image(axes, rgb=True), 2, "grey", 1)
    assert made.n_channels == 1
    assert made.data.dtype == np.float32
    pixels = np.moveaxis(np.asarray(image(axes).data), axes.index("C"), -1)
    expected = pixels @ np.array([0.2125, 0.7154, 0.0721])
    found = np.asarray(made.data)[..., 0, :, :]
    whole = tuple((0, size) for size in made.data.shape)
    box = (*whole[:-2], (1, 3), (2, 5))
    np.testing.assert_array_equal(
        np.asarray(made.cut(box)), np.asarray(made.data)[..., 1:3, 2:5]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("axes", ["YX", "TYX", "XY"])
def test_one_channel_becomes_red_green_and_blue_alike(axes):
    source = image(axes)
    made = canonical(source, 2, "rgb", 3)
    pixels = np.asarray(canonical(source, 2, "grey", 1).data)
    assert made.n_channels == 3
    np.testing.assert_array_equal(np.asarray(made.data), pixels.repeat(3, axis=-3))
    whole = tuple((0, size) for size in made.data.shape)
    box = (*whole[:-2], (1, 3), (2, 5))
    np.testing.assert_array_equal(
        np.asarray(made.cut(box)), np.asarray(made.data)[..., 1:3, 2:5]
    )


def test_colour_stays_red_green_and_blue():
    source = image("YXC", rgb=True)
    made = canonical(source, 2, "rgb", 3)
    np.testing.assert_array_equal(
        np.asarray(made.data), np.moveaxis(np.asarray(source.data), -1, 0)
    )


def test_canonical_reads_nothing():
    def refuse(block):
        raise RuntimeError("read")

    data = da.zeros((2, 5, 6, 3)).map_blocks(refuse, dtype=float, meta=np.empty(0))
    source = Image(data, "TYXC", (1.0,) * 4, ("pixel",) * 4, rgb=True)
    assert canonical(source, 2, "grey", 1).data.shape == (2, 1, 5, 6)


@pytest.mark.parametrize(
    ("axes", "channels", "wanted", "message"),
    [
        ("CYX", "grey", 1, "has 3 channels but the model takes one grey.*--channel N"),
        ("CYX", "rgb", 3, "has 3 channels but the model takes grey, or.*--channel N"),
        ("CYX", "as_is", 1, r"3 channels but the model takes 1.*--channel N"),
        ("CYX", "as_is", 2, r"3 channels but the model takes 2"),
        ("YX", "as_is", 2, r"1 channel but the model takes 2"),
    ],
)
def test_channels_the_model_does_not_take(axes, channels, wanted, message):
    with pytest.raises(AxesError, match=message):
        canonical(image(axes), 2, channels, wanted)


def test_one_channel_is_grey():
    source = image("CYX", sizes=SIZES | {"C": 1})
    assert canonical(source, 2, "grey", 1).n_channels == 1


def test_selected_channel():
    source = image("TCYX", translate=(1.0, 2.0, 3.0, 4.0))
    one = select_channel(source, 2)
    assert one.axes == "TYX"
    assert one.translate == (1.0, 3.0, 4.0)
    assert one.scale == tuple(map(float, map(ord, "TYX")))
    np.testing.assert_array_equal(one.data, source.data[:, 2])


def test_colour_loses_its_name_when_a_channel_is_picked():
    assert not select_channel(image("YXC", rgb=True), 0).rgb


@pytest.mark.parametrize(("axes", "index"), [("YX", 1), ("CYX", 3), ("CYX", -1)])
def test_channel_that_is_not_there(axes, index):
    with pytest.raises(AxesError, match=f"channel {index} of image.*--channel 0 to"):
        select_channel(image(axes), index)


def test_channel_0_of_an_image_without_channels_is_the_image():
    source = image("YX")
    assert select_channel(source, 0) is source


def test_axes_named_anew():
    source = image("ZYX", axes_guessed=True)
    named = with_axes(source, "cyx")
    assert (named.axes, named.axes_guessed) == ("CYX", False)
    assert named.scale == (1.0, *source.scale[1:])
    assert named.units == ("pixel", *source.units[1:])


def test_colour_stays_only_where_channels_stay():
    assert with_axes(image("YXC", rgb=True), "YXC").rgb
    assert not with_axes(image("YXC", rgb=True), "ZYX").rgb
    assert not with_axes(image("YXC", rgb=True), "CYX").rgb


def test_image_checks_itself():
    data = np.zeros((3, 4))
    with pytest.raises(AxesError, match="axes='ZYX' has 3 entries"):
        Image(data, "ZYX", (1.0, 1.0), ("pixel", "pixel"))
    with pytest.raises(AxesError, match=r"scale=\(1.0,\) has 1 entries"):
        Image(data, "YX", (1.0,), ("pixel", "pixel"))
    with pytest.raises(AxesError, match="translate"):
        Image(data, "YX", (1.0,) * 2, ("pixel",) * 2, translate=(0.0,))
    with pytest.raises(ImageError, match="holds no pixels"):
        Image(np.zeros((0, 4)), "YX", (1.0,) * 2, ("pixel",) * 2)
