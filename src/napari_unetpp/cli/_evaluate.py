"""What ``evaluate`` does and shows: the scores of the mean and of each head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from napari_unetpp.cli._display import Display
from napari_unetpp.cli._options import STDOUT
from napari_unetpp.inference._evaluate import report, score_images
from napari_unetpp.io import read_image, read_labels
from napari_unetpp.io._disk import beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.nn import Model

_COLUMNS = ("iou", "mean_iou", "dice", "ap50", "ap75", "mean_ap", "n_true", "n_pred")


@dataclass(frozen=True, slots=True)
class Job:
    """What all images of one command share."""

    model: Model
    settings: PredictionConfig
    axes: str | None = None
    channel: int | None = None
    unlabelled: int | None = None


def run(
    images: Sequence[Path], labels: Sequence[Path], job: Job, json_file: Path | None
) -> None:
    """Score a model on files; print a table, or all scores as JSON."""
    with Display() as display:
        scores = evaluate_files(images, labels, job, display)
    if json_file == STDOUT:
        typer.echo(json.dumps(scores, indent=2))
        return
    print_scores(scores)
    if json_file is not None:
        write_json(scores, json_file)


def evaluate_files(
    images: Sequence[Path], labels: Sequence[Path], job: Job, display: Display
) -> dict[str, Any]:
    """Score a model on files; returns what ``api.evaluate`` does."""
    pairs = (
        (read_image(image, job.axes, job.channel), read_labels(truth))
        for image, truth in zip(images, labels, strict=True)
    )
    display.start("evaluate", "image", len(images))
    scored = []
    for one in score_images(pairs, job.model, job.settings, unlabelled=job.unlabelled):
        scored.append(one)
        display.advance_to(len(scored), len(images), one.name)
    return report(scored, job.model.config)


def print_scores(scores: dict[str, Any]) -> None:
    """Print a table: a row for the mean of the heads, and one for each head."""
    rows = [("accurate", scores["accurate"])]
    rows += [(head["name"], head) for head in scores["heads"]]
    columns = [name for name in _COLUMNS if name in scores["accurate"]]
    table = Table("", *columns, title=f"{scores['model']}: {scores['n_images']} images")
    for name, measures in rows:
        values = [measures[column] for column in columns]
        table.add_row(
            name, *(f"{v:.4f}" if isinstance(v, float) else str(v) for v in values)
        )
    Console(width=max(100, Console().width)).print(table)


def write_json(values: dict[str, Any], path: Path) -> None:
    """Write values to a JSON file, beside its place and then renamed."""
    with beside(path) as part:
        part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
