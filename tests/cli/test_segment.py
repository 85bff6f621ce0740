from __future__ import annotations

import threading
import weakref

import numpy as np
import pytest
import tifffile
import zarr
from skimage.measure import label

from napari_unetpp.api._batch import ImageFailed
from napari_unetpp.errors import ImageError
from napari_unetpp.io import save_model


@pytest.fixture
def segment(cli, model_file, tmp_path):
    """Run ``segment`` with a model whose answer is known, into tmp_path/out."""

    def run(*arguments: object):
        fixed = ("--output", tmp_path / "out", "--model", model_file, "--device", "cpu")
        return cli("segment", *fixed, *arguments)

    return run


def test_writes_labels_mean_heads_and_uncertainty(segment, image_file, tmp_path):
    outcome = segment(image_file)
    assert outcome.code == 0
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    assert names == {
        "squares_labels.tif",
        "squares_mean.tif",
        "squares_heads.tif",
        "squares_uncertainty.tif",
    }
    image = tifffile.imread(image_file)
    labels = tifffile.imread(out / "squares_labels.tif")
    expected = label(image > 100, connectivity=1)
    assert np.array_equal(labels > 0, expected > 0)
    assert labels.max() == expected.max()
    assert tifffile.imread(out / "squares_mean.tif").shape == image.shape
    assert tifffile.imread(out / "squares_heads.tif").shape == (2, *image.shape)
    for name in names:
        assert str(out / name) in outcome.out


def test_json_says_what_was_done_and_nothing_else(segment, image_file, tmp_path):
    outcome = segment(image_file, "--json", "--save", "labels,heads")
    found = outcome.json
    assert found["model"] == "small"
    assert found["failures"] == []
    (result,) = found["results"]
    assert result["image"] == str(image_file)
    assert set(result["outputs"]) == {"labels", "heads"}
    assert result["axes"] == "YX"
    assert result["shape"] == [96, 80]
    assert result["n_objects"] == label(tifffile.imread(image_file) > 100).max()
    assert result["device"] == "cpu"


def test_a_tile_edge_does_not_change_the_labels(segment, cli, image_file, tmp_path):
    assert segment(image_file, "--tile", 16, "--batch", 2).code == 0
    tiled = tifffile.imread(tmp_path / "out" / "squares_labels.tif")
    assert segment(image_file, "--overwrite").code == 0
    whole = tifffile.imread(tmp_path / "out" / "squares_labels.tif")
    assert np.array_equal(tiled, whole)


def test_fast_mode_has_one_head(segment, image_file, tmp_path):
    assert segment(image_file, "--mode", "fast", "--level", 1).code == 0
    unsure = tifffile.imread(tmp_path / "out" / "squares_uncertainty.tif")
    assert unsure.shape == (96, 80)
    heads = tifffile.imread(tmp_path / "out" / "squares_heads.tif")
    assert heads.squeeze().shape == (96, 80)


def test_zarr_takes_all_results_of_an_image(segment, image_file, tmp_path):
    outcome = segment(image_file, "--format", "zarr")
    assert outcome.code == 0
    group = zarr.open_group(tmp_path / "out" / "squares.ome.zarr", mode="r")
    assert {"mean", "heads", "uncertainty", "labels"} <= set(group.keys())
    assert outcome.out.count("squares.ome.zarr") == 1


def test_one_failing_image_does_not_stop_the_others(segment, image_file, tmp_path):
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(image_file.read_bytes()[:100])
    missing = tmp_path / "missing.tif"
    outcome = segment(damaged, image_file, missing, "--json")
    assert outcome.code == 2
    assert [r["image"] for r in outcome.json["results"]] == [str(image_file)]
    failures = {f["image"]: f for f in outcome.json["failures"]}
    assert set(failures) == {str(damaged), str(missing)}
    assert all(f["exit_code"] == 2 for f in failures.values())
    assert "no such file" in failures[str(missing)]["message"]
    assert outcome.err.count("failed:") == 2


def test_an_image_that_fails_while_read_does_not_stop_the_others(
    segment, image_file, nan_file
):
    outcome = segment(nan_file, image_file, "--json")
    assert outcome.code == 2
    assert len(outcome.json["results"]) == len(outcome.json["failures"]) == 1
    assert "--nonfinite background" in outcome.json["failures"][0]["message"]


