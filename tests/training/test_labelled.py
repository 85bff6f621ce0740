import dask.array as da
import numpy as np
import pytest

from napari_unetpp.arrays import Image, LabelRule, canonical, infer_rule, normalise
from napari_unetpp.config import TrainingConfig
from napari_unetpp.errors import AxesError, LabelsError
from napari_unetpp.io import as_image, image_range, read_labels
from napari_unetpp.training._labelled import LabelledSet
from napari_unetpp.training._prepare import LabelledImage, new_model

SETTINGS = TrainingConfig(epochs=1, patch=32)


def strokes(shape=(256, 256), n=12, seed=0):
    """Return labels with short strokes of the classes 1 and 2 on 0."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    for k in range(n):
        y, x = rng.integers(0, shape[-2] - 4), rng.integers(0, shape[-1] - 20)
        labels[..., y : y + 3, x : x + 18] = 1 + k % 2
    return labels


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def labelled(images, labels, task="classes", unlabelled=0, axes="YX", **options):
    items = [
        LabelledImage(as_image(i, axes), read_labels(a, axes.replace("C", "")))
        for i, a in zip(images, labels, strict=True)
    ]
    rule = infer_rule(labels, task, unlabelled)
    model = new_model(items, task, rule, size="small")
    return LabelledSet(items, model.config, rule, SETTINGS, **options)


def counted(pairs):
    """Return how many labelled pixels count in all pairs."""
    return sum(
        int(((p.labels >= 0) & (True if p.counts is None else p.counts)).sum())
        for p in pairs
    )


def test_every_labelled_pixel_is_learnt_or_held_out_and_none_is_both():
    labels = strokes()
    data = labelled([noise((256, 256))], [labels]).data()
    assert counted(data.pairs) + counted(data.validation) == (labels > 0).sum()
    assert counted(data.validation) > 0
    assert "labelled blocks of" in data.held_out


def test_pixels_are_those_of_the_whole_image_normalised():
    image = noise((256, 256))
    data = labelled([image], [strokes()]).data()
    read = canonical(as_image(image, "YX"), 2, "as_is", 1)
    config = labelled([image], [strokes()])._model.intensity
    whole = normalise(np.asarray(read.data), image_range(read, config), config)
    np.testing.assert_array_equal(data.pairs[0].image, whole)


def test_only_the_regions_around_labels_of_a_big_image_are_read():
    read = []

    def block(block_info):
        read.append(block_info[None]["chunk-location"])
        return noise((128, 128), seed=len(read))

    image = da.map_blocks(
        block, chunks=((128,) * 48, (128,) * 48), dtype=np.uint8, meta=noise((0, 0))
    )
    labels = np.zeros(image.shape, np.uint8)
    labels[5000:5003, 5000:5040] = 1
    labels[5100:5103, 5000:5040] = 2
    labels[500:503, 200:240] = 1
    data = labelled([image], [labels]).data()
    places = [p.image.shape for p in data.pairs]
    assert len(places) == 2
    assert max(max(shape) for shape in places) < 400
    assert len(set(read)) < 1200  # of 2304, most of them a sample of intensities


def test_patches_of_a_region_are_not_cut_at_its_edge():
    image, labels = noise((1000, 1000)), np.zeros((1000, 1000), np.uint8)
    labels[500:503, 500:520] = 1
    labels[510:513, 500:520] = 2
    pair = labelled([image], [labels]).data().pairs[0]
    assert pair.border == (((False, False),) * 2)
    at = np.argwhere(pair.labels >= 0)
    margin = SETTINGS.patch / SETTINGS.augment.scale[0]
    assert at.min() >= margin
    assert (at.max(axis=0) + margin <= np.array(pair.labels.shape)).all()


def test_new_strokes_enter_and_known_pixels_are_not_read_again():
    image = noise((256, 256)).view()
    labels = strokes()
    learnt = labelled([image], [labels])
    before = learnt.data()
    kept = before.pairs[0].image
    more = labels.copy()
    more[100:103, 50:90] = 1
    after = learnt.relabel([more])
    assert counted(after.pairs) + counted(after.validation) == (more > 0).sum()
    assert {k: after.sides[k] for k in before.sides} == before.sides
    assert after.pairs[0].image is kept


def test_a_region_that_grows_is_the_same_as_one_read_at_once():
    image = noise((900, 900))
    few, more = np.zeros((2, 900, 900), np.uint8)
    few[100:103, 100:140], few[150:153, 100:140] = 1, 2
    more[:] = few
    more[250:253, 200:240] = 2
    learnt = labelled([image], [few])
    learnt.data()
    grown = learnt.relabel([more]).pairs[0]
    at_once = labelled([image], [more]).data().pairs[0]
    np.testing.assert_array_equal(grown.image, at_once.image)


def test_objects_cut_by_a_held_out_block_keep_their_own_boundary():
    labels = np.zeros((256, 256), np.uint16)
    for k in range(36):
        y, x = 40 * (k // 6) + 5, 40 * (k % 6) + 5
        labels[y : y + 30, x : x + 30] = k + 1
    data = labelled([noise((256, 256))], [labels], "instances", None).data()
    assert counted(data.pairs) + counted(data.validation) == labels.size
    for pair in data.validation:  # labels go on beyond what counts
        assert pair.counts.sum() < pair.labels.size


def test_time_points_share_their_places():
    labels = strokes((3, 256, 256))
    data = labelled([noise((3, 256, 256))], [labels], axes="TYX").data()
    assert len(data.pairs) == 3
    np.testing.assert_array_equal(data.pairs[0].counts, data.pairs[2].counts)


def test_sides_go_on_in_a_resumed_run():
    image, labels = noise((256, 256)), strokes()
    sides = labelled([image], [labels]).data().sides
    turned = {key: not side for key, side in sides.items()}
    again = labelled([image], [labels], sides=turned).data()
    assert again.sides == turned


def test_a_value_that_is_no_class_is_left_out_and_told():
    learnt = labelled([noise((256, 256))], [strokes()])
    labels = strokes()
    labels[3:6, 200:230] = 9
    data = learnt.relabel([labels])
    assert any("value 9 is no class" in text for text in data.notices)
    assert (
        counted(data.pairs) + counted(data.validation) == np.isin(labels, (1, 2)).sum()
    )


def test_labels_that_are_all_erased_are_refused_and_the_last_ones_kept():
    learnt = labelled([noise((256, 256))], [strokes()])
    with pytest.raises(LabelsError, match="label some first"):
        learnt.relabel([np.zeros((256, 256), np.uint8)])
    assert counted(learnt.data().pairs) > 0


def test_labels_of_another_shape_are_refused():
    learnt = labelled([noise((256, 256))], [strokes()])
    with pytest.raises(LabelsError, match="shape"):
        learnt.relabel([np.ones((9, 9), np.uint8)])


def test_an_image_that_the_model_does_not_take_is_refused():
    item = LabelledImage(
        Image(noise((2, 64, 64)), "CYX", (1.0,) * 3, ("pixel",) * 3),
        read_labels(strokes((64, 64)), "YX"),
    )
    one = LabelledImage(as_image(noise((64, 64)), "YX"), item.labels)
    rule = LabelRule((1, 2), 0)
    config = new_model([one], "classes", rule, size="small").config
    with pytest.raises(AxesError, match="2 channels"):
        LabelledSet([item], config, rule, SETTINGS)


def test_what_labels_cannot_support_is_told():
    labels = np.zeros((256, 256), np.uint8)
    labels[5:8, 5:9] = 1
    labels[200:240, 100:250] = 2
    notices = labelled([noise((256, 256))], [labels]).data().notices
    text = "\n".join(notices)
    assert "class 1 is labelled in one place only" in text
    assert "few pixels are labelled of class 1 (12 pixels)" in text
    assert "class 2 has 500 times the labelled pixels of class 1" in text


def test_one_place_alone_leaves_nothing_to_validate_on():
    labels = np.zeros((256, 256), np.uint8)
    labels[5:8, 5:25] = 1
    labels[10:13, 5:25] = 2
    data = labelled([noise((256, 256))], [labels]).data()
    assert data.held_out == "nothing is held out"
    assert any("nothing is held out" in text for text in data.notices)


def test_volumes_are_learnt_by_blocks_too():
    labels = np.zeros((32, 96, 96), np.uint8)
    labels[10:14, 10:80, 10:80] = 1
    labels[20:24, 10:80, 10:80] = 2
    data = labelled([noise((32, 96, 96))], [labels], axes="ZYX").data()
    assert counted(data.pairs) + counted(data.validation) == (labels > 0).sum()
    assert (
        "x 8 x 8" in data.held_out
        or "x 16 x 16" in data.held_out
        or ("x 32 x 32" in data.held_out)
    )
