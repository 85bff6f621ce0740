"""The programs in examples/ run, and do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.data import immunohistochemistry

import napari_unetpp

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example in a folder of its own; return what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: object) -> str:
        path = EXAMPLES / f"{name}.py"
        monkeypatch.setattr("sys.argv", [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_every_example_is_run_here():
    text = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert path.stem in text, path


def test_segment_an_image(run):
    told = run("segment_an_image")
    labels = tifffile.imread("nuclei_labels.tif")
    assert f"{labels.max()} nuclei in 192x224 pixels" in told


def test_fast_and_accurate(run):
    told = run("fast_and_accurate")
    assert "level 4" in told
    assert "0.000 from level 4" in told
    assert (
        napari_unetpp.load_model("nuclei-level-2.safetensors").config.network.depth == 2
    )


def test_train_from_strokes(run):
    told = run("train_from_strokes")
    assert "TrainingFinished" in told
    assert "of the image is nuclei" in told
    assert told.count("Place(") == 2
    names = napari_unetpp.load_model("strokes.safetensors").config.class_names
    assert names == ("ground", "nucleus")


def test_big_image(run):
    told = run("big_image")
    assert "stopped" in told
    assert "tiles were done before" in told
    assert Path("results/tissue_labels.tif").is_file()


def test_how_good_is_it(run):
    told = run("how_good_is_it")
    assert "n_merged 2" in told
    assert "errors: merged, missed" in told


def test_folder_of_images(run, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in (1, 2):
        tifffile.imwrite(
            folder / f"{number}.tif",
            immunohistochemistry()[: 64 * number, :96],
            photometric="rgb",
        )
    (folder / "3.tif").write_text("no image")
    told = run("folder_of_images", folder, tmp_path / "out")
    assert told.count("objects") == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "1_labels.tif",
        "2_labels.tif",
    ]


def test_in_napari(make_napari_viewer):
    viewer = make_napari_viewer()
    runpy.run_path(str(EXAMPLES / "in_napari.py"))["show"](viewer)
    assert [layer.name for layer in viewer.layers] == ["tissue", "unsure", "nuclei"]
    assert np.max(viewer.layers["nuclei"].data) > 0
    for layer in viewer.layers[1:]:
        np.testing.assert_allclose(layer.scale, viewer.layers[0].scale)


def test_without_blocking(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    viewer.add_image(immunohistochemistry()[:128, :160], name="cells", rgb=True)
    namespace = runpy.run_path(str(EXAMPLES / "without_blocking.py"))
    run = namespace["segment_layer"](viewer, "cells")
    qtbot.waitUntil(lambda: run.done, timeout=60_000)
    assert np.max(viewer.layers["cells | found"].data) == run.result.n_objects
