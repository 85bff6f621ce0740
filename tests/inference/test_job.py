"""Jobs: results that grow in a folder, and are gone on with after any stop."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import tifffile
import zarr

from napari_unetpp import api
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import (
    ImageError,
    JobChangedError,
    OutputBusyError,
    OutputExistsError,
    SettingsError,
)
from napari_unetpp.inference import BadPixels, BlockDone, RunStarted, TileDone
from napari_unetpp.io import save_model

SETTINGS = PredictionConfig(tile=64, device="cpu")
SHAPE = (4, 150, 120)
N_TILES = 4 * 3 * 2


def write_image(path, pixels):
    array = zarr.create_array(
        path, shape=pixels.shape, dtype=pixels.dtype, chunks=(1, 150, 120)
    )
    array[:] = pixels


@pytest.fixture
def model(make_busy_model):
    return make_busy_model()


@pytest.fixture
def model_file(model, tmp_path):
    return save_model(model, tmp_path / "lively.safetensors")


@pytest.fixture
def image_file(noise, tmp_path):
    path = tmp_path / "cells.zarr"
    write_image(path, noise(*SHAPE))
    return path


@pytest.fixture
def job(image_file, model_file, tmp_path):
    """Return what begins or goes on with one job, and its results."""

    def begin(settings=SETTINGS, **options):
        given = {"form": "zarr", "axes": "TYX", **options}
        return api.segmenting_to(
            image_file, tmp_path / "out", model_file, settings, **given
        )

    return begin


@pytest.fixture
def reference(image_file, model_file, tmp_path):
    """Return the results of a run that nobody stopped."""
    saved = api.segment_to(
        image_file, tmp_path / "whole", model_file, SETTINGS, form="zarr", axes="TYX"
    )
    return saved.outputs["labels"]


def test_a_job_gives_what_memory_gives(job, finish, noise, model, arrays_of):
    events, saved = finish(job())
    there = arrays_of(saved.outputs["labels"])
    found = api.segment(noise(*SHAPE), model, axes="TYX", device="cpu")
    np.testing.assert_array_equal(there["labels/labels/0"], found.labels)
    foreground = found.prediction.foreground.compute()
    np.testing.assert_allclose(there["mean/0"] / 255, foreground, atol=0.5 / 255 + 1e-6)
    assert saved.n_objects == found.n_objects > 10
    assert isinstance(events[0], RunStarted)
    assert events[0].n_tiles == sum(isinstance(e, TileDone) for e in events) == N_TILES


@pytest.mark.parametrize("n_events", [1, 2, 9, 25, 28, 31, 36])
def test_a_stopped_job_goes_on(
    job, finish, reference, n_events, tmp_path, assert_same_arrays
):
    run = job()
    before = list(islice(run, n_events))
    run.close()
    assert not (tmp_path / "out" / "cells.ome.zarr").exists()
    events, saved = finish(job())
    marked = {e.tile.index for e in before if isinstance(e, TileDone)}
    again = [e.tile.index for e in events if isinstance(e, TileDone)]
    assert events[0].n_done == len(marked) == saved.n_resumed
    assert marked.isdisjoint(again)
    assert len(marked) + len(again) == N_TILES
    assert_same_arrays(saved.outputs["labels"], reference)
    assert not (tmp_path / "out" / "cells.job").exists()


RUN_AND_TELL = """
import sys, torch
from napari_unetpp import api
torch.set_num_threads(2)  # as all tests have
from napari_unetpp.config import PredictionConfig
image, folder, model, shard = sys.argv[1:]
settings = PredictionConfig(tile=64, device="cpu")
part = tuple(map(int, shard.split("/"))) if shard else None
run = api.segmenting_to(
    image, folder, model, settings, form="zarr", axes="TYX", shard=part
)
for event in run:
    print(type(event).__name__, flush=True)
