"""Many images: what each came to, and that one does not stop the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_unetpp import api
from napari_unetpp.api._batch import (
    ImageBegun,
    ImageDone,
    ImageFailed,
    ImagesChecked,
    ImageStep,
    batching,
)
from napari_unetpp.config import OutputConfig, PredictionConfig, WorkersConfig
from napari_unetpp.errors import OutputExistsError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unetpp.inference import JobRequest
    from napari_unetpp.nn import Model


@dataclass(frozen=True)
class Job:
    """Labels of every image, in a folder."""

    model: Model
    folder: Path
    settings: PredictionConfig = field(default_factory=PredictionConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)

    def request(self, image: object, /) -> JobRequest:
        outputs = OutputConfig(kinds=("labels",))
        return api.job_request(
            image, self.folder, self.model, self.settings, outputs, self.workers
        )


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Files of one bright square, of two, and one that is no image."""
    found = []
    for n in (1, 2):
        plane = np.zeros((40, 64), np.uint8)
        for at in range(n):
            plane[10:22, 8 + 30 * at : 20 + 30 * at] = 200
        found.append(tmp_path / f"squares-{n}.tif")
        tifffile.imwrite(found[-1], plane)
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no image")
    return [found[0], broken, found[1]]


def run(images, job):
    """Return the events but the steps of the single runs."""
    events = list(batching(images, job))
    assert any(isinstance(event, ImageStep) for event in events)
    return [event for event in events if not isinstance(event, ImageStep)]


def test_every_image_comes_to_its_end(images, model_file, tmp_path):
    job = Job(api.load_model(model_file), tmp_path / "out")
    events = run(images, job)
    assert [e.n_done for e in events if isinstance(e, ImagesChecked)] == [1, 2, 3]
    failed = [e for e in events if isinstance(e, ImageFailed)]
    assert [e.index for e in failed] == [1]
    assert "broken.tif" in str(failed[0].error)
    begun = [e for e in events if isinstance(e, ImageBegun)]
    assert [(e.index, e.axes, e.shape) for e in begun] == [
        (0, "YX", (40, 64)),
        (2, "YX", (40, 64)),
    ]
    done = {e.index: e.saved for e in events if isinstance(e, ImageDone)}
    assert {index: saved.n_objects for index, saved in done.items()} == {0: 1, 2: 2}
    assert all(saved.outputs["labels"].exists() for saved in done.values())


def test_the_same_again_has_nothing_to_do(images, model_file, tmp_path):
    job = Job(api.load_model(model_file), tmp_path / "out")
    run(images[:1], job)
    done = [e for e in run(images[::2], job) if isinstance(e, ImageDone)]
    assert [e.saved.up_to_date for e in done] == [True, False]


def test_mistakes_are_told_before_any_work(images, model_file, tmp_path):
    out = tmp_path / "out"
    job = Job(api.load_model(model_file), out)
    same = tmp_path / "other" / images[0].name
    same.parent.mkdir()
    same.write_bytes(images[0].read_bytes())
    with pytest.raises(SettingsError, match="both write"):
        list(batching([images[0], same], job))
    out.mkdir(exist_ok=True)
    (out / "squares-2_labels.tif").write_bytes(b"by somebody else")
    with pytest.raises(OutputExistsError, match="squares-2_labels"):
        list(batching(images[::2], job))
    assert not (out / "squares-1_labels.tif").exists()


def test_closing_stops_and_the_rest_is_done_later(images, model_file, tmp_path):
    job = Job(api.load_model(model_file), tmp_path / "out")
    events = batching(images[::2], job)
    next(e for e in events if isinstance(e, ImageDone))
    events.close()
    done = [e for e in run(images[::2], job) if isinstance(e, ImageDone)]
    assert [e.saved.up_to_date for e in done] == [True, False]
