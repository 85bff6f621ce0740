"""Tiles follow what is looked at, and previews show it early."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import TileDone, predict_image
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.io import as_image
from napari_unetpp.tiling import Focus

CPU = PredictionConfig(device="cpu", tile=64)


def part_of(array, event):
    return array[(..., *(slice(*span) for span in event.box))].compute()


def meets(event, box):
    return all(a < d and c < b for (a, b), (c, d) in zip(event.box, box, strict=True))


def test_the_next_tiles_follow_the_focus(lively_model, noise):
    focus = Focus(((0, 10), (0, 10)))
    image = as_image(noise(64, 64 * 60), "YX")
    run = predict_image(image, lively_model, CPU, "run", first=focus)
    next(run)
    events = [next(run) for _ in range(4)]
    assert [event.tile.index for event in events] == [0, 1, 2, 3]
    there = ((0, 64), (64 * 50, 64 * 51))
    focus.look_at(there)
    events += run
    indices = [event.tile.index for event in events]
    # A few tiles had been read already or were on their way to the disk.
    assert indices.index(50) <= 4 + 7
    assert sorted(indices) == list(range(60))
    assert set(indices[indices.index(50) :][:3]) == {49, 50, 51}


def test_where_somebody_looks_does_not_show_in_the_result(lively_model, noise, finish):
    image = as_image(noise(2, 130, 190), "TYX")
    results = []
    for first in (
        None,
        ((1, 2), (70, 90), (150, 180)),
        Focus(((0, 1), (5, 6), (7, 9))),
    ):
        for preview in (False, True):
            run = predict_image(
                image, lively_model, CPU, "run", first=first, preview=preview
            )
            results.append(finish(run)[1].heads.compute())
    assert all(np.array_equal(found, results[0]) for found in results)


def test_a_preview_is_head_1_and_comes_first(lively_model, noise, finish):
    image, view = as_image(noise(200, 330), "YX"), ((70, 190), (100, 130))
    expected = finish(predict_image(image, lively_model, CPU, "run"))[1].heads
    focus = Focus(view)
    run = predict_image(image, lively_model, CPU, "run", first=focus, preview=True)
    started = next(run)
    events = []
    for event in run:
        events.append(event)
        if event.preview:  # shown at once, in the mean and as head 1
            head = part_of(expected[0], event)
            assert np.abs(part_of(started.prediction.mean, event) - head).max() <= 1e-5
            found = part_of(started.prediction.heads, event)
            assert np.abs(found[0] - head).max() <= 1e-5
            assert not found[1:].any()
    early = [event for event in events if event.preview]
    full = [event for event in events if not event.preview]
    in_view = {event.tile.index for event in full if meets(event, view)}
    assert {event.tile.index for event in early} == in_view
    assert all(event.n_done == 0 for event in early)
    assert events[: len(early)] == early
    assert [event.n_done for event in full] == list(range(1, started.n_tiles + 1))
    assert np.array_equal(started.prediction.heads.compute(), expected.compute())


def test_every_view_is_previewed_once(lively_model, noise):
    focus = Focus()
    image = as_image(noise(64, 64 * 60), "YX")
    run = predict_image(image, lively_model, CPU, "run", first=focus, preview=True)
    next(run)
    events = [next(run) for _ in range(3)]
    assert not any(event.preview for event in events)  # nobody looks
    for left in (30, 31, 2, 30):
        focus.look_at(((0, 64), (64 * left, 64 * (left + 2))))
        events += [next(run) for _ in range(2)]
    events += run
    early = [event.tile.index for event in events if event.preview]
    full = [event.tile.index for event in events if not event.preview]
    assert sorted(full) == list(range(60))
    assert sorted(early) == [30, 31, 32]


def test_a_view_beside_the_image_or_too_large_has_no_preview(lively_model, noise):
    image = as_image(noise(2, 100, 90), "TYX")
    huge = as_image(np.broadcast_to(np.arange(3000, dtype=np.uint16), (3000, 3000)))
    for shown, box in (
        (image, ((5, 6), (0, 50), (0, 50))),
        (image, ((0, 1), (200, 300), (0, 50))),
        (huge, ((0, 3000), (0, 3000))),
    ):
        run = predict_image(
            shown, lively_model, CPU, "run", first=Focus(box), preview=True
        )
        next(run)
        assert not next(run).preview
        run.close()


@pytest.mark.parametrize("level", [1, None])
def test_what_is_quick_anyway_has_no_preview(make_model, lively_model, noise, level):
    model = lively_model if level else make_model(architecture="unet")
    settings = CPU.model_copy(update={"level": level})
    plan = make_plan(as_image(noise(99, 90)), model, settings, preview=True)
    assert plan.preview is None


def test_only_pending_tiles_are_predicted(lively_model, noise):
    image = as_image(noise(200, 330), "YX")
    everything = make_plan(image, lively_model, CPU)
    pending = np.zeros(len(everything.grid), bool)
    pending[[1, 5, 17]] = True
    again = make_plan(
        image,
        lively_model,
        CPU,
        intensity=everything.intensity,
        core=everything.grid.core,
        pending=pending,
    )
    assert list(again.tiles) == [1, 5, 17]
    assert again.grid == everything.grid
    assert again.memory.sample == 0


def test_time_in_the_network_is_told(lively_model, noise):
    run = predict_image(as_image(noise(200, 330)), lively_model, CPU, "run")
    events = [event for event in run if isinstance(event, TileDone)]
    seconds = [event.network_seconds for event in events]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] <= events[-1].seconds
