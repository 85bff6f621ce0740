from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from napari_unetpp.errors import AxesError, ImageError
from napari_unetpp.io import as_image, read_image

AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 99, (2, 3, 4, 20, 24)).astype(np.uint16)


def write_ome(path, pixels, version, axes=AXES, **multiscale):
    """Write an OME-Zarr image of two levels by hand."""
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    ndim = pixels.ndim
    datasets = []
    for level in (0, 1):
        array = pixels[..., :: 2**level, :: 2**level]
        chunks = (1,) * (ndim - 2) + (8, 16)
        group.create_array(
            f"s{level}", shape=array.shape, chunks=chunks, dtype=array.dtype
        )[...] = array
        scale = [2.0] * (ndim - 2) + [0.5 * 2**level] * 2
        steps = [{"type": "scale", "scale": scale}]
        datasets.append({"path": f"s{level}", "coordinateTransformations": steps})
    entry = {"axes": axes, "datasets": datasets, **multiscale}
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    else:
        group.attrs["multiscales"] = [{"version": version, **entry}]
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_axes_scale_units_and_pixels(tmp_path, pixels, version):
    image = read_image(write_ome(tmp_path / "a.ome.zarr", pixels, version))
    assert (image.axes, image.name) == ("TCZYX", "a")
    assert not image.axes_guessed
    assert image.scale == (2.0, 2.0, 2.0, 0.5, 0.5)
    assert image.units == ("second", "pixel", *("micrometer",) * 3)
    np.testing.assert_array_equal(image.data, pixels)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_transformations_of_the_whole_come_after_those_of_a_level(
    tmp_path, pixels, version
):
    whole = [
        {"type": "scale", "scale": [3.0] * 5},
        {"type": "translation", "translation": [0, 0, 1.0, 2.0, 3.0]},
    ]
    path = write_ome(
        tmp_path / "a.zarr", pixels, version, coordinateTransformations=whole
    )
    image = read_image(path)
    assert image.scale == (6.0, 6.0, 6.0, 1.5, 1.5)
    assert image.translate == (0.0, 0.0, 1.0, 2.0, 3.0)


def test_axes_of_old_versions(tmp_path, pixels):
    path = write_ome(tmp_path / "a.zarr", pixels, "0.3", axes=list("tczyx"))
    assert read_image(path).axes == "TCZYX"
    group = zarr.open_group(path)
    multiscale = dict(group.attrs["multiscales"][0])
    del multiscale["axes"]
    group.attrs["multiscales"] = [multiscale]
    assert read_image(path).axes == "TCZYX"


def test_axes_without_a_known_name(tmp_path, pixels):
    axes = [{"name": "position"}, {"name": "plate"}, *AXES[2:]]
    image = read_image(write_ome(tmp_path / "a.zarr", pixels, "0.5", axes=axes))
    assert image.axes == "PWZYX"


def test_metadata_that_do_not_fit_their_array(tmp_path, pixels):
    path = write_ome(tmp_path / "a.zarr", pixels, "0.5", axes=AXES[1:])
    with pytest.raises(ImageError, match=r"name the axes CZYX.*\(2, 3, 4, 20, 24\)"):
        read_image(path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_array(tmp_path, pixels, zarr_format):
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path,
        shape=pixels.shape,
        chunks=(1, 1, 1, 9, 11),
        dtype=pixels.dtype,
        zarr_format=zarr_format,
    )
    array[...] = pixels
    for image in (read_image(path), as_image(array)):
        assert (image.axes, image.axes_guessed) == ("TCZYX", True)
        np.testing.assert_array_equal(image.data, pixels)
    for image in (read_image(path, axes="ZPTYX"), as_image(array, axes="ZPTYX")):
        assert (image.axes, image.axes_guessed) == ("ZPTYX", False)


def test_dimension_names_are_axes(tmp_path, pixels):
    zarr.create_array(
        tmp_path / "a.zarr",
        data=pixels,
        chunks=(1, 1, 1, 9, 11),
        dimension_names=list("zptyx"),
    )
    image = read_image(tmp_path / "a.zarr")
    assert (image.axes, image.axes_guessed) == ("ZPTYX", False)


def test_shards(tmp_path, pixels):
    zarr.create_array(
        tmp_path / "a.zarr", data=pixels, chunks=(1, 1, 1, 10, 12), shards=pixels.shape
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").data, pixels)


def test_colour_array(tmp_path, colour):
    zarr.create_array(tmp_path / "a.zarr", data=colour, chunks=(8, 8, 3))
    image = read_image(tmp_path / "a.zarr")
    assert (image.axes, image.rgb) == ("YXC", True)


def test_array_in_memory(pixels):
    array = zarr.create_array({}, data=pixels, chunks=(1, 1, 2, 20, 24))
    np.testing.assert_array_equal(as_image(array).data, pixels)


def test_image_of_bioformats2raw(tmp_path, pixels):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write_ome(tmp_path / "a.zarr" / "0", pixels, "0.4")
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").data, pixels)


def test_only_array_of_a_group(tmp_path, pixels):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w")
    root.create_array("only", data=pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").data, pixels)
    root.create_array("other", data=pixels)
    with pytest.raises(ImageError, match=r"without an OME-Zarr image.*only.*other"):
        read_image(tmp_path / "a.zarr")


def test_folder_that_is_no_zarr(tmp_path):
    with pytest.raises(ImageError, match="no zarr array or group"):
        read_image(tmp_path)


def test_damaged_metadata(tmp_path, pixels):
    path = write_ome(tmp_path / "a.zarr", pixels, "0.5")
    (path / "zarr.json").write_text("{")
    with pytest.raises(ImageError, match="can be read"):
        read_image(path)


def test_level_that_is_missing(tmp_path, pixels):
    path = write_ome(tmp_path / "a.zarr", pixels, "0.5")
    content = json.loads((path / "zarr.json").read_text())
    content["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "no"
    (path / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(ImageError, match="can be read"):
        read_image(path)


def test_damaged_chunk(tmp_path, pixels):
    path = write_ome(tmp_path / "a.zarr", pixels, "0.5")
    chunk = path / "s0" / "c" / "0" / "0" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    image = read_image(path)
    with pytest.raises(ImageError, match="pixels cannot be read"):
        image.data.compute()


def test_wrong_axes(tmp_path, pixels):
    path = write_ome(tmp_path / "a.zarr", pixels, "0.5")
    with pytest.raises(AxesError, match="'ZYX' name 3 axes but the image has 5"):
        read_image(path, axes="ZYX")


def test_chunks_grow_to_a_few_mebibytes(tmp_path):
    zarr.create_array(
        tmp_path / "a.zarr", shape=(50, 8192, 8192), chunks=(1, 64, 64), dtype="uint16"
    )
    chunk = read_image(tmp_path / "a.zarr").data.chunksize
    assert chunk[0] == 1
    assert chunk[1] % 64 == chunk[2] % 64 == 0
    assert 2**19 <= np.prod(chunk) * 2 <= 2**22
