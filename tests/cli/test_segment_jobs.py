"""Runs that are stopped, gone on with, shared out, masked: by the command line."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import tifffile
import zarr
from distributed import default_client
from skimage.measure import label

from napari_unetpp import api
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import TileDone

_TILE = 16


@pytest.fixture
def segment(cli, image_file, model_file, tmp_path):
    """Run ``segment`` on one image in many tiles, into tmp_path/out."""

    def run(*arguments: object, image=image_file, output=tmp_path / "out"):
        fixed = ("--output", output, "--model", model_file, "--device", "cpu")
        return cli("segment", image, *fixed, "--tile", _TILE, *arguments)

    return run


@pytest.fixture
def begin(image_file, model_file, tmp_path):
    """Begin what `segment` does, and return its events after some tiles."""

    def run(n_tiles: int):
        events = api.segmenting_to(
            image_file,
            tmp_path / "out",
            model_file,
            PredictionConfig(device="cpu", tile=_TILE),
        )
        for event in events:
            n_tiles -= isinstance(event, TileDone)
            if n_tiles == 0:
                return events
        raise AssertionError("the run ended before it was to be stopped")

    return run


def contents(folder):
    """Return all TIFF files of a folder, decoded."""
    return {path.name: tifffile.imread(path) for path in folder.glob("*.tif")}


def same(first, second):
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_the_same_command_goes_on_with_what_was_stopped(segment, begin, tmp_path):
    with closing(begin(5)):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["squares.job"]
    outcome = segment("--json")
    assert outcome.code == 0, outcome.err
    (result,) = outcome.json["results"]
    assert result["n_tiles"] == 30
    assert 5 <= result["n_resumed"] < 30
    assert f"goes on, {result['n_resumed']} of 30 tiles" in outcome.err
    assert not (tmp_path / "out" / "squares.job").exists()
    assert segment(output=tmp_path / "whole").code == 0
    assert same(contents(tmp_path / "out"), contents(tmp_path / "whole"))


def test_what_is_up_to_date_is_left_as_it_is(segment, tmp_path):
    first = segment("--json").json["results"][0]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    outcome = segment()
    assert outcome.code == 0
    assert "up to date" in outcome.out
    again = segment("--json").json["results"][0]
    assert again["up_to_date"]
    assert not first["up_to_date"]
    for name in ("outputs", "axes", "shape"):
        assert again[name] == first[name]
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}


def test_results_of_other_settings_are_not_replaced_unasked(segment, tmp_path):
    assert segment().code == 0
    before = contents(tmp_path / "out")
    refused = segment("--json", "--nonfinite", "background")
    assert refused.code == 3
    assert refused.json["error"] == "OutputExistsError"
    assert same(contents(tmp_path / "out"), before)
    assert segment("--nonfinite", "background", "--overwrite").code == 0


def test_an_unfinished_run_is_not_gone_on_with_by_another(segment, begin, tmp_path):
    with closing(begin(5)):
        pass
    refused = segment("--json", "--link", "--nonfinite", "background")
    assert refused.code == 3
    (failure,) = refused.json["failures"]
    assert failure["error"] == "JobChangedError"
    assert "nonfinite was error, is background" in failure["message"]
    anew = segment("--nonfinite", "background", "--overwrite", "--json")
    assert anew.code == 0
    assert anew.json["results"][0]["n_resumed"] == 0


def test_two_runs_at_once_are_refused(segment, begin):
    with closing(begin(5)):
        outcome = segment("--json")
    assert outcome.code == 3
    assert outcome.json["failures"][0]["error"] == "OutputBusyError"
    assert segment().code == 0


def test_the_plan_is_told_before_the_start(segment):
    outcome = segment("--memory", "2 GB", "--json")
    assert outcome.code == 0, outcome.err
    line = outcome.err.splitlines()[0]
    assert line.startswith("squares.tif: 30 tiles of 16 x 16 on cpu, up to ")
    assert "of memory" in line
    assert "for context" in line
    assert 0 < outcome.json["results"][0]["memory"] <= 2e9


def test_too_little_memory_is_refused_with_the_least(segment):
    outcome = segment("--memory", "1kB")
    assert outcome.code == 2
    assert "memory" in outcome.err


def test_only_what_lies_inside_a_mask_is_segmented(segment, image_file, tmp_path):
    image = tifffile.imread(image_file)
    mask = np.zeros(image.shape, np.uint8)
    mask[:, :40] = 7
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    assert segment("--mask", tmp_path / "mask.tif").code == 0
    labels = tifffile.imread(tmp_path / "out" / "squares_labels.tif")
    assert np.array_equal(labels > 0, (image > 100) & (mask > 0))


def test_a_mask_of_another_size_is_refused(segment, tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((9, 11), np.uint8))
    outcome = segment("--mask", tmp_path / "mask.tif")
    assert outcome.code == 2
    assert "(9, 11)" in outcome.err
    assert "(96, 80)" in outcome.err


def test_unreadable_pieces_can_be_skipped_and_are_listed(segment, image_file, tmp_path):
    plane = tifffile.imread(image_file)
    path = tmp_path / "squares.zarr"
    zarr.create_array(path, data=np.stack([plane] * 3), chunks=(1, *plane.shape))
    damaged = path / "c" / "1" / "0" / "0"
    damaged.write_bytes(damaged.read_bytes()[:9])
    refused = segment("--axes", "TYX", image=path)
    assert refused.code == 2
    assert "cannot be read" in refused.err
    outcome = segment("--axes", "TYX", "--skip-bad", "--json", image=path)
    assert outcome.code == 0, outcome.err
    (result,) = outcome.json["results"]
    (bad,) = result["bad"]
    assert bad.startswith("1:2, 0:96, 0:80: ")
    assert "squares.zarr: [1:2, 0:96, 0:80] skipped: " in outcome.err
    labels = tifffile.imread(tmp_path / "out" / "squares_labels.tif")
    assert np.array_equal(labels[::2] > 0, np.stack([plane > 100] * 2))
    assert not labels[1].any()


def test_parts_are_done_one_by_one_and_the_last_makes_the_results(segment, tmp_path):
    assert segment(output=tmp_path / "whole").code == 0
    first = segment("--shard", "2/2", "--json").json["results"][0]
    assert first["waiting"]
    assert first["outputs"] == {}
    assert "waiting for" in segment("--shard", "2/2").out
    last = segment("--shard", "1/2", "--json").json["results"][0]
    assert last["waiting"] == []
    assert same(contents(tmp_path / "out"), contents(tmp_path / "whole"))


@pytest.mark.slow
def test_workers_give_the_same_result(segment, tmp_path):
    assert segment(output=tmp_path / "whole").code == 0
    outcome = segment("--workers", 2)
    assert outcome.code == 0, outcome.err
    assert same(contents(tmp_path / "out"), contents(tmp_path / "whole"))


def test_a_scheduler_that_is_not_there_is_a_device_error(segment):
    outcome = segment("--scheduler", "nonsense")
    assert outcome.code == 4
    assert "nonsense" in outcome.err
    # Else all that dask computes afterwards would wait for that scheduler.
    with pytest.raises(ValueError, match="No clients"):
        default_client()


@pytest.mark.parametrize(
    ("version", "mark"), [("0.5", "zarr.json"), ("0.4", ".zattrs")]
)
@pytest.mark.parametrize("probabilities", ["uint8", "float16"])
def test_zarr_results_are_stored_as_asked_for(
    segment, image_file, tmp_path, version, mark, probabilities
):
    stored = ("--ome-zarr", version, "--probabilities", probabilities)
    assert segment("--format", "zarr", *stored).code == 0
    path = tmp_path / "out" / "squares.ome.zarr"
    assert (path / mark).is_file()
    group = zarr.open_group(path, mode="r")
    assert group["mean/0"].dtype == probabilities
    labels = group["labels/labels/0"][:]
    assert labels.max() == label(tifffile.imread(image_file) > 100).max()


def test_labels_can_be_put_beside_the_image(segment, image_file, tmp_path):
    image = tmp_path / "im.ome.zarr"
    group = zarr.open_group(image, mode="w", zarr_format=3)
    pixels = tifffile.imread(image_file)
    group.create_array("0", data=pixels)
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    level = {"path": "0", "coordinateTransformations": scale}
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [level]}],
    }
    arguments = ("--labels-beside", "--save", "labels", "--format", "zarr", "--json")
    outcome = segment(*arguments, image=image)
    assert outcome.code == 0, outcome.err
    (path,) = outcome.json["results"][0]["outputs"].values()
    assert path.startswith(str(image / "labels"))
    labels = zarr.open_group(path, mode="r")["0"][:]
    assert np.array_equal(labels > 0, pixels > 100)


def test_labels_cannot_be_put_beside_a_tiff(segment):
    outcome = segment("--labels-beside")
    assert outcome.code == 3
    assert "no OME-Zarr image" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shard", "3/2"], "3/2"),
        (["--shard", "0/2"], "0/2"),
        (["--shard", "half"], "--shard half"),
        (["--shard", "1/2", "--workers", "2"], "choose one"),
        (["--workers", "0"], "workers"),
        (["--workers", "2", "--scheduler", "tcp://a:1"], "choose one"),
        (["--memory", "much"], "4GB"),
        (["--probabilities", "int8"], "int8"),
        (["--ome-zarr", "0.3"], "0.3"),
        (["--labels-beside", "--save", "mean"], "labels"),
    ],
)
def test_bad_options_name_what_is_wrong(segment, tmp_path, arguments, words):
    outcome = segment(*arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert not (tmp_path / "out").exists()
