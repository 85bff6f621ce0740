"""The real viewer, the real panel, and images whose objects are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.qt.threading import GeneratorWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget

PANEL = ("napari-unetpp", "UNet++: segment")


@pytest.fixture(autouse=True)
def _no_worker_stays() -> Iterator[None]:
    """Wait for threads that a test left, so that none reaches into the next."""
    yield
    GeneratorWorker.await_workers(20_000)


@pytest.fixture(scope="session")
def squares() -> Callable[..., np.ndarray]:
    """Make bright squares of 12 pixels on dark ground, one every 40 pixels."""

    def make(shape: tuple[int, ...] = (160, 200)) -> np.ndarray:
        plane = np.zeros(shape[-2:], np.uint8)
        for y in range(10, shape[-2] - 12, 40):
            for x in range(10, shape[-1] - 12, 40):
                plane[y : y + 12, x : x + 12] = 200
        return np.broadcast_to(plane, shape).copy()

    return make


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Viewer]) -> Viewer:
    """A viewer on the screen: only what is drawn has a visible region."""
    return make_napari_viewer(show=True)


@pytest.fixture
def open_panel(qtbot: Any, model_file: Path) -> Callable[[Viewer], SegmentWidget]:
    """Open the panel as napari does, with the small model chosen and described."""

    def open_in(viewer: Viewer) -> SegmentWidget:
        _, panel = viewer.window.add_plugin_dock_widget(*PANEL)
        panel.form.models.choose(str(model_file))
        qtbot.waitUntil(
            lambda: panel.form.model_text.text().endswith("heads"), timeout=60_000
        )
        return panel

    return open_in


@pytest.fixture
def wait_for_end(qtbot: Any) -> Callable[[SegmentWidget], None]:
    """Wait until a run has ended and all is drawn."""

    def wait(panel: SegmentWidget) -> None:
        qtbot.waitUntil(lambda: not panel.is_busy, timeout=60_000)

    return wait
