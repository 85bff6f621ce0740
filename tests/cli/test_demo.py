from __future__ import annotations

import imageio.v3 as iio
import pytest
import tifffile


@pytest.fixture
def demo(cli, model_file, tmp_path):
    arguments = ("demo", "-o", tmp_path, "--model", model_file, "--device", "cpu")
    return lambda *more: cli(*arguments, *more)


def test_writes_results_and_a_figure_and_scores_the_stack(demo, tmp_path):
    outcome = demo("--json")
    assert outcome.code == 0
    found = outcome.json
    assert [len(r["outputs"]) for r in found["results"]] == [4, 4]
    truth = tifffile.imread(tmp_path / "nuclei3d_truth.tif")
    labels = tifffile.imread(found["results"][1]["outputs"]["labels"])
    assert labels.shape == truth.shape
    assert iio.imread(found["figure"]).shape[1] > 6 * 280  # two rows of six panels
    assert 0.5 < found["score"]["iou"] < 1
    assert 0.2 < found["score"]["f1"] < 1

    again = demo()  # the files of an earlier demo are replaced
    assert again.code == 0
    for words in ("ihc_labels.tif", "nuclei3d_heads.tif", "demo.png", "F1", "all in"):
        assert words in again.out


def test_a_folder_that_cannot_be_made_is_an_output_error(cli, model_file):
    outcome = cli("demo", "-o", model_file / "demo", "--model", model_file)
    assert outcome.code == 3
