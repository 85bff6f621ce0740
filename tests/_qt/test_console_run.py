"""Long verbs in the console: the viewer stays usable, and every end is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_unetpp
from napari_unetpp._qt._console_run import told
from napari_unetpp._qt._device_queue import Waiting
from napari_unetpp.errors import ImageError, SettingsError
from napari_unetpp.training import StepDone

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from napari import Viewer

TIME = 60_000


def test_a_layer_is_segmented_behind_the_viewer(
    viewer: Viewer, squares: Callable[..., np.ndarray], model_file: Path, qtbot: Any
) -> None:
    layer = viewer.add_image(squares(), name="squares", scale=(0.5, 0.5))
    threads = []

    def show(found: Any) -> None:
        threads.append(threading.current_thread())
        viewer.add_labels(found.labels, name="found", scale=found.scale)

    run = napari_unetpp.in_background(
        napari_unetpp.segmenting(layer, model_file), show, device="cpu"
    )
    assert not run.done
    with pytest.raises(SettingsError, match=r"has no result: .*; wait"):
        _ = run.result
    qtbot.waitUntil(lambda: run.done, timeout=TIME)
    assert threads == [threading.main_thread()]
    assert np.array_equal(viewer.layers["found"].data > 0, layer.data > 0)
    assert run.result.n_objects == viewer.layers["found"].data.max()
    assert repr(run).startswith("BackgroundRun(segmenting: done: Segmentation(")


def test_an_error_is_shown_and_raised_by_the_result(viewer: Viewer, qtbot: Any) -> None:
    run = napari_unetpp.in_background(napari_unetpp.segmenting("none.tif"))
    qtbot.waitUntil(lambda: run.done, timeout=TIME)
    assert "failed: " in repr(run)
    with pytest.raises(ImageError, match=r"none.tif: no such file"):
        _ = run.result


def test_a_stopped_run_has_no_result_and_closes_its_events(
    viewer: Viewer, qtbot: Any
) -> None:
    ended = threading.Event()

    def events() -> Generator[Waiting, None, int]:
        try:
            while True:
                yield Waiting("cpu", "another run")
        finally:
            ended.set()

    run = napari_unetpp.in_background(events())
    qtbot.waitUntil(lambda: "Waiting for cpu: another run" in run.state, timeout=TIME)
    run.stop()
    qtbot.waitUntil(lambda: run.done, timeout=TIME)
    assert ended.is_set()
    with pytest.raises(SettingsError, match="has no result: stopped"):
        _ = run.result


def test_without_a_viewer_it_is_refused() -> None:
    with pytest.raises(SettingsError, match="there is no viewer; start napari"):
        napari_unetpp.in_background(napari_unetpp.segmenting("none.tif"))


def test_a_training_tells_its_share_of_the_budget() -> None:
    step = StepDone("run", 12, 2, 0.51234, (0.5,), 1e-3, 0.25)
    assert told(step) == (0.25, "step 12, epoch 2, loss 0.512")
    assert told(object()) == (None, "")
