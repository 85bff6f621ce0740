"""Jobs whose work is shared out by dask, on a real cluster on this machine."""

from __future__ import annotations

import os
import signal
from itertools import islice

import pytest
import zarr
from distributed import LocalCluster

from napari_unetpp import api
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import DeviceError, ImageError
from napari_unetpp.inference import TileDone, _cluster
from napari_unetpp.io import save_model

SETTINGS = PredictionConfig(tile=64, device="cpu")
N_TILES = 4 * 3 * 2


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=None
    ) as found:
        yield found


@pytest.fixture
def begin(noise, make_busy_model, tmp_path):
    """Return what begins one job in a folder of its own."""
    image = zarr.create_array(
        tmp_path / "cells.zarr", shape=(4, 150, 120), dtype="uint16", chunks=(1, 75, 60)
    )
    image[:] = noise(4, 150, 120)
    model = save_model(make_busy_model(), tmp_path / "busy.safetensors")

    def go(folder, settings=SETTINGS, **options):
        return api.segmenting_to(
            tmp_path / "cells.zarr",
            tmp_path / folder,
            model,
            settings,
            axes="TYX",
            form="zarr",
            **options,
        )

    return go


def test_workers_give_what_one_process_gives(begin, finish, assert_same_arrays):
    _, alone = finish(begin("alone"))
    events, shared = finish(begin("shared", workers=2))
    done = [event.tile.index for event in events if isinstance(event, TileDone)]
    assert sorted(done) == list(range(N_TILES))
    assert [e.n_done for e in events if isinstance(e, TileDone)][-1] == N_TILES
    assert shared.n_objects == alone.n_objects > 10
    assert_same_arrays(shared.outputs["labels"], alone.outputs["labels"])


def test_a_worker_that_is_killed_does_not_show(
    begin, finish, cluster, assert_same_arrays
):
    _, alone = finish(begin("alone"))
    run = begin("shared", scheduler=cluster.scheduler_address)
    events, killed = [], False
    for event in run:
        events.append(event)
        if isinstance(event, TileDone) and not killed:
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
            killed = True
    shared = events[-1].result
    assert shared.n_tiles == N_TILES
    assert_same_arrays(shared.outputs["labels"], alone.outputs["labels"])


def test_a_stopped_job_goes_on_with_workers(begin, finish, cluster, assert_same_arrays):
    _, alone = finish(begin("alone"))
    run = begin("shared")
    before = list(islice(run, 6))
    run.close()
    done = {event.tile.index for event in before if isinstance(event, TileDone)}
    events, shared = finish(begin("shared", scheduler=cluster.scheduler_address))
    again = {event.tile.index for event in events if isinstance(event, TileDone)}
    assert done.isdisjoint(again)
    assert_same_arrays(shared.outputs["labels"], alone.outputs["labels"])


def test_an_error_on_a_worker_comes_out_of_the_run(begin, cluster, tmp_path):
    run = begin("shared", scheduler=cluster.scheduler_address)
    next(run)
    (tmp_path / "cells.zarr").rename(tmp_path / "away.zarr")
    with pytest.raises(ImageError, match="cells"):
        list(run)
    assert (tmp_path / "shared" / "cells.job").is_dir()


def test_workers_go_on_as_is_asked_for_now(begin, finish, tmp_path, cluster):
    run = begin("shared")
    next(run)
    run.close()
    (tmp_path / "cells.zarr" / "c" / "2" / "0" / "0").write_bytes(b"damaged")
    settings = SETTINGS.model_copy(update={"skip_bad": True})
    address = cluster.scheduler_address
    _, saved = finish(begin("shared", settings=settings, scheduler=address))
    assert len(saved.bad) == 1


def test_no_scheduler_is_told(begin, monkeypatch):
    monkeypatch.setattr(_cluster, "_CONNECTING", 1)
    with pytest.raises(DeviceError, match="no dask scheduler answers there"):
        list(begin("shared", scheduler="tcp://127.0.0.1:9"))
