"""What is around a job: who may go on with it, and what it is told from."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import zarr

from napari_unetpp import api
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import (
    JobChangedError,
    OutputBusyError,
    OutputExistsError,
    SettingsError,
)
from napari_unetpp.inference import RunStarted
from napari_unetpp.inference._job_folder import end_job, part_ledger, whole_ledger

SETTINGS = PredictionConfig(tile=64, device="cpu")


@pytest.fixture
def model(make_busy_model):
    return make_busy_model()


@pytest.fixture
def ome_zarr(noise, tmp_path):
    """Return an OME-Zarr image with a copy of all metadata at its root."""
    path = tmp_path / "cells.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", data=noise(100, 120))
    scale = {"type": "scale", "scale": [0.5, 0.5]}
    multiscale = {
        "axes": [{"name": name, "type": "space"} for name in "yx"],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    with pytest.warns(match="[Cc]onsolidated"):
        zarr.consolidate_metadata(path)
    return path


def test_nobody_goes_on_with_a_job_that_has_ended(noise, model, tmp_path):
    run = api.segmenting_to(noise(100, 120), tmp_path, model, SETTINGS)
    list(islice(run, 2))
    run.close()
    end_job(tmp_path / "image.job")
    for held in (whole_ledger, lambda job: part_ledger(job, (1, 2))):
        with (
            pytest.raises(OutputBusyError, match="just completed"),
            held(tmp_path / "image.job"),
        ):
            pass


def test_one_other_pixel_makes_another_image(noise, model, tmp_path):
    image = noise(300, 600)
    run = api.segmenting_to(image, tmp_path, model, SETTINGS)
    list(islice(run, 2))
    run.close()
    image[299, 7] += 1
    with pytest.raises(JobChangedError, match="image was"):
        next(api.segmenting_to(image, tmp_path, model, SETTINGS))


def test_too_little_memory_for_the_tiles_of_the_beginning(noise, model, tmp_path):
    def begin(memory):
        settings = PredictionConfig(device="cpu", memory=memory)
        return api.segmenting_to(noise(1200, 1300), tmp_path, model, settings)

    run = begin(None)
    assert isinstance(next(run), RunStarted)
    run.close()
    with pytest.raises(SettingsError, match="was begun with tiles"):
        next(begin(500 * 10**6))


def test_labels_beside_an_image_do_not_make_it_another(
    ome_zarr, model, tmp_path, finish
):
    def begin(**options):
        folder = tmp_path / "out"
        return api.segmenting_to(
            ome_zarr, folder, model, SETTINGS, form="zarr", **options
        )

    _, first = finish(begin())
    _, saved = finish(begin(labels_beside=True))
    beside = ome_zarr / "labels" / "cells_labels"
    assert saved.outputs["labels"] == beside
    there = zarr.open_group(first.outputs["mean"], mode="r")["labels/labels/0"][:]
    np.testing.assert_array_equal(zarr.open_group(beside, mode="r")["0"][:], there)
    assert finish(begin(labels_beside=True))[1].up_to_date
    assert finish(begin())[1].up_to_date


def test_labels_beside_an_image_are_refused_before_the_work(ome_zarr, model, tmp_path):
    (ome_zarr / "labels" / "cells_labels").mkdir(parents=True)
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="never overwritten"):
            next(
                api.segmenting_to(
                    ome_zarr,
                    tmp_path / "out",
                    model,
                    SETTINGS,
                    labels_beside=True,
                    overwrite=overwrite,
                )
            )
    assert not (tmp_path / "out" / "cells.job").exists()
