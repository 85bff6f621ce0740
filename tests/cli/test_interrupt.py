"""Ctrl-C, SIGTERM and kill -9, with real processes: exit code, and what is left.

Nothing half-done stands under a final name; what is done is gone on with.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="signals cannot be sent to one process there"
)

_PROGRAM = [
    sys.executable,
    "-c",
    # A test run in the background of a shell hands on that Ctrl-C is ignored.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from napari_unetpp.cli import main; main()",
]


def _start(arguments: list[object], tmp_path: Path) -> subprocess.Popen[str]:
    (tmp_path / "scratch").mkdir()
    return subprocess.Popen(
        [*_PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch")},
    )


def _interrupt(
    process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT
) -> str:
    """Send a signal and return what was said on standard error."""
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Traceback" not in err
    return err


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large.tif"
    image = np.random.default_rng(0).integers(0, 255, (4200, 4200), np.uint8)
    tifffile.imwrite(path, image)
    return path


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")],
)
def test_segment_stops_and_keeps_what_is_done(
    large_file, model_file, tmp_path, number, word
):
    out = tmp_path / "out"
    process = _start(
        ["segment", large_file, "-o", out, "--model", model_file, "--tile", 64],
        tmp_path,
    )
    assert "tiles of 64 x 64" in process.stderr.readline()
    time.sleep(0.5)
    start = time.monotonic()
    said = _interrupt(process, number)
    assert time.monotonic() - start < 20
    assert word in said
    assert "the same command goes on" in said
    assert [path.name for path in out.iterdir()] == ["large.job"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_killed_run_goes_on_with_what_is_done(cli, model_file, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (512, 512), np.uint8)
    path = tmp_path / "im.tif"
    tifffile.imwrite(path, image)
    out = tmp_path / "out"
    fixed = ("segment", path, "--model", model_file, "--device", "cpu", "--tile", 32)
    process = _start([*fixed, "-o", out], tmp_path)
    while not list((out / "im.job").glob("result.ome.zarr/mean/0/c/*/*")):
        assert process.poll() is None
        time.sleep(0.01)
    _await_marks(out / "im.job" / "ledger.sqlite-wal", process)
    process.kill()
    process.communicate(timeout=60)
    result = cli(*fixed, "-o", out, "--json").json["results"][0]
    assert result["n_resumed"] > 0
    assert cli(*fixed, "-o", tmp_path / "whole").code == 0
    names = {file.name for file in out.iterdir()}
    assert names == {file.name for file in (tmp_path / "whole").iterdir()}
    for name in names:
        resumed = tifffile.imread(out / name)
        assert np.array_equal(resumed, tifffile.imread(tmp_path / "whole" / name))


def _await_marks(log, process):
    """Wait until some more tiles are marked; a ledger at work is locked to others."""
    page = 4096
    before = log.stat().st_size
    while log.stat().st_size < before + 4 * page:
        assert process.poll() is None
        time.sleep(0.01)


def test_images_that_are_done_are_listed_though_it_stops(
    large_file, image_file, model_file, tmp_path
):
    images = (tmp_path / "missing.tif", image_file, large_file)
    fixed = ("-o", tmp_path / "out", "--model", model_file, "--tile", 64, "--json")
    process = _start(["segment", *images, *fixed], tmp_path)
    while not process.stderr.readline().startswith("large.tif: "):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    found = json.loads(out)
    assert [one["image"] for one in found["results"]] == [str(image_file)]
    assert [one["image"] for one in found["failures"]] == [str(images[0])]
    assert "interrupted" in err


def test_results_that_were_half_written_are_completed(cli, model_file, tmp_path):
    out = tmp_path / "out"
    image = np.random.default_rng(0).integers(0, 255, (12, 512, 512), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", image, metadata={"axes": "TYX"})
    fixed = ("segment", tmp_path / "stack.tif", "-o", out, "--model", model_file)
    process = _start(list(fixed), tmp_path)
    deadline = time.monotonic() + 120
    while not list(out.glob("stack.job/*.tif.part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    _interrupt(process)
    assert (out / "stack.job").is_dir()
    for path in out.glob("*.tif"):  # those that were complete
        assert tifffile.imread(path).shape[-3:] == image.shape
    outcome = cli(*fixed, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["results"][0]["n_resumed"] == 12
    assert {path.name for path in out.iterdir()} == {
        f"stack_{kind}.tif" for kind in ("labels", "mean", "heads", "uncertainty")
    }


def test_train_stops_and_leaves_no_model(tmp_path):
    image = np.zeros((64, 64), np.uint8)
    image[16:40, 16:40] = 200
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
        tifffile.imwrite(tmp_path / f"{name}_labels.tif", image // 200)
    out = tmp_path / "out"
    out.mkdir()
    process = _start(
        [
            *("train", "--images", tmp_path / "a.tif", tmp_path / "b.tif"),
            *("--labels", tmp_path / "a_labels.tif", tmp_path / "b_labels.tif"),
            *("--output", out / "m.safetensors", "--size", "small", "--minutes", 5),
        ],
        tmp_path,
    )
    assert "training on" in process.stderr.readline()
    time.sleep(0.5)
    _interrupt(process)
    # Only what --resume goes on with may be left.
    assert {path.name for path in out.iterdir()} <= {"m.safetensors.checkpoint"}
