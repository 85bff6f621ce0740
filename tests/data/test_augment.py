"""What augmentation does to intensities: against dyes and light that are known."""

import numpy as np
import pytest
from skimage.color import hed_from_rgb, rgb_from_hed

from napari_unetpp.config import AugmentConfig
from napari_unetpp.data._augment import recolour

PLAIN = {
    "brightness": 0,
    "contrast": (1, 1),
    "gamma": (1, 1),
    "noise": 0,
    "blur": 0,
}
OFF = AugmentConfig(**PLAIN)
STAIN = AugmentConfig(**PLAIN, stain=0.2)
SHADING = AugmentConfig(**PLAIN, shading=0.3)


def draw(image, config, seed=0):
    return recolour(image, config, np.random.default_rng(seed))


def dyed(amounts):
    """Return red, green and blue (3, Y, X) of amounts (Y, X, 3) of three dyes."""
    return np.moveaxis(np.exp(-amounts @ rgb_from_hed), -1, 0).astype(np.float32)


def amounts_of(image):
    """Return the dyes (Y, X, 3) in red, green and blue."""
    return -np.log(np.moveaxis(image, 0, -1)) @ hed_from_rgb


@pytest.fixture
def tissue():
    return np.random.default_rng(1).uniform(0.1, 1.2, (20, 30, 3))


@pytest.mark.parametrize("seed", range(5))
def test_each_dye_is_taken_up_by_a_factor_of_its_own(tissue, seed):
    after = amounts_of(draw(dyed(tissue), STAIN, seed))
    factors = []
    for dye in range(3):
        factor, tint = np.polyfit(tissue[..., dye].ravel(), after[..., dye].ravel(), 1)
        np.testing.assert_allclose(
            factor * tissue[..., dye] + tint, after[..., dye], atol=1e-4
        )
        factors.append(factor)
        assert 0.8 <= factor <= 1.2
        assert abs(tint) <= 0.02 + 1e-6
    assert np.ptp(factors) > 1e-3


def test_what_has_no_colour_is_not_stained():
    grey = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    for image in (grey, np.repeat(grey, 3, axis=0)):
        np.testing.assert_array_equal(draw(image, STAIN), draw(image, OFF))


def test_pixels_outside_the_range_stay_finite_and_in_order():
    image = np.linspace(-1, 3, 99, dtype=np.float32).reshape(3, 1, 33)
    stained = draw(image, STAIN)
    assert np.isfinite(stained).all()
    assert (np.diff(stained[0, 0]) > 0).all()


def test_a_little_stain_changes_little(tissue):
    image = dyed(tissue)
    image[:, 0] = [[-0.5], [0.0], [1e-4]]  # darker than any dye makes it
    least = AugmentConfig(**PLAIN, stain=1e-6)
    np.testing.assert_allclose(draw(image, least), image, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 48), (8, 32, 48)])
def test_uneven_light_is_smooth_bounded_and_one_on_average(size):
    for seed in range(20):
        light = draw(np.ones((2, *size), np.float32), SHADING, seed)
        np.testing.assert_array_equal(light[0], light[1])
        assert np.abs(light - 1).max() <= 0.3 + 1e-6
        assert light.mean() == pytest.approx(1, abs=0.02)
        assert max(np.abs(np.diff(light[0], axis=-1)).ravel()) < 0.06
    assert np.ptp(light) > 0.01


def test_grey_is_shown_in_the_channels_of_a_dye_and_colour_is_not():
    grey = np.random.default_rng(0).uniform(0.1, 1, (1, 8, 8)).astype(np.float32)
    config = AugmentConfig(**PLAIN, tint=1)
    counts = set()
    for seed in range(30):
        tinted = draw(np.repeat(grey, 3, axis=0), config, seed)
        dark = [channel for channel in tinted if not channel.any()]
        counts.add(len(dark))
        for channel in tinted[tinted.any(axis=(1, 2))]:
            np.testing.assert_allclose(channel, grey[0], atol=1e-6)
    assert counts == {1, 2}
    coloured = np.random.default_rng(1).uniform(0.1, 1, (3, 8, 8)).astype(np.float32)
    for image in (grey, coloured):
        np.testing.assert_array_equal(draw(image, config), draw(image, OFF))
