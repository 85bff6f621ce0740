from __future__ import annotations

import gc
import pickle
import threading
import time
from importlib.util import find_spec
from itertools import product

import dask
import numpy as np
import pytest
import tifffile

from napari_unetpp.errors import ImageError
from napari_unetpp.io import read_image
from napari_unetpp.io._tiff import TiffSource

LAYOUTS = {
    "one piece": {},
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "strips": {"rowsperstrip": 7, "compression": "zlib"},
    "tiles": {"tile": (16, 32)},
    "deflated tiles": {"tile": (16, 16), "compression": "zlib", "predictor": True},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", ["plain", "ome"])
def test_every_layout_gives_the_pixels(tmp_path, stack, layout, kind):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, ome=kind == "ome", metadata={"axes": "ZYX"}, **layout)
    image = read_image(path)
    assert (image.axes, image.axes_guessed, image.name) == ("ZYX", False, "a")
    assert image.data.dtype == np.uint16
    assert image.data.dtype.isnative
    np.testing.assert_array_equal(image.data, stack)
    np.testing.assert_array_equal(image.data[3, 5:30, 7], stack[3, 5:30, 7])


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "float16", "float32", "float64"]
)
def test_every_dtype_gives_the_pixels(tmp_path, dtype):
    pixels = (np.arange(20 * 24).reshape(20, 24) % 2).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.data.dtype == ("uint8" if dtype == "bool" else dtype)
    np.testing.assert_array_equal(image.data, pixels)


def test_imagej_axes_scale_and_units(tmp_path, stack):
    metadata = {"axes": "ZYX", "spacing": 1.5, "unit": "um"}
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack,
        imagej=True,
        resolution=(4, 2),
        metadata=metadata,
    )
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "ZYX"
    assert image.scale == (1.5, 0.5, 0.25)
    assert image.units == ("micrometer",) * 3


@pytest.mark.parametrize("unit", ["micron", "um", r"\u00B5m", "microns"])
def test_spellings_of_micrometer(tmp_path, stack, unit):
    tifffile.imwrite(
        tmp_path / "a.tif",
        stack[0],
        imagej=True,
        resolution=(2, 2),
        metadata={"unit": unit},
    )
    assert read_image(tmp_path / "a.tif").units == ("micrometer",) * 2


def test_imagej_time_and_channels(tmp_path):
    pixels = np.zeros((2, 3, 4, 20, 24), np.uint16)
    metadata = {"axes": "TZCYX", "finterval": 5.0, "spacing": 2.0, "unit": "nm"}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata=metadata)
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "TZCYX"
    assert image.scale[:2] == (5.0, 2.0)
    assert image.units[:3] == ("second", "nanometer", "pixel")


def test_imagej_without_a_unit_has_no_scale(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack[0], imagej=True, resolution=(72, 72))
    image = read_image(tmp_path / "a.tif")
    assert (image.scale, image.units) == ((1.0, 1.0), ("pixel", "pixel"))


def test_ome_axes_scale_and_units(tmp_path):
    pixels = np.arange(2 * 3 * 4 * 20 * 24, dtype=np.uint16).reshape(2, 3, 4, 20, 24)
    metadata = {
        "axes": "TCZYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 200,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 2.0,
        "TimeIncrement": 3.0,
        "TimeIncrementUnit": "min",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.axes, image.name) == ("TCZYX", "a")
    assert image.scale == (3.0, 1.0, 2.0, 200.0, 0.1)
    assert image.units == ("minute", "pixel", "micrometer", "nanometer", "micrometer")
    np.testing.assert_array_equal(image.data, pixels)


def test_pyramid_is_read_at_full_resolution(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        options = {"tile": (16, 16), "compression": "zlib"}
        tif.write(stack, subifds=1, metadata={"axes": "ZYX"}, **options)
        tif.write(stack[:, ::2, ::2], subfiletype=1, **options)
    image = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.data, stack)


@pytest.mark.parametrize("n_samples", [3, 4])
def test_samples_become_colour_without_alpha(tmp_path, n_samples):
    pixels = np.arange(20 * 24 * n_samples).reshape(20, 24, n_samples).astype("uint8")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.rgb, image.shape) == ("YXC", True, (20, 24, 3))
    np.testing.assert_array_equal(image.data, pixels[..., :3])


def test_planar_colour(tmp_path, colour):
    planar = np.moveaxis(colour, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", planar, photometric="rgb", planarconfig="separate"
    )
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.rgb) == ("CYX", True)
    np.testing.assert_array_equal(image.data, planar)


