"""What napari makes of the manifest: menus, sample data, preferences."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest

import napari_unetpp
from napari_unetpp._napari import read_preferences

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari import Viewer

NAME = "napari-unetpp"
SEGMENT, TRAIN = "UNet++: segment", "UNet++: train"
COMPARE, BATCH = "UNet++: compare with truth", "UNet++: batch"
MODELS = "UNet++: models"


@pytest.fixture
def manifest() -> PluginManifest:
    """The manifest as napari finds it: through the entry point."""
    return PluginManifest.from_distribution(NAME)


def test_entry_point_is_the_file_in_the_package(manifest: PluginManifest) -> None:
    (point,) = entry_points(group="napari.manifest", name=NAME)
    assert point.value == "napari_unetpp:napari.yaml"
    path = Path(napari_unetpp.__file__).with_name("napari.yaml")
    assert PluginManifest.from_file(path).contributions == manifest.contributions


def test_all_commands_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_panels_are_in_the_menus(make_napari_viewer: Callable[..., Viewer]) -> None:
    viewer = make_napari_viewer()
    window = viewer.window
    menus = {
        action.text().replace("&", ""): action.menu()
        for action in window.layers_menu.actions()
    }
    for menu, panels in (
        (menus["Segment"], (SEGMENT, TRAIN, BATCH, MODELS)),
        (menus["Annotate"], (TRAIN,)),
        (menus["Measure"], (COMPARE,)),
        (window.plugins_menu, (SEGMENT, TRAIN, COMPARE, BATCH, MODELS)),
    ):
        actions = list(menu.actions())
        for action in menu.actions():  # several panels have a menu of their own
            actions += action.menu().actions() if action.menu() else []
        texts = [action.text() for action in actions]
        for panel in panels:
            assert any(text.startswith(panel) for text in texts), (panel, texts)


@pytest.mark.parametrize(
    ("key", "axes", "n_layers"),
    [
        ("nuclei_stack", ("Z", "Y", "X"), 2),
        ("nuclei_movie", ("T", "Y", "X"), 2),
        ("stained_tissue", ("Y", "X"), 1),
    ],
)
def test_sample_data_opens(
    make_napari_viewer: Callable[..., Viewer],
    key: str,
    axes: tuple[str, ...],
    n_layers: int,
) -> None:
    viewer = make_napari_viewer()
    viewer.open_sample(NAME, key)
    assert len(viewer.layers) == n_layers
    assert viewer.layers[0].axis_labels == axes
    if n_layers == 2:
        image, truth = viewer.layers
        assert image.units == truth.units
        assert np.array_equal(image.scale, truth.scale)
        assert not truth.visible


def test_preferences_are_read(
    plugin_settings: None,
    npe2pm: PluginManager,
    manifest: PluginManifest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if NAME not in npe2pm:
        npe2pm.register(manifest)
    from napari.settings import get_plugin_settings

    before = read_preferences()
    assert before.model == "nuclei"
    assert before.prediction.device == "auto"
    assert before.prediction.tile is None
    assert before.prediction.memory is None
    assert before.preview
    settings = get_plugin_settings(NAME)
    settings.prediction.tile = 256
    settings.prediction.mode = "fast"
    settings.prediction.memory = "4 GB"
    settings.viewer.preview = False
    settings.models.folder = "/somewhere/else"
    after = read_preferences()
    assert after.prediction.tile == 256
    assert after.prediction.mode == "fast"
    assert after.prediction.memory == 4 * 10**9
    assert not after.preview
    assert after.models_folder == Path("/somewhere/else")
    settings.prediction.memory = "much"
    assert read_preferences().prediction.memory is None
    assert "Memory, in the preferences of napari-unetpp" in capsys.readouterr().out
