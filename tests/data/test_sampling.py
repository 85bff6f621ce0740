import numpy as np
import pytest

from napari_unetpp.arrays import IGNORE
from napari_unetpp.config import AugmentConfig
from napari_unetpp.data import PatchSampler, TrainingPair
from napari_unetpp.errors import LabelsError

PLAIN = AugmentConfig(
    flip=False,
    rotate=False,
    scale=(1, 1),
    brightness=0,
    contrast=(1, 1),
    gamma=(1, 1),
    noise=0,
    blur=0,
)


def pair(shape=(40, 50), labelled=None, name="a", weight=1.0):
    """Return an image whose pixels say where they are, and its class labels."""
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
    labels = np.full(shape, IGNORE, int)
    labels[labelled or (slice(None),) * len(shape)] = 1
    return TrainingPair(image, labels, name, weight)


def sampler(pairs, size=(16, 16), augment=PLAIN, task="classes", **options):
    return PatchSampler(pairs, size, np.asarray, augment, task=task, **options)


@pytest.mark.parametrize(
    ("shape", "size"), [((40, 50), (16, 16)), ((9, 20, 20), (8, 16, 16))]
)
def test_patches_are_cut_from_the_image_and_their_labels_fit(shape, size):
    source = pair(shape)
    source.labels[:] = (source.image[0] % 3).astype(int)
    draws = sampler([source], size)
    for k in range(10):
        image, target = draws.patch(k)
        assert image.shape == (1, *size)
        np.testing.assert_array_equal(image[0] % 3, target)


def test_every_patch_holds_labelled_pixels_even_if_they_are_few():
    source = pair((200, 200), labelled=(slice(190, 192), slice(5, 6)))
    draws = sampler([source])
    assert all((draws.patch(k)[1] >= 0).any() for k in range(20))


def test_rare_classes_are_drawn_as_often_as_common_ones():
    source = pair((300, 300))
    source.labels[:] = 0
    source.labels[100:104, 100:104] = 1
    draws = sampler([source])
    with_rare = sum((draws.patch(k)[1] == 1).any() for k in range(60))
    assert 20 <= with_rare <= 45  # half of the draws start from the rare class


def test_the_rim_is_ignored_but_not_at_the_border_of_the_image():
    draws = sampler([pair((64, 64))], (16, 16), rim=3)
    for k in range(30):
        image, target = draws.patch(k)
        top = image[0, 0, 0] // 64
        left = image[0, 0, 0] % 64
        assert (target[:3] == IGNORE).all() == (top > 0)
        assert (target[:, :3] == IGNORE).all() == (left > 0)
        assert (target[3:13, 3:13] == 1).all()


def test_an_image_smaller_than_a_patch_is_padded_and_the_padding_is_ignored():
    image, target = sampler([pair((10, 30))], (16, 16)).patch(0)
    assert image.shape == (1, 16, 16)
    assert (target[10:] == IGNORE).all()
    assert (target[:10] == 1).all()


def test_patch_k_is_always_the_same_and_depends_on_the_seed():
    augment = AugmentConfig(invert=0.5)
    first = sampler([pair()], augment=augment, seed=1)
    again = sampler([pair()], augment=augment, seed=1)
    other = sampler([pair()], augment=augment, seed=2)
    np.testing.assert_array_equal(first.batch(3, 4)[0], again.batch(3, 4)[0])
    assert not np.array_equal(first.patch(0)[0], other.patch(0)[0])


def test_augmented_labels_follow_the_image():
    shape = (64, 64)
    labels = np.zeros(shape, int)
    labels[10:30, 20:50] = 1
    source = TrainingPair(labels[None].astype(np.float32), labels)
    geometry = PLAIN.model_copy(
        update={"flip": True, "rotate": True, "scale": (0.5, 2.0)}
    )
    draws = sampler([source], (32, 32), geometry)
    for k in range(20):
        image, target = draws.patch(k)
        known = target >= 0
        assert np.mean((image[0] > 0.5)[known] == (target[known] == 1)) > 0.95


def test_weights_decide_which_image_is_drawn():
    rare = pair(weight=0.0, name="never")
    rare.image[:] = -1
    draws = sampler([pair(), rare])
    assert all(draws.patch(k)[0].min() >= 0 for k in range(20))


def test_nothing_labelled_is_refused():
    with pytest.raises(LabelsError, match="label some first"):
        sampler([pair(labelled=(slice(0, 0), slice(0, 0)))])


def test_labels_of_another_size_are_refused():
    with pytest.raises(LabelsError, match=r"\(4, 4\).*\(5, 5\)"):
        TrainingPair(np.zeros((1, 4, 4), np.float32), np.zeros((5, 5), int), "cells")
