"""Measures against plain set arithmetic, and their rules for nothing at all."""

import itertools
import json

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from napari_unetpp.nn._metrics import (
    AP_THRESHOLDS,
    ImageScore,
    average_precision,
    class_iou,
    class_measures,
    confusion_matrix,
    dice,
    foreground_iou,
    match_instances,
    mean_iou,
    object_boundaries,
    panoptic_quality,
    pixel_accuracy,
    summarise,
)

EMPTY = np.zeros((8, 8), np.uint16)


def masks(seed, shape=(20, 30), ignored=0.1):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, 2, (2, *shape))
    true[rng.random(shape) < ignored] = -1
    return true, predicted


def pixels(array, value, counted):
    return {tuple(place) for place in np.argwhere((array == value) & counted)}


@pytest.mark.parametrize("seed", range(5))
def test_masks_are_measured_as_sets_of_pixels(seed):
    true, predicted = masks(seed)
    counted = true >= 0
    a, b = pixels(true, 1, counted), pixels(predicted, 1, counted)
    c, d = pixels(true, 0, counted), pixels(predicted, 0, counted)

    confusion = confusion_matrix(true, predicted, 2)

    assert confusion.sum() == counted.sum()
    assert foreground_iou(confusion) == len(a & b) / len(a | b)
    assert dice(confusion) == 2 * len(a & b) / (len(a) + len(b))
    both = (len(a & b) / len(a | b), len(c & d) / len(c | d))
    assert mean_iou(confusion) == pytest.approx(sum(both) / 2)


def test_classes_are_measured_one_by_one():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(-1, 4, (2, 40, 40))
    counted = (true >= 0) & (predicted >= 0)

    confusion = confusion_matrix(true, predicted, 5)

    iou = class_iou(confusion)
    for c in range(4):
        a, b = pixels(true, c, counted), pixels(predicted, c, counted)
        assert iou[c] == len(a & b) / len(a | b)
    assert np.isnan(iou[4])
    assert mean_iou(confusion) == pytest.approx(np.mean(iou[:4]))
    foreground = confusion_matrix(true[counted] > 0, predicted[counted] > 0, 2)
    assert foreground_iou(confusion) == foreground_iou(foreground)


