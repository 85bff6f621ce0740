"""Arrays that fill while tiles finish."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_unetpp._napari import _results
from napari_unetpp._napari._results import Layout, ResultArrays


def fill(arrays: ResultArrays, expected: np.ndarray, edge: int) -> None:
    """Write an expected result tile by tile."""
    steps = [range(0, size, edge) for size in expected.shape]
    for corner in product(*steps):
        box = tuple(
            (at, min(at + edge, size))
            for at, size in zip(corner, expected.shape, strict=True)
        )
        part = expected[tuple(slice(*span) for span in box)]
        arrays.write(box, {"mean": part})


@pytest.mark.parametrize(
    ("shown", "result"),
    [("YX", "YX"), ("ZYX", "ZYX"), ("TZCYX", "TZYX"), ("CYX", "YX"), ("YXZ", "ZYX")],
)
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("edge", [16, 5])
def test_tiles_make_up_the_result(
    monkeypatch: pytest.MonkeyPatch, shown: str, result: str, large: bool, edge: int
) -> None:
    if large:
        monkeypatch.setattr(_results, "LARGE_PLANE", 100)
        monkeypatch.setattr(_results, "SMALL_EDGE", 12)
    sizes = {"T": 2, "Z": 3, "Y": 37, "X": 41}
    shape = tuple(sizes[a] for a in result)
    layout = Layout(shown, result, shape, spatial_dims=2)
    arrays = ResultArrays(("mean",), layout)
    values = np.random.default_rng(0).integers(0, 255, shape).astype(np.float16)
    fill(arrays, values, edge)
    assert arrays.multiscale == large
    levels = arrays.data("mean") if large else [arrays.data("mean")]
    assert len(levels) == (3 if large else 1)
    for k, level in enumerate(levels):
        step = 2**k
        expected = values[..., ::step, ::step]
        assert level.ndim == len(shown)
        assert np.array_equal(layout.as_result(level), expected)
        assert np.array_equal(layout.as_shown(expected), level)


def test_layout_names_the_planes() -> None:
    assert Layout("TZCYX", "TZYX", (2, 3, 4, 5), spatial_dims=2).loop_axes == "TZ"
    assert Layout("TZCYX", "TZYX", (2, 3, 4, 5), spatial_dims=3).loop_axes == "T"
    assert Layout("CYX", "YX", (4, 5), spatial_dims=2).shown_shape == (1, 4, 5)
