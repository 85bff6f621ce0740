from __future__ import annotations

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_unetpp.arrays import Image, canonical
from napari_unetpp.config import IntensityConfig
from napari_unetpp.errors import ImageError
from napari_unetpp.io import as_image, image_range, sample_intensities

RNG = np.random.default_rng(0)


def made(pixels, axes, dims=2, chunks="auto"):
    data = da.asarray(pixels, chunks=chunks)
    ones, units = (1.0,) * pixels.ndim, ("pixel",) * pixels.ndim
    image = Image(data, axes, ones, units)
    return canonical(image, dims, "as_is", image.n_channels)


@pytest.mark.parametrize(
    ("axes", "dims"), [("YX", 2), ("TCYX", 2), ("CZYX", 3), ("YXC", 2), ("TZYXC", 3)]
)
def test_small_image_is_taken_whole(axes, dims):
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 20, "X": 30}
    pixels = RNG.integers(0, 999, [sizes[a] for a in axes]).astype(np.uint16)
    sample = sample_intensities(made(pixels, axes, dims))
    assert sample.dtype == np.float32
    channels = np.moveaxis(pixels, axes.index("C"), 0) if "C" in axes else pixels[None]
    expected = np.sort(channels.reshape(len(channels), -1))
    np.testing.assert_array_equal(np.sort(sample), expected)


@pytest.mark.parametrize(
    ("axes", "dims", "shape"),
    [
        ("YX", 2, (1500, 1700)),
        ("TYX", 2, (40, 300, 310)),
        ("ZYX", 3, (40, 300, 310)),
        ("TZYX", 3, (9, 5, 300, 310)),
        ("CYX", 2, (2, 1500, 1700)),
    ],
)
def test_sample_of_a_large_image(axes, dims, shape):
    pixels = RNG.permutation(np.prod(shape)).reshape(shape)
    whole = made(pixels, axes, dims, chunks=97)
    sample = sample_intensities(whole, 2**20)
    assert 2**19 < sample.shape[1] <= 2**20
    for channel in sample:
        assert len(np.unique(channel)) == sample.shape[1]  # no pixel twice
    # It is the same in another run, and for another way to store the image.
    again = sample_intensities(made(pixels, axes, dims, chunks=211), 2**20)
    np.testing.assert_array_equal(sample, again)
    # And it is spread over the image: its percentiles are nearly those of all.
    found = np.percentile(sample[0], [10, 50, 90])
    channel = pixels[0] if "C" in axes else pixels
    expected = np.percentile(channel, [10, 50, 90])
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_range_says_whether_it_is_of_a_sample():
    small = image_range(made(RNG.random((20, 30)), "YX"), IntensityConfig())
    assert (small.n_pixels, small.sampled) == (600, False)
    ramp = da.broadcast_to(da.arange(5000), (5000, 5000))
    large = image_range(made(ramp, "YX"), IntensityConfig())
    assert large.sampled
    assert 2**23 < large.n_pixels <= 2**24
    assert large.high[0] == pytest.approx(4990, abs=30)


def test_bad_images_are_refused():
    config = IntensityConfig()
    for pixels, message in (
        (np.full((9, 9), 3), r"same value \(3\)"),
        (np.zeros((1, 1)), "all 1 pixels"),
        (np.full((9, 9), np.nan), "none of the 81 pixels is finite"),
        (np.where(np.eye(9), np.inf, 1.0), "9 of 81 pixels are NaN or infinite"),
    ):
        with pytest.raises(ImageError, match=message):
            image_range(canonical(as_image(pixels), 2, "grey", 1), config)


LARGE = """
import resource, sys
from napari_unetpp.arrays import canonical
from napari_unetpp.config import IntensityConfig
from napari_unetpp.io import image_range, read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image = canonical(read_image(sys.argv[1]), 2, "grey", 1)
found = image_range(image, IntensityConfig(low_percentile=0, high_percentile=100))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(found.sampled, found.n_pixels, (after - before) // 1024)
"""


def test_large_image_is_sampled_in_little_memory(tmp_path):
    """16384 x 16384 x uint16 is 512 MiB; only some MiB more than the sample is used."""
    path = str(tmp_path / "a.zarr")
    array = zarr.create_array(
        path, shape=(16384, 16384), chunks=(1024, 1024), dtype="uint16"
    )
    array[2048:3072, 4096:8192] = RNG.integers(0, 500, (1024, 4096)).astype(np.uint16)
    command = [sys.executable, "-c", LARGE, path]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    sampled, n_pixels, mebibytes = ran.stdout.split()
    assert (sampled, int(n_pixels)) == ("True", 2**24)
    assert int(mebibytes) < 500


def test_a_nearly_empty_image_is_searched_for_what_is_there():
    pixels = da.full((20_000, 20_000), 7, chunks=2000, dtype="uint8")
    spot = da.from_array(np.arange(2000 * 2000, dtype="uint8").reshape(2000, 2000))
    rows = [da.concatenate([pixels[:2000, :18_000], spot], axis=1), pixels[2000:]]
    image = canonical(as_image(da.concatenate(rows), axes="YX"), 2, "grey", 1)
    assert not (sample_intensities(image) != 7).any()
    found = image_range(image, IntensityConfig())
    assert found.low[0] <= 7 < found.high[0]
    assert found == image_range(image, IntensityConfig())
