"""``--diameter``: told, written down, and refused where it means nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import yaml

from conftest import threshold_model
from napari_unetpp import segment
from napari_unetpp.io import save_model
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model that has learnt objects of 6 pixels."""
    model = threshold_model()
    config = model.config.model_copy(update={"diameter": 6.0})
    path = tmp_path_factory.mktemp("models") / "knowing.safetensors"
    return save_model(Model(model.network, config), path)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Six squares of 12 pixels, each half a micrometre."""
    pixels = np.zeros((60, 90), np.uint8)
    for y in (10, 40):
        for x in (10, 40, 70):
            pixels[y : y + 12, x : x + 12] = 200
    path = tmp_path / "cells.ome.tif"
    size = {f"PhysicalSize{a}": 0.5 for a in "YX"}
    units = {f"PhysicalSize{a}Unit": "µm" for a in "YX"}
    tifffile.imwrite(path, pixels, metadata={"axes": "YX", **size, **units})
    return path


def test_results_recipe_and_words(
    cli: Run, image: Path, tmp_path: Path, knowing: Path
) -> None:
    made = tmp_path / "made.yaml"
    done = cli(
        *("segment", image, "--output", tmp_path / "out", "--model", knowing),
        *("--diameter", "6um", "--save", "labels", "--save-recipe", made),
        *("--device", "cpu"),
    )
    assert done.code == 0, done.err
    assert "objects of 12 px, the model has learnt 6 px" in done.out
    assert "read at 0.5 times its size" in done.err
    labels = tifffile.imread(tmp_path / "out" / "cells_labels.tif")
    expected = segment(image, knowing, device="cpu", diameter=12)
    np.testing.assert_array_equal(labels, expected.labels)
    assert yaml.safe_load(made.read_text())["settings"]["diameter"] == "6 um"
    again = cli("run", made, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["results"][0]["up_to_date"]


def test_json_tells_the_diameter(
    cli: Run, image: Path, tmp_path: Path, knowing: Path
) -> None:
    done = cli(
        *("segment", image, "--output", tmp_path, "--model", knowing, "--json"),
        *("--diameter", "12", "--save", "labels", "--device", "cpu"),
    )
    (result,) = json.loads(done.out)["results"]
    assert result["diameter"] == 12
    assert result["n_objects"] == 6


def test_mistakes_are_told_before_any_work(
    cli: Run, image: Path, tmp_path: Path, knowing: Path, model_file: Path
) -> None:
    where = ("segment", image, "--output", tmp_path / "out")
    wrong = cli(*where, "--model", knowing, "--diameter", "wide")
    assert wrong.code != 0
    assert "is no size of an object" in wrong.err
    unknown = cli(*where, "--model", model_file, "--diameter", "12")
    assert unknown.code != 0
    assert "does not say how large" in unknown.err
    assert not (tmp_path / "out").exists()


def test_info_tells_what_a_model_has_learnt(cli: Run, knowing: Path) -> None:
    assert "objects learnt: 6 pixels in diameter" in cli("info", knowing).out
    assert json.loads(cli("info", knowing, "--json").out)["diameter"] == 6
