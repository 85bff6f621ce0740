"""What ``run`` does, and how ``train`` and ``segment`` write recipes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from napari_unetpp import api
from napari_unetpp._recipe import (
    RecipeClass,
    Results,
    SegmentInput,
    SegmentRecipe,
    TrainRecipe,
    settled,
)
from napari_unetpp.api._recipe import prepared
from napari_unetpp.cli import _check, _job, _segment, _train
from napari_unetpp.cli._exit import GOES_ON, RESUMES, ExitCode, exit_codes
from napari_unetpp.config import OutputConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference import result_kinds
from napari_unetpp.io import check_recipe_path
from napari_unetpp.training import TrainingFinished, TrainingStarted

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_unetpp._recipe import Recipe


@dataclass(frozen=True, slots=True)
class Way:
    """How a command treats what is there, and how it tells what it did."""

    resume: bool = False
    overwrite: bool = False
    as_json: bool = False


def run(
    path: Path, way: Way, *, output: Path | None = None, device: str | None = None
) -> int:
    """Do what the recipe at `path` says, and return the exit code."""
    recipe = prepared(path, output=output, device=device)
    if isinstance(recipe, SegmentRecipe):
        with exit_codes(as_json=way.as_json, hint=GOES_ON):
            return _segment_again(recipe, way)
    train(recipe, way)
    return ExitCode.DONE


def train(recipe: TrainRecipe, way: Way, save_to: Path | None = None) -> None:
    """Train as a recipe says and write it to `save_to`, once its images were read."""
    if recipe.output is None:
        raise SettingsError(
            "the recipe names no model file; add 'output: NAME.safetensors' to it, or"
            " give --output"
        )
    if save_to is not None:
        check_recipe_path(recipe, save_to, overwrite=way.overwrite)
    events: Generator[object, None, object] = api.training(
        **api.training_arguments(recipe), resume=way.resume, overwrite=way.overwrite
    )
    if save_to is not None:
        events = _saving(events, recipe, save_to, way)
    with exit_codes(as_json=way.as_json, hint=RESUMES):
        _train.run(events, recipe.output, as_json=way.as_json)


def save(recipe: Recipe, path: Path, overwrite: bool) -> None:
    """Write a recipe and say so."""
    api.save_recipe(recipe, path, overwrite=overwrite)
    typer.echo(f"recipe: {path}", err=True)


def segment(
    images: Sequence[Path],
    job: _job.Job,
    model: str,
    save_to: Path | None,
    *,
    as_json: bool,
) -> int:
    """Segment images, write that as a recipe if wanted; return the exit code."""
    if job.dry_run:
        return _check.of_job(images, job, as_json=as_json)
    if save_to is not None:
        save(of_job(images, job, model), save_to, job.overwrite)
    return _segment.run(images, job, as_json=as_json)


def of_job(images: Sequence[Path], job: _job.Job, model: str) -> SegmentRecipe:
    """Return what ``segment`` was asked for as a recipe."""
    kept = job.outputs
    return SegmentRecipe(
        inputs=[
            SegmentInput(image=image, axes=job.axes, channel=job.channel, mask=job.mask)
            for image in images
        ],
        model=model,
        output=job.folder,
        settings=job.settings,
        results=Results(
            kinds=kept.kinds,
            form=job.form,
            probability=kept.probability,
            ome_zarr=kept.ome_zarr,
            labels_beside=kept.labels_beside,
        ),
    )


def parse_classes(text: str | None) -> list[RecipeClass]:
    """Return the classes that ``--class-names`` names."""
    found = []
    for part in (text or "").split(","):
        value, equals, name = (word.strip() for word in part.partition("="))
        if value.isdecimal() and equals and name:
            found.append(RecipeClass(value=int(value), name=name))
        elif text is not None:
            raise SettingsError(
                f"--class-names {text}: {part.strip()!r} is not of the form VALUE=NAME;"
                " for example --class-names 1=nucleus,2=membrane"
            )
    return found


def _saving(
    events: Generator[object, None, object], recipe: TrainRecipe, path: Path, way: Way
) -> Generator[object, None, None]:
    """Hand on the events of a training, and write its recipe on the way.

    First when its images were read without an error, at the end with the settings that
    were chosen from them.
    """
    begun = False
    with closing(events):
        for event in events:
            if isinstance(event, TrainingStarted) and not begun:
                begun = True
                save(recipe, path, way.overwrite)
            elif isinstance(event, TrainingFinished):
                settings = event.record.get("settings")
                if isinstance(settings, dict):
                    done = settled(recipe, settings)
                    api.save_recipe(done, path, overwrite=True)
            yield event


def _segment_again(recipe: SegmentRecipe, way: Way) -> int:
    """Segment the images of a recipe, and return the exit code."""
    if recipe.output is None:
        raise SettingsError(
            "the recipe names no folder for its results; add 'output: FOLDER' to it, or"
            " give --output"
        )
    model, kept = api.load_model(recipe.model), recipe.results
    outputs = OutputConfig(
        kinds=result_kinds(model, recipe.settings, kept.kinds),
        probability=kept.probability,
        ome_zarr=kept.ome_zarr,
        labels_beside=kept.labels_beside,
    )
    job = _job.Job(
        model,
        recipe.settings,
        recipe.output,
        outputs,
        kept.form,
        way.overwrite,
        inputs={item.image: item for item in recipe.inputs},
    )
    return _segment.run([*job.inputs], job, as_json=way.as_json)
