"""Runs of the Segment panel whose results grow in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.qt.threading import GeneratorWorker
from napari.utils.notifications import notification_manager

from napari_unetpp import segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari import Viewer

    from napari_unetpp._qt._segment_widget import SegmentWidget

    Open = Callable[[Viewer], SegmentWidget]
    Wait = Callable[[SegmentWidget], None]
    Squares = Callable[..., np.ndarray]

KINDS = ("mean", "head 1", "head 2", "uncertainty")


@pytest.fixture
def small_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep several sizes of small results too."""
    monkeypatch.setattr("napari_unetpp.io._pyramid.COARSEST", 60)
    monkeypatch.setattr("napari_unetpp._napari._stored.SMALL_EDGE", 60)


def expected(data: np.ndarray, model: Path) -> dict[str, np.ndarray]:
    """Return what the core computes of an image, in memory."""
    found = segment(data, model, device="cpu")
    heads = np.asarray(found.prediction.head_foreground)
    return {
        "labels": np.asarray(found.labels),
        "mean": np.asarray(found.prediction.foreground),
        "head 1": heads[0],
        "head 2": heads[1],
        "uncertainty": np.asarray(found.prediction.uncertainty),
    }


def test_results_lie_in_the_folder_and_are_shown_from_there(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    model_file: Path,
    tmp_path: Path,
) -> None:
    data = squares((3, 100, 90))
    layer = viewer.add_image(
        data, name="a/stack", scale=(2, 0.5, 0.5), units=["um"] * 3
    )
    panel = open_panel(viewer)
    panel.form.folder_choice.choose(tmp_path / "new")
    panel.form.advanced.fields["tile"].setValue(32)
    panel.segment_whole()
    wait_for_end(panel)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a_stack.ome.zarr"]
    assert "a_stack.ome.zarr" in panel.run_bar.text.text()
    for kind, values in expected(data, model_file).items():
        shown = viewer.layers[f"a/stack | {kind}"]
        atol = 0 if kind == "labels" else 0.6 / 255
        np.testing.assert_allclose(np.asarray(shown.data), values, atol=atol)
        assert shown.units == layer.units
        np.testing.assert_allclose(shown.scale, layer.scale)
    viewer.layers["a/stack | labels"].paint((0, 1, 1), 5)


@pytest.mark.usefixtures("small_levels")
def test_stopped_run_goes_on_and_fills_the_same_layers(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    model_file: Path,
    tmp_path: Path,
    qtbot: Any,
) -> None:
    data = squares((600, 600))
    viewer.add_image(data, name="cells")
    panel = open_panel(viewer)
    panel.form.folder_choice.choose(tmp_path)
    panel.form.advanced.fields["tile"].setValue(32)
    panel.segment_whole()
    qtbot.waitUntil(lambda: panel.run_bar.bar.value() > 3, timeout=60_000)
    panel.cancel()
    wait_for_end(panel)
    assert str(tmp_path) in panel.run_bar.text.text()
    assert "goes on" in panel.run_bar.text.text()
    assert (tmp_path / "cells.job").is_dir()
    mean = viewer.layers["cells | mean"]
    assert np.asarray(mean.data[-1]).any()
    panel.segment_whole()
    qtbot.waitUntil(lambda: "done already" in panel.run_bar.bar.toolTip())
    wait_for_end(panel)
    assert len(viewer.layers) == 6
    assert not (tmp_path / "cells.job").exists()
    values = expected(data, model_file)
    for kind in KINDS:
        levels = viewer.layers[f"cells | {kind}"].data
        assert [level.shape[0] for level in levels] == [600, 300, 150, 75, 38]
        np.testing.assert_allclose(np.asarray(levels[0]), values[kind], atol=0.6 / 255)
    assert np.asarray(mean.data[-1]).any()
    assert np.array_equal(viewer.layers["cells | labels"].data, values["labels"])


@pytest.mark.usefixtures("small_levels")
def test_coarsest_level_fills_while_the_run_goes_on(
    squares: Squares, viewer: Viewer, open_panel: Open, tmp_path: Path, qtbot: Any
) -> None:
    """napari would show it as it was when the layer was made."""
    viewer.add_image(squares((500, 500)), name="cells")
    panel = open_panel(viewer)
    panel.form.folder_choice.choose(tmp_path)
    panel.form.advanced.fields["tile"].setValue(128)
    panel.segment_whole()
    qtbot.waitUntil(lambda: "cells | mean" in viewer.layers, timeout=60_000)
    coarsest = viewer.layers["cells | mean"].data[-1]
    assert max(coarsest.shape) <= 60
    before = int((np.asarray(coarsest) > 0.5).sum())
    assert before < 0.5 * (squares((500, 500)) > 0).mean() * coarsest.size
    qtbot.waitUntil(lambda: (coarsest > 0.5).sum() > before, timeout=60_000)
    panel.cancel()


