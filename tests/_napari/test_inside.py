"""Labels and shapes as masks over an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

from napari_unetpp._napari import Source, read_inside, read_layer
from napari_unetpp.errors import ImageError
from napari_unetpp.io import as_image


def mask_over(layer: Labels | Shapes, image: Source) -> np.ndarray:
    """Return the mask as the core reads it, and check that pieces are the same."""
    source = read_inside(layer).over(image)
    found = as_image(source, axes=source.axes)
    whole = np.asarray(found.data.compute()) > 0
    index = tuple(slice(size // 3, size // 3 + 4) for size in whole.shape)
    assert np.array_equal(np.asarray(source.data[index]), whole[index])
    return whole


def image_of(shape: tuple[int, ...], **options: Any) -> Source:
    return read_layer(Image(np.zeros(shape, np.uint8), name="cells", **options))


def some_labels(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, shape).astype(np.int32)


def test_labels_over_the_image() -> None:
    place = {"scale": (2, 0.5, 0.4), "translate": (1, 2, 3), "rotate": (0, 0, 20)}
    labels = some_labels((4, 20, 30))
    mask = mask_over(Labels(labels, **place), image_of((4, 20, 30), **place))
    assert np.array_equal(mask, labels > 0)


def test_labels_of_a_part_and_coarser_than_the_image() -> None:
    labels = np.zeros((5, 6), np.uint8)
    labels[1:3, 2:5] = 7
    layer = Labels(labels, scale=(2, 2), translate=(4.5, 10.5))
    expected = np.zeros((20, 30), bool)
    expected[6:10, 14:20] = True
    assert np.array_equal(mask_over(layer, image_of((20, 30))), expected)


def test_flat_labels_hold_for_every_plane() -> None:
    labels = some_labels((20, 30))
    mask = mask_over(Labels(labels), image_of((4, 20, 30)))
    assert mask.shape == (4, 20, 30)
    assert all(np.array_equal(plane, labels > 0) for plane in mask)


def test_channels_of_labels_are_joined() -> None:
    labels = some_labels((4, 2, 20, 30))
    image = image_of((4, 2, 20, 30), axis_labels=("Z", "C", "Y", "X"))
    mask = mask_over(Labels(labels), image)
    assert np.array_equal(mask, labels.any(axis=1))


def test_later_strokes_change_neither_the_mask_nor_its_name() -> None:
    layer = Labels(some_labels((20, 30)))
    image = image_of((20, 30))
    before = read_inside(layer).over(image)
    expected = np.asarray(before.data[:, :])
    layer.data[:] = 0
    assert np.array_equal(np.asarray(before.data[:, :]), expected)
    assert read_inside(layer).over(image).name != before.name


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        ((20, 30), {"rotate": 30}, "turned"),
        ((20, 30), {"translate": (0, 100)}, "beside"),
        ((4, 20, 30), {}, "3 axes"),
    ],
)
def test_labels_that_do_not_fit(
    labels: tuple[int, ...], options: dict[str, Any], says: str
) -> None:
    layer = Labels(some_labels(labels), name="roi", **options)
    with pytest.raises(ImageError, match=says) as refused:
        read_inside(layer).over(image_of((20, 30)))
    assert "'roi'" in str(refused.value)


def test_drawn_areas_are_filled() -> None:
    layer = Shapes(scale=(0.5, 0.5))
    layer.add_rectangles([[10, 20], [10, 40], [30, 40], [30, 20]])
    layer.add_ellipses([[60, 60], [60, 100], [80, 100], [80, 60]])
    layer.add_paths([[0, 0], [5, 90]])
    mask = mask_over(layer, image_of((50, 60)))
    expected = np.zeros((50, 60), bool)
    expected[5:16, 10:21] = True
    y, x = np.mgrid[:50, :60]
    ellipse = ((y - 35) / 5) ** 2 + ((x - 40) / 10) ** 2
    assert np.array_equal(mask[:, :25], expected[:, :25])
    assert mask[ellipse < 0.95].all()
    assert not mask[(ellipse > 1.05) & ~expected].any()


def test_shapes_hold_for_the_planes_on_which_they_are_seen() -> None:
    image = image_of((6, 20, 30), scale=(3, 1, 1))
    square = np.array([[2, 3], [2, 8], [9, 8], [9, 3]], float)
    on_all = mask_over(Shapes([square]), image)
    assert on_all[:, 2:10, 3:9].all()
    assert on_all.sum() == 6 * 8 * 6
    on_one = Shapes([np.insert(square, 0, 4, axis=1)], scale=(3, 1, 1))
    mask = mask_over(on_one, image)
    assert mask[4].sum() == mask.sum() == 8 * 6


def test_shapes_without_area_or_across_planes_are_refused() -> None:
    image = image_of((6, 20, 30))
    with pytest.raises(ImageError, match="no area"):
        read_inside(Shapes(ndim=2)).over(image)
    across = Shapes([[[1, 2, 3], [1, 2, 8], [4, 9, 8], [4, 9, 3]]], name="tilted")
    with pytest.raises(ImageError, match="'tilted' runs across the planes 1 to 4 of Z"):
        read_inside(across).over(image)