def test_a_failure_names_its_image_once(segment, nan_file, tmp_path):
    missing = tmp_path / "missing.tif"
    lines = segment(nan_file, missing).err.splitlines()
    assert f"failed: {missing}: no such file or folder; check the path" in lines
    (bad,) = [line for line in lines if line.startswith(f"failed: {nan_file}: ")]
    assert bad.removeprefix(f"failed: {nan_file}: ").startswith("1 of 7680 pixels")


@pytest.mark.parametrize("clash", [True, False])
def test_failures_are_told_even_if_the_run_is_refused(
    segment, image_file, tmp_path, clash
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "squares_mean.tif").write_text("mine")
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "squares.tif"
    other.write_bytes(image_file.read_bytes())
    missing = tmp_path / "missing.tif"
    images = (missing, image_file, *[other] * clash)
    outcome = segment(*images, "--json")
    assert outcome.code == (2 if clash else 3)
    assert f"failed: {missing}: no such file" in outcome.err
    words = "would both write" if clash else "not overwritten"
    assert words in outcome.err
    assert words in outcome.json["message"]


def test_nonfinite_pixels_can_be_background(segment, nan_file, tmp_path):
    assert segment(nan_file, "--nonfinite", "background").code == 0
    labels = tifffile.imread(tmp_path / "out" / "nan_labels.tif")
    assert labels[0, 0] == 0
    assert labels.max() > 0


def test_existing_outputs_are_refused_before_any_work(segment, image_file, tmp_path):
    second = tmp_path / "second.tif"
    second.write_bytes(image_file.read_bytes())
    (tmp_path / "out").mkdir()
    kept = tmp_path / "out" / "second_mean.tif"
    kept.write_text("mine")
    outcome = segment(image_file, second, "--json")
    assert outcome.code == 3
    assert outcome.json["error"] == "OutputExistsError"
    assert "second_mean.tif" in outcome.err
    assert "--overwrite" in outcome.err
    assert [path.name for path in kept.parent.iterdir()] == ["second_mean.tif"]
    assert kept.read_text() == "mine"
    assert segment(image_file, second, "--overwrite").code == 0
    assert tifffile.imread(kept).shape == (96, 80)


def test_a_folder_that_cannot_be_made_is_an_output_error(cli, image_file, model_file):
    outcome = cli(
        "segment", image_file, "--model", model_file, "--output", image_file / "out"
    )
    assert outcome.code == 3
    assert "error:" in outcome.err
    assert f"{image_file} is a file, not a folder" in outcome.err


@pytest.mark.parametrize("command", ["segment", "demo"])
def test_a_file_is_no_folder_for_results(cli, image_file, model_file, command):
    images = [image_file] * (command == "segment")
    outcome = cli(command, *images, "--model", model_file, "--output", image_file)
    assert outcome.code == 3
    assert f"{image_file} is a file, not a folder" in outcome.err


def test_images_of_one_name_are_refused(segment, image_file, tmp_path):
    other = tmp_path / "other" / "squares.png"
    other.parent.mkdir()
    other.write_bytes(image_file.read_bytes())
    outcome = segment(image_file, other)
    assert outcome.code == 2
    assert "would both write" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--save", "labels,soup"], 2, "soup"),
        (["--type", "classes"], 2, "instances"),
        (["--tile", "0"], 2, "tile=0"),
        (["--level", "9"], 2, "level 9"),
        (["--mode", "slow"], 2, "slow"),
        (["--no-such-option"], 2, "--no-such-option"),
        (["--axes", "ZYX"], 2, "ZYX"),
        (["--channel", "3"], 2, "channel"),
        (["--device", "cuda:99"], 4, "cuda:99"),
        (["--device", "toaster"], 4, "toaster"),
    ],
)
def test_bad_options_name_what_is_wrong(segment, image_file, arguments, code, words):
    outcome = segment(image_file, *arguments)
    assert outcome.code == code
    assert words in outcome.err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\x80\x04pickle", "pickle"), (b"no model at all", "damaged"), (None, "no such")],
)
def test_bad_models_are_refused(cli, image_file, tmp_path, content, words):
    path = tmp_path / "bad.safetensors"
    if content is not None:
        path.write_bytes(content)
    outcome = cli("segment", image_file, "--output", tmp_path, "--model", path)
    assert outcome.code == 2
    assert words in outcome.err


