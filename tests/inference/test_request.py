from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_unetpp.errors import ImageError
from napari_unetpp.inference import aligned_mask
from napari_unetpp.io import as_image


@pytest.fixture
def stack(noise):
    return as_image(noise(3, 4, 20, 30), axes="TZYX")


@pytest.mark.parametrize("shape", [(3, 4, 20, 30), (20, 30)])
def test_a_mask_has_the_axes_of_the_result_or_its_plane(stack, lively_model, shape):
    mask = np.zeros(shape, np.uint8)
    found = aligned_mask(mask, stack, lively_model)
    assert found.shape == shape


def test_a_named_mask_is_turned(stack, lively_model):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 2, (4, 20, 30, 3)).astype(np.uint8)
    found = aligned_mask(as_image(mask, axes="ZYXT"), stack, lively_model)
    np.testing.assert_array_equal(np.asarray(found), np.moveaxis(mask, 3, 0))


def test_a_mask_from_a_file(stack, lively_model, tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((20, 30), np.uint8))
    assert aligned_mask(tmp_path / "mask.tif", stack, lively_model).shape == (20, 30)


def test_a_mask_of_other_axes_is_refused(stack, lively_model):
    mask = as_image(np.zeros((4, 20, 30), np.uint8), axes="ZYX")
    with pytest.raises(ImageError, match="along TZYX or YX"):
        aligned_mask(mask, stack, lively_model)


def test_a_3d_model_takes_a_mask_of_the_stack(stack, lively_model_3d):
    mask = as_image(np.zeros((4, 20, 30), np.uint8), axes="ZYX")
    assert aligned_mask(mask, stack, lively_model_3d).shape == (4, 20, 30)


def test_no_mask(stack, lively_model):
    assert aligned_mask(None, stack, lively_model) is None