def test_done_results_are_shown_again_and_others_refused(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    tmp_path: Path,
) -> None:
    viewer.add_image(squares(), name="cells")
    panel = open_panel(viewer)
    panel.form.folder_choice.choose(tmp_path)
    for _ in range(2):
        panel.segment_whole()
        wait_for_end(panel)
    assert "Up to date" in panel.run_bar.text.text()
    assert len(viewer.layers) == 6
    assert viewer.layers["cells | labels"].data.max() == 20
    panel.form.how.fields["level"].setValue(1)
    panel.segment_whole()
    wait_for_end(panel)
    assert "cells.ome.zarr: exists already" in panel.run_bar.text.text()
    assert len(viewer.layers) == 6


@pytest.mark.parametrize("how", ["close panel", "close viewer"])
def test_closing_in_the_middle_says_what_is_kept(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    tmp_path: Path,
    qtbot: Any,
    how: str,
) -> None:
    viewer.add_image(squares((40, 500, 500)), name="cells")
    panel = open_panel(viewer)
    panel.form.folder_choice.choose(tmp_path)
    panel.form.advanced.fields["tile"].setValue(64)
    panel.segment_whole()
    qtbot.waitUntil(
        lambda: panel.run_bar.bar.value() > 1 or not panel.is_running, timeout=60_000
    )
    assert panel.is_running, panel.run_bar.text.text()
    said = notification_manager.records
    n_before = len(said)
    if how == "close panel":
        viewer.window.remove_dock_widget(panel)
    else:
        viewer.close()
    assert str(tmp_path) in said[-1].message
    assert len(said) == n_before + 1
    GeneratorWorker.await_workers(20_000)
    assert (tmp_path / "cells.job" / "ledger.sqlite").exists()


@pytest.mark.parametrize("size", [160, 1040])
def test_labels_that_are_too_large_are_shown_from_disk(
    size: int,
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_unetpp._napari._stored.IN_MEMORY", 1000)
    viewer.add_image(squares((size, size)), name="cells")
    panel = open_panel(viewer)
    panel.form.folder_choice.choose(tmp_path)
    panel.segment_whole()
    wait_for_end(panel)
    labels = viewer.layers["cells | labels"]
    assert labels.multiscale == (size > 160)
    assert not labels.editable
    finest = labels.data[0] if labels.multiscale else labels.data
    assert np.asarray(finest).max() == (size // 40) ** 2
    panel.segment_whole()  # takes the place of what is there
    wait_for_end(panel)
    assert len(viewer.layers) == 6


def test_too_large_for_the_memory_grows_in_a_folder_that_goes(
    squares: Squares,
    make_napari_viewer: Callable[..., Viewer],
    open_panel: Open,
    wait_for_end: Wait,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("napari_unetpp._napari._results.MOST_IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    viewer = make_napari_viewer(show=True)
    data = squares()
    viewer.add_image(data, name="large")
    panel = open_panel(viewer)
    panel.segment_whole()
    wait_for_end(panel)
    assert len(list(tmp_path.glob("napari-unetpp-*/large.ome.zarr"))) == 1
    assert np.array_equal(
        np.asarray(viewer.layers["large | mean"].data) > 0.5, data > 0
    )
    panel.segment_view()
    wait_for_end(panel)
    assert "too many to keep in memory" in panel.run_bar.text.text()


def test_only_inside_a_drawn_area(
    squares: Squares,
    viewer: Viewer,
    open_panel: Open,
    wait_for_end: Wait,
    tmp_path: Path,
) -> None:
    data = squares((160, 200))
    viewer.add_image(data, name="cells", scale=(0.5, 0.5))
    area = viewer.add_shapes([[0, 0], [0, 50], [40, 50], [40, 0]], name="area")
    panel = open_panel(viewer)
    choice = panel.form.inside_choice
    assert [choice.itemText(i) for i in range(choice.count())] == ["everywhere", "area"]
    choice.choose(area)
    inside = np.zeros(data.shape, bool)
    inside[:81, :101] = True
    for folder in (None, tmp_path):
        panel.form.folder_choice.choose(folder)
        panel.segment_whole()
        wait_for_end(panel)
        labels = viewer.layers[-1]
        assert np.array_equal(labels.data > 0, (data > 0) & inside)
        assert not np.asarray(viewer.layers["cells | mean"].data)[~inside].any()
    viewer.layers.remove(area)
    assert choice.layer is None


def test_mask_that_does_not_fit_is_told(
    squares: Squares, viewer: Viewer, open_panel: Open, wait_for_end: Wait
) -> None:
    viewer.add_image(squares(), name="cells")
    beside = viewer.add_labels(squares(), name="other", translate=(0, 900))
    panel = open_panel(viewer)
    panel.form.inside_choice.choose(beside)
    panel.segment_whole()
    wait_for_end(panel)
    assert "'other' lie beside the image 'cells'" in panel.run_bar.text.text()