@pytest.mark.parametrize("seed", range(3))
def test_precision_and_recall_of_a_class_are_those_of_its_pixels(seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(-1, 4, (2, 30, 30))
    counted = (true >= 0) & (predicted >= 0)

    found = class_measures(confusion_matrix(true, predicted, 4))

    right = 0
    for c in range(4):
        a, b = pixels(true, c, counted), pixels(predicted, c, counted)
        right += len(a & b)
        assert found.precision[c] == len(a & b) / len(b)
        assert found.recall[c] == len(a & b) / len(a)
        assert found.dice[c] == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
    accuracy = pixel_accuracy(confusion_matrix(true, predicted, 4))
    assert accuracy == right / counted.sum()


def test_a_class_that_is_only_in_one_map_has_half_of_the_measures():
    """Class 1 is never predicted, class 2 nowhere true, class 3 in neither."""
    confusion = np.array([[5, 0, 2, 0], [3, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])

    found = class_measures(confusion)

    np.testing.assert_array_equal(found.precision, [5 / 8, np.nan, 0, np.nan])
    np.testing.assert_array_equal(found.recall, [5 / 7, 0, np.nan, np.nan])
    np.testing.assert_array_equal(found.iou, [0.5, 0, 0, np.nan])


@pytest.mark.parametrize("measure", [foreground_iou, mean_iou, dice])
def test_nothing_found_where_nothing_is_counts_as_right(measure):
    assert measure(confusion_matrix(EMPTY, EMPTY, 2)) == 1
    assert measure(confusion_matrix(EMPTY, np.full_like(EMPTY, -1, int), 2)) == 1


@pytest.mark.parametrize("measure", [foreground_iou, dice])
def test_something_found_where_nothing_is_counts_as_wrong(measure):
    full = EMPTY + 1

    assert measure(confusion_matrix(EMPTY, full, 2)) == 0
    assert measure(confusion_matrix(full, EMPTY, 2)) == 0


def test_ignored_pixels_change_no_measure_of_pixels():
    true, predicted = masks(0)
    before = confusion_matrix(true, predicted, 2)

    predicted[true < 0] = 1 - predicted[true < 0]

    np.testing.assert_array_equal(confusion_matrix(true, predicted, 2), before)


def random_objects(seed, shape=(40, 40), n=25):
    """Rectangles over one another, with ids that have gaps."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int64)
    for id_ in 3 * rng.permutation(n) + 1:
        low = [rng.integers(0, s - 3) for s in shape]
        high = [start + rng.integers(2, 14) for start in low]
        labels[tuple(map(slice, low, high))] = id_
    return labels


def shaken(labels, seed):
    """The objects again, a little elsewhere, some lost, some split, some made up."""
    rng = np.random.default_rng(seed)
    moved = np.roll(labels, rng.integers(-2, 3, labels.ndim), range(labels.ndim))
    for id_ in np.unique(moved)[1::4]:
        moved[moved == id_] = 0
    for id_ in np.unique(moved)[1::3]:
        place = np.argwhere(moved == id_)
        moved[tuple(place[: len(place) // 2].T)] = 1000 + id_
    return np.where(rng.random(labels.shape) < 0.02, 5000, moved)


def brute_force_iou(true, predicted):
    ids = [np.unique(each[each > 0]) for each in (true, predicted)]
    iou = np.zeros((len(ids[0]), len(ids[1])))
    for (i, a), (j, b) in itertools.product(enumerate(ids[0]), enumerate(ids[1])):
        either = (true == a) | (predicted == b)
        iou[i, j] = ((true == a) & (predicted == b)).sum() / either.sum()
    return iou


def assigned(iou, threshold):
    """Largest number of pairs, by the assignment of all to all."""
    good = iou >= threshold
    return int(good[linear_sum_assignment(-good.astype(float))].sum())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("shape", [(40, 40), (12, 20, 20)])
def test_objects_are_matched_as_by_brute_force(seed, shape):
    true = random_objects(seed, shape)
    predicted = shaken(true, seed)

    match = match_instances(true, predicted)

    iou = brute_force_iou(true, predicted)
    assert (match.n_true, match.n_predicted) == iou.shape
    np.testing.assert_array_equal(match.iou.toarray(), iou)
    for threshold in (0.05, 0.1, 0.3, *AP_THRESHOLDS):
        found = assigned(iou, threshold)
        assert match.n_found(threshold) == found
        precision = found / (sum(iou.shape) - found)
        assert average_precision([match], threshold) == precision


@pytest.mark.parametrize("seed", range(5))
def test_panoptic_quality_is_that_of_brute_force(seed):
    true = random_objects(seed)
    predicted = shaken(true, seed)

    found = panoptic_quality([match_instances(true, predicted)])

    iou = brute_force_iou(true, predicted)
    pairs = iou[iou > 0.5]
    left_over = iou.shape[0] + iou.shape[1] - 2 * pairs.size
    assert found.rq == pytest.approx(pairs.size / (pairs.size + left_over / 2))
    assert found.sq == pytest.approx(pairs.mean() if pairs.size else 0)
    assert found.pq == pytest.approx(pairs.sum() / (pairs.size + left_over / 2))
    assert found.pq == pytest.approx(found.sq * found.rq)


def test_panoptic_quality_pairs_above_a_half_only():
    """An IoU of exactly 0.5 counts as found, but is no pair of panoptic quality."""
    match = match_instances(np.array([[1, 1, 0]]), np.array([[1, 0, 0]]))

    assert match.n_found(0.5) == 1
    assert panoptic_quality([match]).pq == 0


@pytest.mark.parametrize(("n_true", "n_predicted"), [(0, 0), (0, 1), (1, 0)])
def test_panoptic_quality_without_pairs(n_true, n_predicted):
    match = match_instances(EMPTY + n_true, EMPTY + n_predicted)

    found = panoptic_quality([match])

    assert found.pq == found.sq == found.rq == float(n_true == n_predicted)


def test_an_iou_of_exactly_the_threshold_counts_once():
    """Two halves of one object both reach 0.5: one of them is the match."""
    true = np.array([[1, 1, 0, 2, 2, 2]])
    halves = np.array([[1, 2, 0, 3, 3, 0]])

    match = match_instances(true, halves)

    assert match.n_found(0.5) == 2
    assert average_precision([match], 0.5) == 2 / 3
    assert match.n_found(0.51) == 1
    assert match.n_found(2 / 3) == 1


def test_below_a_half_no_object_is_used_twice():
    """One blob over two objects finds one of them."""
    true = np.array([[1, 1, 2, 2]])
    blob = np.array([[7, 7, 7, 7]])

    match = match_instances(true, blob)

    assert match.n_found(0.5) == 1
    assert average_precision([match], 0.3) == 1 / 2


def test_numbering_and_gaps_do_not_matter():
    true = random_objects(1)
    predicted = shaken(true, 1)
    rng = np.random.default_rng(0)
    renumbered = np.r_[0, rng.permutation(10_000) + 1][predicted].astype(np.uint32)

    ours, theirs = (match_instances(true, each) for each in (predicted, renumbered))

    for threshold in AP_THRESHOLDS:
        assert ours.n_found(threshold) == theirs.n_found(threshold)


def test_perfect_objects_are_all_found():
    labels = random_objects(2)

    match = match_instances(labels, labels)

    assert match.n_found(1.0) == match.n_true == match.n_predicted > 5
    assert average_precision([match], 0.9) == 1


def test_ignored_pixels_are_in_no_object():
    true = np.array([[1, 1, 1, -1, -1, 0, 0]])
    predicted = np.array([[4, 4, 4, 4, 5, 0, 6]])

    match = match_instances(true, predicted)

    assert (match.n_true, match.n_predicted) == (1, 2)
    np.testing.assert_array_equal(match.iou.toarray(), [[1.0, 0.0]])


@pytest.mark.parametrize(("n_true", "n_predicted"), [(0, 0), (0, 1), (1, 0)])
def test_images_without_objects(n_true, n_predicted):
    match = match_instances(EMPTY + n_true, EMPTY + n_predicted)

    assert (match.n_true, match.n_predicted) == (n_true, n_predicted)
    assert average_precision([match], 0.5) == float(n_true == n_predicted)


def score(true, predicted):
    return ImageScore(
        confusion_matrix(true > 0, predicted > 0, 2), match_instances(true, predicted)
    )


def test_summary_names_what_it_averages_and_what_it_pools():
    """A small image that is right, and a large one of which half is missed."""
    small = np.zeros((4, 4), int)
    small[:2] = 1
    large = np.zeros((40, 40), int)
    large[:10], large[20:30] = 1, 2
    missed = np.where(large == 2, 0, large)

    summary = summarise([score(small, small), score(large, missed)])

    assert summary["iou"] == (1 + 1 / 2) / 2
    assert summary["pooled_iou"] == (8 + 400) / (8 + 800)
    assert summary["dice"] == pytest.approx((1 + 2 / 3) / 2)
    assert summary["mean_iou"] == pytest.approx((1 + (1 / 2 + 800 / 1200) / 2) / 2)
    pooled = (408 / 808 + 808 / 1208) / 2
    assert summary["pooled_mean_iou"] == pytest.approx(pooled)
    for name in ("ap50", "ap75", "ap90", "mean_ap"):
        assert summary[name] == pytest.approx((1 + 1 / 2) / 2)
        assert summary[f"{name}_pooled"] == pytest.approx(2 / 3)
    assert (summary["n_true"], summary["n_pred"]) == (3, 2)


def test_summary_counts_objects_over_all_images_and_errors_by_image():
    """Three too many in one image and two too few in another are no good count."""
    one, many = np.zeros((20, 20), int), np.zeros((20, 20), int)
    one[:4, :4] = 1
    many[:4, :4] = 1
    for number in range(3):
        many[10 + 3 * number, :5] = 2 + number
    few = np.where(many > 2, 0, many)

    summary = summarise([score(one, many), score(many, few)])

    assert (summary["n_true"], summary["n_pred"]) == (5, 6)
    assert (summary["n_found"], summary["n_missed"], summary["n_false"]) == (3, 2, 3)
    assert summary["count_error"] == (3 + 2) / 2
    assert summary["count_bias"] == (3 - 2) / 2
    assert summary["pq"] == pytest.approx((2 / 5 + 2 * 2 / 6) / 2)
    assert summary["pq_pooled"] == pytest.approx(2 * 3 / 11)


def test_outlines_nobody_can_know_are_left_out_of_the_summary():
    labels = random_objects(4)
    known = ImageScore(
        confusion_matrix(labels > 0, labels > 0, 2),
        boundary=object_boundaries(labels, np.roll(labels, 1, 0), 0),
    )
    unknown = ImageScore(
        known.confusion, boundary=object_boundaries(labels - 10_000, labels)
    )

    summary = summarise([known, unknown])

    assert summary["boundary_f"] == summarise([known])["boundary_f"] < 1
    assert "boundary_f" not in summarise([unknown])


def test_summary_has_every_threshold_and_is_json():
    true = random_objects(3)
    summary = summarise([score(true, shaken(true, 3))])

    names = [f"ap{percent}" for percent in range(50, 95, 5)]
    values = [summary[name] for name in names]
    assert values == sorted(values, reverse=True)
    assert summary["mean_ap"] == pytest.approx(np.mean(values))
    assert json.loads(json.dumps(summary)) == summary


def test_summary_of_a_class_model_has_no_objects():
    summary = summarise([ImageScore(confusion_matrix(EMPTY, EMPTY, 3))])

    assert set(summary) == {
        *("iou", "pooled_iou", "mean_iou", "pooled_mean_iou", "dice", "pooled_dice"),
        "pixel_accuracy",
    }
