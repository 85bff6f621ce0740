from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_unetpp.cli import app

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a command told the shell."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli():
    """Run a command line in this process."""

    def run(*arguments: object) -> Outcome:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


def squares(shape: tuple[int, int] = (96, 80)) -> np.ndarray:
    """Return an image of bright squares on dark ground."""
    image = np.full(shape, 10, np.uint8)
    for y in range(8, shape[0] - 16, 24):
        for x in range(8, shape[1] - 16, 24):
            image[y : y + 12, x : x + 12] = 200
    return image


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    path = tmp_path / "squares.tif"
    tifffile.imwrite(path, squares())
    return path


@pytest.fixture
def nan_file(tmp_path: Path) -> Path:
    image = squares().astype(np.float32)
    image[0, 0] = np.nan
    path = tmp_path / "nan.tif"
    tifffile.imwrite(path, image)
    return path
