"""Arrays on disk that are cut first and read when they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp._napari._levels import ShownLevel
from napari_unetpp._napari._results import Layout


class Counted:
    """An array that counts the pixels that are read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.n_read = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key: object) -> np.ndarray:
        found = self.array[key]
        self.n_read += np.size(found)
        return found


@pytest.mark.parametrize(
    ("shown", "result"),
    [("YX", "YX"), ("TZCYX", "TZYX"), ("CYX", "YX"), ("YXZ", "ZYX")],
)
def test_it_is_the_array_that_the_layer_would_show(shown: str, result: str) -> None:
    sizes = {"T": 2, "Z": 3, "Y": 7, "X": 9}
    shape = tuple(sizes[a] for a in result)
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    layout = Layout(shown, result, shape, spatial_dims=2)
    level, expected = ShownLevel((values,), layout), layout.as_shown(values)
    assert level.shape == expected.shape
    assert (level.ndim, level.size, level.dtype) == (len(shown), values.size, "f4")
    assert level.nbytes == expected.nbytes
    np.testing.assert_array_equal(np.asarray(level), expected)
    whole = (slice(None),) * len(shown)
    for at in range(len(shown)):
        for key in (slice(1, None), slice(-2, None), slice(None, None, 2), 0, -1):
            cut = (*whole[:at], key, *whole[at + 1 :])
            np.testing.assert_array_equal(np.asarray(level[cut]), expected[cut])
            then = np.asarray(level[cut][..., 0])
            np.testing.assert_array_equal(then, expected[cut][..., 0])


def test_only_what_is_drawn_is_read() -> None:
    counted = Counted(np.zeros((50, 100, 100), np.float32))
    level = ShownLevel((counted,), Layout("ZYX", "ZYX", counted.shape, 2))
    part = level[:, 10:20, 30:35][7]
    assert part.shape == (10, 5)
    assert counted.n_read == 0
    np.asarray(part)
    assert counted.n_read == 50


def test_foreground_is_the_sum_of_its_classes() -> None:
    classes = np.random.default_rng(0).random((2, 5, 6)).astype(np.float32)
    level = ShownLevel(tuple(classes), Layout("YX", "YX", (5, 6), 2))
    np.testing.assert_array_equal(np.asarray(level), classes.sum(axis=0))


def test_wrong_indices_are_refused() -> None:
    level = ShownLevel((np.zeros((5, 6)),), Layout("YX", "YX", (5, 6), 2))
    with pytest.raises(IndexError, match="3 indices"):
        level[0, 0, 0]
    with pytest.raises(IndexError, match="step -1"):
        level[::-1]
    with pytest.raises(IndexError):
        level[7]