def test_pages_without_a_meaning_are_guessed(tmp_path, stack):
    with tifffile.TiffWriter(tmp_path / "pages.tif") as tif:
        for plane in stack:
            tif.write(plane, metadata=None)
    tifffile.imwrite(tmp_path / "q.tif", stack)
    for name in ("pages.tif", "q.tif"):
        image = read_image(tmp_path / name)
        assert (image.axes, image.axes_guessed) == ("ZYX", True)
        np.testing.assert_array_equal(image.data, stack)


def test_other_axes_stay_to_be_looped_over(tmp_path):
    pixels = np.zeros((2, 3, 4, 20, 24), np.uint8)
    for axes in ("PTZYX", "QTCYX"):
        tifffile.imwrite(
            tmp_path / "a.tif",
            pixels,
            photometric="minisblack",
            metadata={"axes": axes},
        )
        assert read_image(tmp_path / "a.tif").axes == axes


def test_the_users_axes_count_more(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": "ZYX"})
    assert read_image(tmp_path / "a.tif", axes="cyx").axes == "CYX"
    one = read_image(tmp_path / "a.tif", axes="CYX", channel=2)
    np.testing.assert_array_equal(one.data, stack[2])


def test_threads_read_the_same_file_at_once(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (600, 700)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(32, 32), compression="zlib")
    image = read_image(tmp_path / "a.tif")
    data = image.data.rechunk((64, 64))
    with dask.config.set(scheduler="threads", num_workers=8):
        for _ in range(3):
            np.testing.assert_array_equal(data.compute(), pixels)


def test_other_processes_open_the_file_themselves(tmp_path, stack):
    for name, options in (("a.tif", {}), ("b.tif", {"compression": "zlib"})):
        tifffile.imwrite(tmp_path / name, stack, **options)
        data = pickle.loads(pickle.dumps(read_image(tmp_path / name).data))
        np.testing.assert_array_equal(data, stack)


def test_file_is_closed_with_the_image(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, compression="zlib")
    source = TiffSource(tmp_path / "a.tif")
    handle = source.tif.filehandle
    assert not handle.closed
    del source
    gc.collect()
    assert handle.closed


def test_large_file_is_opened_and_read_piece_by_piece(tmp_path):
    """16384 x 16384 pixels, of which the file system stores only those set here."""
    path = tmp_path / "a.tif"
    pixels = tifffile.memmap(path, shape=(16384, 16384), dtype=np.uint16)
    pixels[9000:9010, 9000:9010] = 7
    del pixels
    start = time.perf_counter()
    image = read_image(path)
    assert image.data[9000:9010, 8990:9010].compute().sum() == 700
    assert time.perf_counter() - start < 2
    assert (
        max(np.prod(c) for c in zip(*map(set, image.data.chunks), strict=True)) <= 2**22
    )


@pytest.mark.parametrize(
    ("kind", "layout"),
    [*product(["plain", "ome", "pages"], LAYOUTS), ("imagej", "one piece")],
)
def test_truncated_file_is_refused(tmp_path, stack, kind, layout):
    options = LAYOUTS[layout]
    path = tmp_path / "a.tif"
    header = {k: v for k, v in options.items() if k in ("byteorder", "bigtiff")}
    rest = {k: v for k, v in options.items() if k not in header}
    with tifffile.TiffWriter(
        path, ome=kind == "ome", imagej=kind == "imagej", **header
    ) as tif:
        if kind == "pages":
            for plane in stack:
                tif.write(plane, metadata=None, **rest)
        else:
            tif.write(stack, metadata={"axes": "ZYX"}, **rest)
    whole = path.read_bytes()
    for share in (0.0005, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.999):
        path.write_bytes(whole[: max(int(len(whole) * share), 4)])
        with pytest.raises(ImageError, match=r"a\.tif"):
            np.asarray(read_image(path).data)


def test_damaged_pixels_name_the_file(tmp_path, stack):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, compression="zlib", metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[2].dataoffsets[0], tif.pages[2].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = b"\0" * count
    path.write_bytes(content)
    image = read_image(path)
    np.testing.assert_array_equal(image.data[0], stack[0])
    with pytest.raises(ImageError, match=r"a\.tif: the pixels cannot be read.*damaged"):
        image.data.compute()


def test_missing_codec_names_the_package(tmp_path, stack):
    if find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed, so no codec is missing")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack[0], compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["Compression"].overwrite(5)  # LZW
    with pytest.raises(ImageError, match="pip install imagecodecs"):
        read_image(path)


def test_no_thread_is_left_behind(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, compression="zlib")
    read_image(tmp_path / "a.tif").data.compute()
    before = threading.active_count()
    for _ in range(3):
        read_image(tmp_path / "a.tif").data.compute()
    assert threading.active_count() <= before


def test_ome_metadata_that_is_no_xml_names_the_file(tmp_path, stack):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes().replace(b"<Pixels", b"<Pixel<", 1))
    with pytest.raises(ImageError, match=r"a\.ome\.tif is a damaged"):
        read_image(path)
