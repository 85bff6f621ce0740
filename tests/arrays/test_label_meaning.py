import numpy as np
import pytest

from napari_unetpp.arrays import guess_meaning


def strokes(n, values=(1, 2), shape=(200, 200)):
    """Return n short strokes of each value on 0."""
    rng = np.random.default_rng(0)
    labels = np.zeros(shape, np.uint8)
    for k in range(n * len(values)):
        y, x = rng.integers(0, shape[-2] - 3), rng.integers(0, shape[-1] - 20)
        labels[..., y : y + 2, x : x + 20] = values[k % len(values)]
    return labels


def objects(n, shape=(200, 200)):
    """Return n squares, each with its own number."""
    labels = np.zeros(shape, np.uint16)
    for k in range(n):
        y, x = 20 * (k // 10), 20 * (k % 10)
        labels[..., y : y + 12, x : x + 12] = k + 1
    return labels


def bands(values):
    """Return dense classes in wide bands."""
    return np.repeat(np.array(values * 4, np.uint8), 50)[:, None] * np.ones(
        (1, 100), np.uint8
    )


@pytest.mark.parametrize(
    ("labels", "meaning"),
    [
        (strokes(4), ("classes", 0, False)),
        (strokes(1), ("classes", 0, False)),
        (strokes(4, (1, 2, 3)), ("classes", 0, False)),
        (objects(40), ("instances", None, False)),
        (objects(40).astype(np.int32) * 1000, ("instances", None, False)),
        (objects(5), ("instances", None, True)),
        (bands([0, 1, 2]), ("classes", None, False)),
        (bands([1, 2]), ("classes", None, False)),
        (bands([0, 1]), ("classes", None, True)),
        (strokes(60), ("classes", None, True)),
        (np.zeros((20, 20), np.uint8), ("classes", 0, True)),
        (strokes(3, shape=(4, 200, 200)), ("classes", 0, False)),
        (objects(40, (3, 200, 200)), ("instances", None, False)),
    ],
)
def test_what_labels_mean_is_guessed_from_how_they_look(labels, meaning):
    assert guess_meaning([labels]) == meaning


def test_planes_without_labels_do_not_make_dense_labels_sparse():
    labels = np.zeros((50, 60, 60), np.uint8)
    labels[7] = 1
    labels[7, 20:40] = 2
    assert guess_meaning([labels]) == ("classes", None, False)


def test_all_images_are_looked_at_together():
    assert guess_meaning([strokes(4, (1,)), strokes(4, (2,))]).unlabelled == 0
