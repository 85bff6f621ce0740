"""How much memory a run takes is known before it starts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import zarr

from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.io import as_image

GIB = 2**30


def planned(image, model, **settings):
    found = PredictionConfig(device="cpu", **settings)
    return make_plan(image, model, found)


def test_more_memory_takes_larger_tiles_and_is_kept_to(lively_model):
    pixels = np.broadcast_to(np.arange(5000, dtype=np.uint16), (3000, 5000))
    cores = []
    for memory in (700, 800, 1000, 2000, 8000):
        plan = planned(as_image(pixels, "YX"), lively_model, memory=f"{memory} MB")
        assert plan.memory.total <= memory * 1e6
        assert all(edge % 128 == 0 or edge < 128 for edge in plan.grid.core)
        cores.append(plan.grid.core)
    assert cores == sorted(cores)
    assert cores[0] < cores[-1]


def test_edges_in_3d_are_multiples_too(lively_model_3d):
    pixels = np.broadcast_to(np.arange(700, dtype=np.uint16), (70, 600, 700))
    plan = planned(as_image(pixels, "ZYX"), lively_model_3d, memory="1 GiB")
    assert plan.memory.total <= GIB
    rows, *inner = plan.grid.core
    assert rows % plan.grid.alignment[0] == 0
    assert all(edge % 32 == 0 for edge in inner)


def test_too_little_memory_names_the_least_that_would_do(lively_model, noise):
    image = as_image(noise(900, 900), "YX")
    with pytest.raises(SettingsError, match="too little") as caught:
        planned(image, lively_model, memory="100MB")
    least = int(str(caught.value).split("at least ")[1].split("MB")[0])
    assert planned(image, lively_model, memory=f"{least}MB").grid.core[1] == 8
    with pytest.raises(SettingsError, match="too little"):
        planned(image, lively_model, memory=f"{least - 1}MB")
    with pytest.raises(SettingsError, match=r"tiles of 904 x 904"):
        planned(image, lively_model, memory=f"{least}MB", tile=900)


def test_a_batch_and_queues_are_counted(lively_model, noise):
    image = as_image(noise(900, 900), "YX")
    one, four = (
        planned(image, lively_model, tile=128, batch=n, tta=True) for n in (1, 4)
    )
    assert four.memory.network == pytest.approx(4 * one.memory.network, rel=1e-6)
    assert four.memory.tiles > one.memory.tiles
    assert four.memory.results > one.memory.results
    labels = make_plan(
        image, lively_model, PredictionConfig(device="cpu"), label_bytes=5 * GIB
    )
    assert labels.memory.total > 5 * GIB


_MEASURE = """
import sys
from pathlib import Path
import torch
from napari_unetpp.api import load_model
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import predict_image
from napari_unetpp.io import read_image
torch.set_num_threads(1)
settings = PredictionConfig(device="cpu", memory=sys.argv[3], level=2)
run = predict_image(
    read_image(sys.argv[1]), load_model("nuclei"), settings, "run",
    folder=Path(sys.argv[2]),
)
planned = next(run).memory
for event in run:
    pass
rows = Path("/proc/self/status").read_text().splitlines()
print(planned, 1024 * next(int(row.split()[1]) for row in rows if "VmHWM" in row))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("memory", ["600MB", "1GB"])
def test_a_run_stays_below_the_figure(tmp_path, noise, memory):
    path = tmp_path / "image.zarr"
    zarr.create_array(path, data=noise(900, 1500), chunks=(512, 512))
    command = [sys.executable, "-c", _MEASURE, path, tmp_path / "results", memory]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    planned_bytes, peak = map(int, done.stdout.split())
    assert planned_bytes <= PredictionConfig(memory=memory).memory
    assert peak < planned_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GB", 4 * 10**9),
        ("500 MiB", 500 * 2**20),
        ("1.5g", 15 * 10**8),
        ("2 TiB", 2 * 2**40),
        ("1000", 1000),
        (12, 12),
        (None, None),
    ],
)
def test_amounts_of_memory(text, expected):
    assert PredictionConfig(memory=text).memory == expected


@pytest.mark.parametrize("text", ["much", "4 GB or so", "-4GB", 0, "", "GB"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(ValueError, match="memory"):
        PredictionConfig(memory=text)
