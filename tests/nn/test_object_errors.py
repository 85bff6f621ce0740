"""What is wrong with objects: each kind on its own, and by brute force."""

import itertools

import numpy as np
import pytest

from napari_unetpp.nn._metrics import match_instances
from napari_unetpp.nn._object_errors import (
    ErrorKind,
    class_error_map,
    object_error_map,
    object_errors,
)

FOUND, MISSED, FALSE, SPLIT, MERGED, OUTLINE, CONFUSED = ErrorKind


def errors_of(true, predicted):
    true, predicted = np.array(true), np.array(predicted)
    errors = object_errors(match_instances(true, predicted))
    return errors, object_error_map(true, predicted, errors)


@pytest.mark.parametrize(
    ("true", "predicted", "true_kinds", "predicted_kinds", "shown"),
    [
        ("1110", "2220", [FOUND], [FOUND], "0000"),
        ("1110", "0000", [MISSED], [], "1110"),
        ("0000", "0110", [], [FALSE], "0220"),
        ("11110", "22330", [SPLIT], [SPLIT] * 2, "33330"),
        # A partner of IoU 0.6, and a piece that is too much.
        ("11111", "22203", [SPLIT], [SPLIT] * 2, "33333"),
        ("110220", "333330", [MERGED] * 2, [MERGED], "444440"),
        # A large one that is found well, but has swallowed a small one.
        ("11111122", "33333333", [MERGED] * 2, [MERGED], "44444444"),
        ("111111", "220000", [OUTLINE], [OUTLINE], "555555"),
        ("110000", "222222", [OUTLINE], [OUTLINE], "555555"),
        # They share less than half of either.
        ("1110000", "0022220", [MISSED], [FALSE], "1112220"),
    ],
)
def test_each_kind(true, predicted, true_kinds, predicted_kinds, shown):
    rows = [np.array([[int(c) for c in text]] * 2) for text in (true, predicted)]

    errors, painted = errors_of(*rows)

    assert errors.true.tolist() == true_kinds
    assert errors.predicted.tolist() == predicted_kinds
    assert "".join(map(str, painted[0])) == shown


def random_maps(seed):
    """Blocks of ids that are cut differently in the two maps."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(2):
        labels = np.zeros((24, 24), int)
        for number in range(1, 16):
            y, x = rng.integers(0, 20, 2)
            labels[y : y + rng.integers(2, 9), x : x + rng.integers(2, 9)] = number
        maps.append(labels)
    maps[0][rng.random((24, 24)) < 0.03] = -1
    return maps


def brute_force(true, predicted):
    """The table in the module, word for word."""
    counted = true >= 0
    ids = [np.unique(each[(each > 0) & counted]) for each in (true, predicted)]
    a = {i: (true == i) & counted for i in ids[0]}
    b = {j: (predicted == j) & counted for j in ids[1]}
    pairs = list(itertools.product(a, b))
    shared = {(i, j): (a[i] & b[j]).sum() for i, j in pairs}
    covers = {(i, j) for i, j in pairs if 2 * shared[i, j] >= a[i].sum()}
    lies_in = {(i, j) for i, j in pairs if 2 * shared[i, j] >= b[j].sum()}
    partners = [(i, j) for i, j in pairs if 2 * shared[i, j] > (a[i] | b[j]).sum()]
    merging = {j for j in b if sum((i, j) in covers for i in a) > 1}
    split = {i for i in a if sum((i, j) in lies_in for j in b) > 1}
    found, taken = ({pair[side] for pair in partners} for side in (0, 1))
    related = covers | lies_in

    def kind_of_true(i):
        if any((i, j) in covers for j in merging):
            return MERGED
        if i in split or i in found:
            return SPLIT if i in split else FOUND
        off = any((i, j) in related and j not in taken for j in b)
        return OUTLINE if off else MISSED

    def kind_of_predicted(j):
        if j in merging:
            return MERGED
        if any((i, j) in lies_in for i in split):
            return SPLIT
        if j in taken:
            return FOUND
        off = any((i, j) in related and i not in found for i in a)
        return OUTLINE if off else FALSE

    return [kind_of_true(i) for i in a], [kind_of_predicted(j) for j in b]


@pytest.mark.parametrize("seed", range(20))
def test_kinds_are_those_of_brute_force(seed):
    true, predicted = random_maps(seed)
    match = match_instances(true, predicted)
    if (match.iou.data == 0.5).any():
        pytest.skip("two partners would be as good")

    errors = object_errors(match)

    own, other = brute_force(true, predicted)
    assert errors.true.tolist() == own
    assert errors.predicted.tolist() == other
    assert errors.n_found == match.n_found(0.5)
    for kind in (FOUND, MISSED, SPLIT, MERGED, OUTLINE):
        assert errors.count(kind) == own.count(kind)
    assert errors.count(FALSE) == other.count(FALSE)


@pytest.mark.parametrize("seed", range(5))
def test_a_map_shows_what_is_wrong_with_the_object_there(seed):
    true, predicted = random_maps(seed)

    errors, painted = errors_of(true, predicted)

    own = dict(zip(errors.match.true_ids, errors.true, strict=True))
    other = dict(zip(errors.match.predicted_ids, errors.predicted, strict=True))
    for place in np.ndindex(true.shape):
        a, b = own.get(true[place], 0), other.get(predicted[place], 0)
        expected = b if b == MERGED or not a else a
        assert painted[place] == (0 if true[place] < 0 else expected)


def test_a_higher_iou_finds_fewer():
    true, predicted = np.array([[1] * 10]), np.array([[1] * 7 + [0] * 3])

    match = match_instances(true, predicted)

    assert object_errors(match, 0.5).true.tolist() == [FOUND]
    assert object_errors(match, 0.8).true.tolist() == [OUTLINE]


def test_nothing_at_all_is_not_wrong():
    errors, painted = errors_of(np.zeros((4, 4), int), np.zeros((4, 4), int))

    assert errors.n_found == errors.true.size == errors.predicted.size == 0
    assert not painted.any()


def test_wrong_pixels_of_classes_have_a_kind():
    true = np.array([[0, 0, 1, 1, 2, -1]])
    predicted = np.array([[0, 2, 1, 0, 1, 1]])

    shown = class_error_map(true, predicted, background=True)
    without = class_error_map(true, predicted, background=False)

    assert shown.tolist() == [[0, FALSE, 0, MISSED, CONFUSED, 0]]
    assert without.tolist() == [[0, CONFUSED, 0, CONFUSED, CONFUSED, 0]]
