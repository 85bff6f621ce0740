from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.arrays import intensity_range, normalise, working_dtype
from napari_unetpp.config import IntensityConfig
from napari_unetpp.errors import ImageError

CONFIG = IntensityConfig()
DTYPES = [
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "uint32",
    "float16",
    "float32",
    "float64",
]


def test_range_is_the_percentiles_of_each_channel():
    sample = np.stack([np.arange(1001.0), np.arange(1001.0) * 2 + 5])
    found = intensity_range(sample, CONFIG)
    assert found.low == pytest.approx((10.0, 25.0))
    assert found.high == pytest.approx((998.0, 2001.0))
    assert (found.n_pixels, found.sampled) == (1001, False)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("n", [1, 2, 7, 1000, 300_001])
def test_percentiles_that_are_counted_are_those_of_sorting(dtype, n):
    rng = np.random.default_rng(n)
    sample = rng.poisson((3, 90), (n, 2)).T.astype(dtype)
    for low, high in ((1.0, 99.8), (0.0, 100.0), (33.3, 66.6)):
        config = IntensityConfig(low_percentile=low, high_percentile=high)
        try:
            expected = intensity_range(sample.astype(np.float32), config)
        except ImageError:
            continue
        assert intensity_range(sample, config) == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_dtype_is_mapped_to_0_and_1(dtype):
    tile = np.array([[[0, 10, 20, 120]]], dtype)
    sample = np.array([[0, 20]], working_dtype(dtype))
    config = IntensityConfig(low_percentile=0, high_percentile=100)
    made = normalise(tile, intensity_range(sample, config), config)
    assert made.dtype == np.float32
    assert made.shape == tile.shape
    np.testing.assert_allclose(made, [[[0, 0.5, 1, 3]]], rtol=1e-6)  # clipped at 3


def test_wide_dtypes_keep_their_precision():
    tile = np.array([[[2**30, 2**30 + 1, 2**30 + 2]]], np.int32)
    config = IntensityConfig(low_percentile=0, high_percentile=100)
    assert working_dtype(np.int32) == np.float64
    found = intensity_range(tile.reshape(1, -1).astype(float), config)
    np.testing.assert_allclose(normalise(tile, found, config), [[[0, 0.5, 1]]])


def test_normalise_leaves_the_tile_alone():
    tile = np.ones((1, 2, 2), np.float32)
    before = tile.copy()
    normalise(tile, intensity_range(np.array([[0.0, 1.0]]), CONFIG), CONFIG)
    np.testing.assert_array_equal(tile, before)


def test_image_that_is_nearly_all_background_keeps_its_contrast():
    sample = np.zeros((1, 10_000), np.float32)
    sample[0, :3] = 7
    found = intensity_range(sample, CONFIG)
    assert (found.low, found.high) == ((0.0,), (7.0,))


@pytest.mark.parametrize("n", [1, 50])
def test_image_without_contrast_is_refused(n):
    with pytest.raises(ImageError, match=rf"all {n} pixels.*same value \(7\).*check"):
        intensity_range(np.full((1, n), 7.0), CONFIG)


def test_one_channel_without_contrast_is_mapped_to_0():
    sample = np.stack([np.zeros(100), np.arange(100.0)])
    found = intensity_range(sample, CONFIG)
    made = normalise(np.zeros((2, 1, 1), np.float32), found, CONFIG)
    assert made[0] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_pixels_are_counted_and_refused(bad):
    sample = np.arange(100.0)[None].copy()
    sample[0, :3] = bad
    with pytest.raises(ImageError, match=r"3 of 100 .*--nonfinite background"):
        intensity_range(sample, CONFIG)
    found = intensity_range(np.arange(100.0)[None], CONFIG)
    with pytest.raises(ImageError, match=r"3 of 100 .*--nonfinite background"):
        normalise(sample[:, None], found, CONFIG)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_pixels_taken_as_background(bad):
    sample = np.arange(1000, dtype=np.float32)[None].copy()
    clean = intensity_range(sample[:, 1:], CONFIG)
    sample[0, 0] = bad
    found = intensity_range(sample, CONFIG, "background")
    assert (found.low, found.high) == (clean.low, clean.high)
    made = normalise(sample[:, None], found, CONFIG, "background")
    assert made[0, 0, 0] == 0
    assert np.isfinite(made).all()


@pytest.mark.parametrize("nonfinite", ["error", "background"])
def test_no_finite_pixel_at_all(nonfinite):
    with pytest.raises(ImageError, match="none of the 9 pixels is finite"):
        intensity_range(np.full((1, 9), np.nan), CONFIG, nonfinite)


def test_mean_and_deviation_become_0_and_1():
    rng = np.random.default_rng(0)
    sample = rng.normal((50, 200), (5, 20), (4000, 2)).T
    config = IntensityConfig(rule="standard", clip=(-1e6, 1e6))
    found = intensity_range(sample, config)
    scaled = normalise(sample, found, config)
    assert scaled.mean(axis=1) == pytest.approx(0, abs=1e-5)
    assert scaled.std(axis=1) == pytest.approx(1, abs=1e-5)
    joint = config.model_copy(update={"joint": True})
    together = normalise(sample, intensity_range(sample, joint), joint)
    assert together.mean() == pytest.approx(0, abs=1e-5)
    assert together.std() == pytest.approx(1, abs=1e-5)


def test_fixed_values_know_nothing_of_the_image():
    config = IntensityConfig(rule="fixed", fixed=((0, 255),), clip=(0, 1))
    sample = np.array([[0.0, 51.0, 300.0], [51.0, 51.0, 51.0]])
    found = intensity_range(sample, config)
    assert (found.low, found.high) == ((0, 0), (255, 255))
    assert normalise(sample, found, config)[0] == pytest.approx([0, 0.2, 1])
    each = IntensityConfig(rule="fixed", fixed=((0, 255), (50, 100)))
    assert intensity_range(sample, each).high == (255, 100)


def test_fixed_values_and_their_rule_go_together():
    with pytest.raises(ValueError, match="do not go together"):
        IntensityConfig(rule="fixed")
    with pytest.raises(ValueError, match="must be below"):
        IntensityConfig(rule="fixed", fixed=((1, 1),))