def test_a_folder_or_pattern_stands_for_its_images(segment, image_file, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("b.tif", "a.tif"):
        (folder / name).write_bytes(image_file.read_bytes())
    (folder / "notes.txt").write_text("not an image")
    by_folder = segment(folder, "--json", "--save", "labels").json["results"]
    assert [r["image"] for r in by_folder] == [
        str(folder / "a.tif"),
        str(folder / "b.tif"),
    ]
    by_pattern = segment(
        folder / "a*.tif", "--json", "--save", "labels", "--overwrite"
    ).json["results"]
    assert [r["image"] for r in by_pattern] == [str(folder / "a.tif")]


def test_a_folder_without_images_is_refused(segment, tmp_path):
    (tmp_path / "empty").mkdir()
    outcome = segment(tmp_path / "empty")
    assert outcome.code == 2
    assert "no images" in outcome.err


def test_class_models_write_the_values_that_were_painted(
    cli, image_file, small_class_model, tmp_path
):
    model = save_model(small_class_model, tmp_path / "classes.safetensors")
    out = tmp_path / "out"
    outcome = cli("segment", image_file, "-o", out, "--model", model, "--json")
    assert outcome.code == 0
    assert outcome.json["results"][0]["n_objects"] is None
    labels = tifffile.imread(out / "squares_labels.tif")
    assert set(np.unique(labels)) <= {3, 7}
    heads = tifffile.imread(out / "squares_heads.tif")
    assert heads.shape == (2, 2, 96, 80)
    assert np.allclose(heads.sum(axis=1), 1, atol=1e-5)


def test_planes_of_a_stack_are_segmented_each_on_its_own(segment, tmp_path, image_file):
    plane = tifffile.imread(image_file)
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(
        stack, np.stack([plane, plane[::-1]]), ome=True, metadata={"axes": "ZYX"}
    )
    result = segment(stack, "--json").json["results"][0]
    assert result["axes"] == "ZYX"
    assert result["n_objects"] == 2 * label(plane > 100).max()


def test_what_concerns_all_images_is_refused_once(segment, image_file, tmp_path):
    outcome = segment(image_file, tmp_path / "no.tif", "--device", "cuda:99", "--json")
    assert outcome.code == 4
    assert outcome.json["error"] == "DeviceError"
    assert outcome.err.count("cuda:99") == 1
    assert not (tmp_path / "out").exists()


def test_an_image_is_not_replaced_by_the_results_of_another(
    cli, image_file, model_file, tmp_path
):
    other = tmp_path / "squares_labels.tif"
    other.write_bytes(image_file.read_bytes())
    arguments = ("--model", model_file, "--save", "labels", "--overwrite")
    outcome = cli("segment", image_file, other, "-o", tmp_path, *arguments)
    assert outcome.code == 2
    assert "would replace it" in outcome.err
    assert other.read_bytes() == image_file.read_bytes()


def test_a_zarr_is_not_replaced_by_its_own_results(cli, model_file, tmp_path):
    path = tmp_path / "im.ome.zarr"
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    zarr.save_array(path, pixels)
    arguments = ("--model", model_file, "--format", "zarr", "--overwrite")
    outcome = cli("segment", path, "-o", tmp_path / "x" / "..", *arguments)
    assert outcome.code == 2
    assert "would replace it" in outcome.err
    assert np.array_equal(zarr.open_array(path, mode="r")[:], pixels)


def test_a_failure_holds_nothing_of_the_run():
    scratch = threading.Event()  # stands for arrays, which delete their folder
    gone = weakref.ref(scratch)

    def fail(held):
        try:
            int(f"not {held.is_set()}")
        except ValueError as error:
            raise ImageError("no room") from error

    try:
        fail(scratch)
    except ImageError as error:
        failed = ImageFailed.of(0, error)
    del scratch
    assert str(failed.error) == "no room"
    assert gone() is None
