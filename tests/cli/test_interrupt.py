"""Ctrl-C, with real processes: exit code 130, and nothing half-done is left."""

from __future__ import annotations

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
    sys.platform == "win32", reason="SIGINT cannot be sent to one process there"
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


def _interrupt(process: subprocess.Popen[str]) -> str:
    """Send SIGINT and return what was said on standard error."""
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    return err


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    path = tmp_path / "large.tif"
    image = np.random.default_rng(0).integers(0, 255, (4200, 4200), np.uint8)
    tifffile.imwrite(path, image)
    return path


def test_segment_stops_and_leaves_nothing(large_file, model_file, tmp_path):
    out = tmp_path / "out"
    process = _start(
        ["segment", large_file, "-o", out, "--model", model_file, "--tile", 64],
        tmp_path,
    )
    assert "tiles of 64 x 64" in process.stderr.readline()
    assert any(out.iterdir())  # probabilities grow beside the outputs
    time.sleep(0.5)
    start = time.monotonic()
    assert "interrupted" in _interrupt(process)
    assert time.monotonic() - start < 20
    assert list(out.iterdir()) == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_half_written_results_are_removed(model_file, tmp_path):
    out = tmp_path / "out"
    image = np.random.default_rng(0).integers(0, 255, (12, 512, 512), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", image, metadata={"axes": "TYX"})
    process = _start(
        ["segment", tmp_path / "stack.tif", "-o", out, "--model", model_file], tmp_path
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("stack_mean.tif.part-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert (out / "stack_labels.tif").exists()  # complete, but one of several
    _interrupt(process)
    assert list(out.iterdir()) == []


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