"""


def start_process(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", RUN_AND_TELL, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("n_lines", [3, 22])
def test_a_killed_job_goes_on(
    job,
    finish,
    reference,
    image_file,
    model_file,
    tmp_path,
    n_lines,
    assert_same_arrays,
):
    with start_process(image_file, tmp_path / "out", model_file, "") as process:
        told = list(islice(process.stdout, n_lines))
        process.send_signal(signal.SIGKILL)
    events, saved = finish(job())
    assert events[0].n_done >= sum(line == "TileDone\n" for line in told)
    assert_same_arrays(saved.outputs["labels"], reference)


def test_a_second_run_is_refused_while_one_goes_on(
    job, finish, reference, assert_same_arrays
):
    first = job()
    next(first)
    with pytest.raises(OutputBusyError, match=r"ledger\.sqlite is in use"):
        next(job())
    _, saved = finish(first)
    assert_same_arrays(saved.outputs["labels"], reference)


def test_a_changed_job_is_refused_and_says_what_changed(job, finish):
    run = job()
    list(islice(run, 4))
    run.close()
    other = PredictionConfig(tile=64, device="cpu", level=2)
    with pytest.raises(JobChangedError, match="level was 3, is 2") as error:
        next(job(other))
    assert "--overwrite" in str(error.value)
    events, _ = finish(job())  # nothing of it was lost
    assert events[0].n_done == 3
    run = job()
    assert finish(run)[1].up_to_date


def test_an_image_that_changed_is_refused(job, image_file, noise):
    run = job()
    list(islice(run, 4))
    run.close()
    shutil.rmtree(image_file)
    write_image(image_file, noise(*SHAPE) + 1)
    with pytest.raises(JobChangedError, match="image was cells"):
        next(job())


def test_overwrite_starts_anew(job, finish, arrays_of):
    run = job()
    list(islice(run, 4))
    run.close()
    other = PredictionConfig(tile=64, device="cpu", level=2)
    events, saved = finish(job(other, overwrite=True))
    assert events[0].n_done == 0
    with pytest.raises(OutputExistsError, match="--overwrite"):
        next(job())
    assert finish(job(other))[1].up_to_date
    before = arrays_of(saved.outputs["labels"])
    _, replaced = finish(job(overwrite=True))
    after = arrays_of(replaced.outputs["labels"])
    assert not np.array_equal(before["mean/0"], after["mean/0"])


def test_tiff_results_are_completed(job, finish, tmp_path):
    _, saved = finish(job(form="tif"))
    labels = tifffile.imread(saved.outputs["labels"])
    assert finish(job(form="tif"))[1].up_to_date
    saved.outputs["mean"].unlink()
    _, again = finish(job(form="tif"))
    assert not again.up_to_date
    assert saved.outputs["mean"].exists()
    np.testing.assert_array_equal(tifffile.imread(again.outputs["labels"]), labels)


def test_parts_make_the_whole(job, finish, reference, tmp_path, assert_same_arrays):
    _, second = finish(job(shard=(2, 3)))
    assert second.outputs == {}
    assert second.waiting == ("part 1 of 3", "part 3 of 3")
    finish(job(shard=(1, 3)))
    _, again = finish(job(shard=(1, 3)))
    assert again.n_resumed == again.n_tiles == 8
    _, last = finish(job(shard=(3, 3)))
    assert last.waiting == ()
    assert_same_arrays(last.outputs["labels"], reference)
    assert finish(job(shard=(2, 3)))[1].up_to_date


def test_a_run_of_the_whole_takes_over_parts(
    job, finish, reference, assert_same_arrays
):
    finish(job(shard=(2, 3)))
    events, saved = finish(job())
    assert events[0].n_done == 8
    assert_same_arrays(saved.outputs["labels"], reference)


def test_parts_run_side_by_side(
    job, finish, reference, image_file, model_file, tmp_path, assert_same_arrays
):
    folder = tmp_path / "out"
    parts = [start_process(image_file, folder, model_file, f"{i}/2") for i in (1, 2)]
    for process in parts:
        assert process.communicate()[1] is None
        assert process.returncode == 0
    _, saved = finish(job())
    assert_same_arrays(saved.outputs["labels"], reference)


def test_part_and_whole_exclude_each_other(job):
    whole = job()
    next(whole)
    with pytest.raises(OutputBusyError):
        next(job(shard=(1, 2)))
    whole.close()
    part = job(shard=(1, 2))
    next(part)
    with pytest.raises(OutputBusyError):
        next(job())
    part.close()


def test_a_bad_chunk_stops_a_job_that_goes_on_when_it_is_mended(
    job, finish, reference, image_file, assert_same_arrays
):
    chunk = image_file / "c" / "2" / "0" / "0"
    content = chunk.read_bytes()
    run = job()
    seen = [next(run)]  # after the range of intensities was found
    chunk.write_bytes(b"damaged")
    with pytest.raises(ImageError, match="cells: the pixels cannot"):
        seen.extend(run)
    n_done = sum(isinstance(event, TileDone) for event in seen)
    assert 0 < n_done < N_TILES
    chunk.write_bytes(content)
    events, saved = finish(job())
    assert events[0].n_done == n_done
    assert_same_arrays(saved.outputs["labels"], reference)


def test_a_bad_chunk_can_be_skipped_and_is_listed(job, finish, image_file):
    settings = SETTINGS.model_copy(update={"skip_bad": True})
    (image_file / "c" / "2" / "0" / "0").write_bytes(b"damaged")
    events, saved = finish(job(settings))
    bad = {event.box for event in events if isinstance(event, BadPixels)}
    assert bad == {((2, 3), (0, 150), (0, 120))}
    assert len(saved.bad) == 1
    assert "2:3, 0:150, 0:120" in saved.bad[0]
    assert saved.n_objects > 0


def test_a_vanished_image_stops_a_job(
    job, finish, reference, image_file, tmp_path, assert_same_arrays
):
    run = job()
    list(islice(run, 3))
    image_file.rename(tmp_path / "away.zarr")
    with pytest.raises(ImageError):
        list(run)
    with pytest.raises(ImageError):
        next(job())
    (tmp_path / "away.zarr").rename(image_file)
    events, saved = finish(job())
    assert events[0].n_done >= 2
    assert_same_arrays(saved.outputs["labels"], reference)


def test_a_mask_restricts_a_job(job, finish, tmp_path, reference, arrays_of):
    inside = np.zeros(SHAPE[1:], np.uint8)  # the same in all planes
    inside[70:140, 10:50] = 1
    tifffile.imwrite(tmp_path / "mask.tif", inside)
    events, saved = finish(job(mask=tmp_path / "mask.tif"))
    mean = arrays_of(saved.outputs["mean"])["mean/0"]
    whole = arrays_of(reference)["mean/0"]
    np.testing.assert_array_equal(mean, whole * inside)
    labels = arrays_of(saved.outputs["labels"])["labels/labels/0"]
    assert (labels * (1 - inside)).max() == 0 < labels.max()
    skipped = sum(isinstance(e, TileDone) and e.skipped for e in events)
    assert skipped == N_TILES - 4 * 2


def test_what_others_cannot_read_is_refused(noise, model, tmp_path):
    image, folder = noise(64, 64), tmp_path / "out"
    with pytest.raises(ImageError, match="give the path"):
        api.segment_to(image, folder, model, SETTINGS, workers=2)
    with pytest.raises(ImageError, match="give the path"):
        api.segment_to(image, folder, model, SETTINGS, shard=(1, 2))
    with pytest.raises(ValueError, match="choose one"):
        api.segment_to(image, folder, model, workers=2, shard=(1, 2))
    with pytest.raises(SettingsError, match="no such result"):
        api.segment_to(image, folder, model, SETTINGS, save=["masks"])
    assert not folder.exists()


def test_blocks_without_foreground_are_not_read(finish, model, tmp_path, noise):
    image = np.zeros((2100, 2100), np.uint16)
    image[1500:1600, 1500:1600] = noise(100, 100)
    inside = image > 0
    run = api.segmenting_to(
        image,
        tmp_path,
        model,
        PredictionConfig(tile=256, device="cpu"),
        mask=inside,
        save=["labels"],
        axes="YX",
    )
    events, saved = finish(run)
    blocks = [e for e in events if isinstance(e, BlockDone) and e.stage[:4] == "find"]
    assert len(blocks) == 1
    assert saved.n_objects > 0
