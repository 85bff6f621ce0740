"""What ``evaluate`` does: it scores a model on files and writes what was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from napari_unetpp.cli._display import Display
from napari_unetpp.cli._options import STDOUT
from napari_unetpp.cli._scores import print_scores
from napari_unetpp.inference._evaluate import Evaluation, compare_images
from napari_unetpp.io import read_image, read_labels
from napari_unetpp.io._disk import beside
from napari_unetpp.io._scores_file import ScoreFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.nn import Model


@dataclass(frozen=True, slots=True)
class Job:
    """What all images of one command share, and what is written at the end."""

    model: Model
    settings: PredictionConfig
    axes: str | None = None
    channel: int | None = None
    unlabelled: int | None = None
    tolerance: float = 2.0
    worst: int = 5
    csv: Path | None = None
    pictures: Path | None = None
    overwrite: bool = False

    @property
    def files(self) -> ScoreFiles:
        """Where table and pictures go."""
        return ScoreFiles(self.csv, self.pictures, self.overwrite)


def run(
    images: Sequence[Path], labels: Sequence[Path], job: Job, json_file: Path | None
) -> None:
    """Score a model on files; print tables, or all scores as JSON."""
    job.files.check()
    with Display() as display:
        found = evaluate_files(images, labels, job, display)
    scores = found.report()
    pictures = job.files.write(scores, found.pictures)
    if pictures:
        scores["pictures"] = [str(path) for path in pictures]
    if json_file == STDOUT:
        typer.echo(json.dumps(scores, indent=2))
        return
    print_scores(scores)
    for path in (job.csv, *pictures):
        if path is not None:
            typer.echo(str(path))
    if json_file is not None:
        write_json(scores, json_file)


def evaluate_files(
    images: Sequence[Path], labels: Sequence[Path], job: Job, display: Display
) -> Evaluation:
    """Score a model on files; returns their scores and the worst of them."""
    pairs = (
        (read_image(image, job.axes, job.channel), read_labels(truth))
        for image, truth in zip(images, labels, strict=True)
    )
    n_pictures = job.worst if job.pictures is not None else 0
    found = Evaluation(job.model.config, worst=n_pictures, tolerance=job.tolerance)
    display.start("evaluate", "image", len(images))
    compared = compare_images(
        pairs,
        job.model,
        job.settings,
        unlabelled=job.unlabelled,
        tolerance=job.tolerance,
    )
    for n_done, one in enumerate(compared, 1):
        found.add(one)
        display.advance_to(n_done, len(images), one.scored.name)
    return found


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write values to a JSON file, beside its place and then renamed."""
    with beside(path) as part:
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
