from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from pydantic import ValidationError

from napari_unetpp import errors
from napari_unetpp.cli._exit import ExitCode, exit_code, message
from napari_unetpp.cli._paths import repeat_options
from napari_unetpp.config import PredictionConfig

COMMANDS = ("segment", "train", "run", "evaluate", "info", "demo")


def test_help_lists_commands_and_exit_codes(cli):
    outcome = cli("--help")
    assert outcome.code == 0
    for name in COMMANDS:
        assert f"  {name} " in outcome.out
    for code in ExitCode:
        assert f"\n    {int(code)}" in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_explained(cli, command):
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert "Exit codes:" in outcome.out
    assert "interrupted" in outcome.out


def test_evaluate_defines_its_metrics(cli):
    text = cli("evaluate", "--help").out
    for name in ("iou", "mean_iou", "dice", "ap50", "mean_ap", "n_true"):
        assert f"    {name}" in text


def test_no_command_shows_the_help(cli):
    outcome = cli()
    assert outcome.code == 2
    assert "Usage:" in outcome.out + outcome.err


def test_version(cli):
    assert cli("--version").out.strip() == version("napari-unetpp")


def test_help_is_fast_and_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from napari_unetpp.cli import main\n"
        "try: main(['segment', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'dask', 'zarr', 'napari', 'skimage', 'scipy', 'numpy'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    times = []
    for _ in range(3):
        start = time.process_time()
        before = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        times.append(time.perf_counter() - before + time.process_time() - start)
        assert done.stdout.endswith("loaded: []\n")
    assert min(times) < 2.0  # about 0.2 s on an idle machine


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ImageError("x"), 2),
        (errors.SettingsError("x"), 2),
        (errors.ModelFileError("x"), 2),
        (errors.OutputError("x"), 3),
        (errors.OutputExistsError("x"), 3),
        (errors.DeviceError("x"), 4),
        (errors.DeviceMemoryError("x"), 4),
        (errors.TrainingError("x"), 1),
        (MemoryError("x"), 1),
    ],
)
def test_exit_codes_of_errors(error, code):
    assert exit_code(error) == code


def test_a_refused_setting_names_itself_and_its_value():
    with pytest.raises(ValidationError) as caught:
        PredictionConfig(tile=-3)
    assert exit_code(caught.value) == ExitCode.BAD_INPUT
    assert message(caught.value).startswith("tile=-3:")


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("--images a b --labels c d", "--images a --images b --labels c --labels d"),
        ("--images a -o m --labels c", "--images a -o m --labels c"),
        ("--images a --images b", "--images a --images b"),
        ("-o m x", "-o m x"),
        ("--images", "--images"),
    ],
)
def test_several_files_may_follow_one_option(given, parsed):
    options = ("--images", "--labels")
    assert repeat_options(given.split(), options) == parsed.split()
