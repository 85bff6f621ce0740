"""What a live prediction has found, in arrays that follow the view."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from napari_unetpp._napari import _preview_arrays
from napari_unetpp._napari._preview_arrays import Part, PreviewArrays
from napari_unetpp._types import Box, slices
from napari_unetpp.inference import PreviewTile


def tiles(part: Part, mean: np.ndarray, edge: int) -> list[PreviewTile]:
    """Cut the probabilities (K, *whole image) of a part into tiles."""
    steps = [range(start, stop, edge) for start, stop in part.region]
    found = []
    for corner in product(*steps):
        box: Box = tuple(
            (at, min(at + edge, stop))
            for at, (_, stop) in zip(corner, part.region, strict=True)
        )
        inside = mean[(slice(None), *slices(box))]
        loops = tuple((at, at + 1) for at in part.loop)
        spread = inside[0] / 2
        found.append(
            PreviewTile(
                "run",
                part.image,
                part.region,
                part.loop,
                1,
                (*loops, *box),
                inside,
                spread,
                0,
                done=False,
            )
        )
    return found


def probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    """Return random probabilities of three classes, (3, *shape)."""
    raw = np.random.default_rng(seed).random((3, *shape))
    return (raw / raw.sum(axis=0)).astype(np.float16)


@pytest.mark.parametrize("most", [10**6, 300])
@pytest.mark.parametrize("edge", [16, 7])
def test_tiles_make_up_what_is_shown_and_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, most: int, edge: int
) -> None:
    monkeypatch.setattr(_preview_arrays, "MOST_SHOWN", most)
    part = Part(0, ((5, 42), (3, 50)), (2,))
    mean = probabilities(60, 60)
    arrays = PreviewArrays(part, (3, 7, 300))
    for tile in tiles(part, mean, edge):
        arrays.write(tile)
    step = part.step
    assert step == (1 if most > 300 else 3)
    inside = mean[:, 5:42, 3:50]
    index = inside.argmax(axis=0)
    assert np.array_equal(arrays.main, np.array([3, 7, 300])[index][::step, ::step])
    assert np.array_equal(arrays.uncertainty, (inside[0] / 2)[::step, ::step])
    window = arrays.window(((10, 20), (8, 30)))
    assert window is not None
    assert np.array_equal(window[0][0], mean.argmax(axis=0)[10:20, 8:30])
    assert window[1].all()


def test_objects_keep_interior_and_foreground_in_steps() -> None:
    part = Part(0, ((0, 3), (0, 8), (0, 8)), ())
    mean = probabilities(3, 8, 8)
    arrays = PreviewArrays(part)
    for tile in tiles(part, mean, 8):
        arrays.write(tile)
    assert arrays.found is not None
    assert np.abs(arrays.found[0] / 255 - mean[1]).max() < 0.003
    assert np.abs(arrays.found[1] / 255 - (1 - mean[0])).max() < 0.003
    assert np.abs(arrays.main - (1 - mean[0])).max() < 0.004


@pytest.mark.parametrize("most", [10**6, 200])
def test_what_was_known_goes_with_the_view(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(_preview_arrays, "MOST_SHOWN", most)
    mean = probabilities(60, 60)
    before = PreviewArrays(Part(0, ((0, 40), (0, 40)), ()), (1, 2, 3))
    for tile in tiles(before.part, mean, 16):
        before.write(tile)
    after = PreviewArrays(Part(0, ((30, 60), (10, 50)), ()), (1, 2, 3))
    after.take_over(before)
    assert after.known is not None
    assert after.known[:10, :30].all()
    assert not after.known[10:].any()
    assert not after.known[:, 30:].any()
    if most > 200:
        expected = mean.argmax(axis=0)[30:40, 10:40] + 1
        assert np.array_equal(after.main[:10, :30], expected)
    assert (after.main > 0).any()
    elsewhere = PreviewArrays(Part(0, ((30, 60), (10, 50)), (1,)), (1, 2, 3))
    elsewhere.take_over(before)
    assert not elsewhere.main.any()


def test_a_part_too_large_is_shown_but_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_preview_arrays, "MOST_KEPT", 100)
    part = Part(0, ((0, 20), (0, 20)), ())
    arrays = PreviewArrays(part, (1, 2, 3))
    for tile in tiles(part, probabilities(20, 20), 20):
        arrays.write(tile)
    assert arrays.main.all()
    assert arrays.window(part.region) is None
