import numpy as np
import pytest

from napari_unetpp.arrays import IGNORE
from napari_unetpp.config import AugmentConfig
from napari_unetpp.data import PatchSampler, TrainingPair, instance_target
from napari_unetpp.data._places import Places
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


def test_pixels_that_do_not_count_are_not_learnt_but_shape_the_target():
    labels = np.zeros((40, 40), int)
    labels[10:30, 10:30] = 1
    counts = np.zeros((40, 40), bool)
    counts[:, :20] = True
    source = TrainingPair(np.zeros((1, 40, 40), np.float32), labels, counts=counts)

    def border(labels):
        return instance_target(labels, 1)

    draws = PatchSampler([source], (40, 40), border, PLAIN, task="instances")
    target = draws.patch(0)[1]
    np.testing.assert_array_equal(target == IGNORE, ~counts)
    np.testing.assert_array_equal(target[:, :20], border(labels)[:, :20])
    assert (target[15:25, 19] == 1).all()  # the cut is no boundary


def test_patches_are_drawn_around_what_counts():
    labels = np.zeros((300, 300), int)
    counts = np.zeros((300, 300), bool)
    counts[280:, 280:] = True
    source = TrainingPair(np.zeros((1, 300, 300), np.float32), labels, counts=counts)
    draws = sampler([source])
    assert all((draws.patch(k)[1] == 0).any() for k in range(20))


def test_classes_then_images_then_places_are_drawn_evenly():
    long_stroke = np.full((256, 256), IGNORE)
    long_stroke[10:60, 10:60] = 0  # 2500 pixels in one place
    long_stroke[200, 200:210] = 0  # 10 in another
    other = np.full((256, 256), IGNORE)
    other[5, 5] = 0
    other[100:200, 100:200] = 1
    places = Places(
        [
            TrainingPair(np.zeros((1, 256, 256), np.float32), each)
            for each in (long_stroke, other)
        ],
        "classes",
        0,
    )
    rng = np.random.default_rng(0)
    drawn = [places.draw(rng) for _ in range(2000)]
    classes = np.array([(long_stroke, other)[k][tuple(at)] for k, at in drawn])
    of_first = [tuple(at) for k, at in drawn if k == 0]
    assert 0.45 < np.mean(classes == 0) < 0.55
    assert 0.45 < len(of_first) / np.sum(classes == 0) < 0.55
    assert 0.4 < np.mean([at[0] == 200 for at in of_first]) < 0.6


def test_the_pixel_drawn_around_is_never_hidden_by_the_rim():
    source = pair((300, 300), labelled=(slice(150, 151), slice(150, 151)))
    draws = sampler([source], (32, 32), rim=8)
    assert all((draws.patch(k)[1] == 1).sum() == 1 for k in range(30))


def test_the_edge_of_a_region_is_not_the_border_of_the_image():
    source = pair((64, 64))
    region = TrainingPair(
        source.image, source.labels, border=((False, True), (True, False))
    )
    target = sampler([region], (64, 64), rim=3).patch(0)[1]
    assert (target[:3] == IGNORE).all()
    assert (target[3:, :61] == 1).all()
    assert (target[:, 61:] == IGNORE).all()
