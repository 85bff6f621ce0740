"""What ``segment`` does: image after image, one that fails not stopping the others."""

from __future__ import annotations

import json
import math
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import typer

from napari_unetpp import api
from napari_unetpp.cli._display import Display
from napari_unetpp.cli._exit import EXPECTED, ExitCode, exit_code, message, report
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference import (
    BlockDone,
    Finished,
    RunStarted,
    TileDone,
    resolve_device,
)
from napari_unetpp.io import (
    OutputKind,
    Result,
    as_image,
    check_outputs,
    choose_format,
    output_paths,
    stem,
    write_results,
)
from napari_unetpp.io._disk import remove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_unetpp.arrays import Image
    from napari_unetpp.config import PredictionConfig, Task
    from napari_unetpp.inference import Event, Prediction, Segmentation
    from napari_unetpp.nn import Model

KINDS: tuple[OutputKind, ...] = get_args(OutputKind)

_SMALL = 2**24
"""Pixels up to which results grow in memory, if they fit there, and not beside the
outputs."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all images of one command share."""

    model: Model
    settings: PredictionConfig
    output: Path
    kinds: tuple[OutputKind, ...]
    form: Literal["auto", "tif", "zarr"] = "auto"
    axes: str | None = None
    channel: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """An image that is done, and where its results are."""

    image: Path
    outputs: Mapping[OutputKind, Path]
    segmentation: Segmentation
    device: str
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return what --json shows."""
        return {
            "image": str(self.image),
            "outputs": {kind: str(path) for kind, path in self.outputs.items()},
            "axes": self.segmentation.axes,
            "shape": list(self.segmentation.labels.shape),
            "n_objects": self.segmentation.n_objects,
            "device": self.device,
            "seconds": round(self.seconds, 3),
        }

    def lines(self) -> list[str]:
        """Return what a person reads."""
        found = self.segmentation.n_objects
        what = "classes" if found is None else f"{found} objects"
        paths = dict.fromkeys(self.outputs.values())
        return [
            f"{self.image}: {what}, {self.seconds:.1f} s on {self.device}",
            *(f"    {path}" for path in paths),
        ]


@dataclass(frozen=True, slots=True)
class Failed:
    """An image that could not be segmented, and why."""

    image: Path
    error: Exception

    @classmethod
    def of(cls, image: Path, error: Exception) -> Failed:
        """Keep an error without the frames that it passed.

        They hold the arrays of the run, whose scratch would fill the disk, or the
        memory, while the other images are segmented.
        """
        link: BaseException | None = error
        while link is not None:
            link.__traceback__ = None
            link = link.__cause__ or link.__context__
        return cls(image, error)

    def summary(self) -> dict[str, Any]:
        """Return what --json shows."""
        return {"image": str(self.image), **report(self.error)}

    def line(self) -> str:
        """Return what a person reads: the image once, and why."""
        why = message(self.error)
        for name in (self.image, stem(self.image)):
            why = why.removeprefix(f"{name}: ")
        return f"failed: {self.image}: {why}"


def parse_kinds(
    text: str | None, model: Model, settings: PredictionConfig
) -> tuple[OutputKind, ...]:
    """Return the results that ``--save`` asks for; without it all that there are."""
    wanted = [word.strip() for word in (text or ",".join(KINDS)).split(",")]
    unknown = [word for word in wanted if word not in KINDS]
    if unknown:
        raise SettingsError(
            f"--save {text}: {', '.join(unknown)} is no result; choose of"
            f" {', '.join(KINDS)}, with commas between them"
        )
    level = settings.level or model.config.network.n_heads
    has_spread = settings.mode == "accurate" and level > 1
    if text and "uncertainty" in wanted and not has_spread:
        raise SettingsError(
            "--save uncertainty: it is the spread between heads, and only one is"
            " computed; use --mode accurate, and a level and model of several heads"
        )
    return tuple(
        kind
        for kind in KINDS
        if kind in wanted and (has_spread or kind != "uncertainty")
    )


def check_task(model: Model, task: Task | None) -> None:
    """Refuse a model that does not find what is asked for."""
    if task is not None and model.config.task != task:
        raise SettingsError(
            f"--type {task}: the model {model.config.name!r} finds"
            f" {model.config.task}; leave --type out, or choose another model"
        )


def run(images: Sequence[Path], job: Job, *, as_json: bool) -> int:
    """Segment images, print what was done, and return the exit code.

    What was done and what failed is told also where an error, or Ctrl-C, ends the run.
    """
    done: list[Segmented] = []
    failed: list[Failed] = []
    with_summary = as_json
    try:
        with Display() as display:
            for outcome in segment_images(images, job, display):
                if isinstance(outcome, Failed):
                    failed.append(outcome)
                    continue
                done.append(outcome)
                if not as_json:
                    display.result(*outcome.lines())
    except EXPECTED:
        with_summary = False  # --json shows this error, and one document only
        raise
    finally:
        for failure in failed:
            typer.echo(failure.line(), err=True)
        if with_summary:
            typer.echo(_summary(job, done, failed))
    return exit_code(failed[0].error) if failed else ExitCode.DONE


def _summary(job: Job, done: list[Segmented], failed: list[Failed]) -> str:
    """Return what --json prints."""
    summary = {
        "model": job.model.config.name,
        "results": [one.summary() for one in done],
        "failures": [one.summary() for one in failed],
    }
    return json.dumps(summary, indent=2)


def segment_images(
    images: Sequence[Path], job: Job, display: Display
) -> Iterator[Segmented | Failed]:
    """Segment images one after the other and write the results.

    Parameters
    ----------
    images : sequence of Path
        Files.
    job : Job
        Model, settings and outputs.
    display : Display
        Where progress is drawn.

    Yields
    ------
    Segmented or Failed
        For each image; those that cannot be opened come first.

    Raises
    ------
    OutputError
        Before any work, if an output exists or cannot be written.
    SettingsError
        Before any work, if two images would write to one output, an output is one of
        the images, or the model does not have the level.
    DeviceError
        Before any work, if there is no such device.
    """
    job.model.network.check_level(job.settings.level)
    resolve_device(job.settings.device)
    planned: dict[Path, dict[OutputKind, Path]] = {}
    for image in images:
        try:
            planned[image] = _plan_outputs(image, job)
        except EXPECTED as error:
            yield Failed.of(image, error)
    _refuse_clashes(planned, images)
    check_outputs(
        (path for outputs in planned.values() for path in outputs.values()),
        job.overwrite,
    )
    for image, outputs in planned.items():
        try:
            yield _segment_image(image, outputs, job, display)
        except EXPECTED as error:
            yield Failed.of(image, error)


def _plan_outputs(image: Path, job: Job) -> dict[OutputKind, Path]:
    """Return where the results of an image go, opening it but reading no pixels."""
    form = choose_format(job.form, _n_pixels(as_image(image, job.axes, job.channel)))
    return output_paths(job.output, stem(image), job.kinds, form)


def _refuse_clashes(
    planned: Mapping[Path, Mapping[OutputKind, Path]], images: Sequence[Path]
) -> None:
    """Refuse two images of one name, whose results would have one name too.

    And results in the place of an image: not even --overwrite may destroy the input.
    """
    owners: dict[Path, Path] = {}
    inputs = {image.resolve() for image in images}
    for image, outputs in planned.items():
        for path in set(outputs.values()):
            if owners.setdefault(path, image) != image:
                raise SettingsError(
                    f"{owners[path]} and {image} would both write {path}; segment them"
                    " into different folders"
                )
            if path.resolve() in inputs:
                raise SettingsError(
                    f"{path} is one of the images, and the results of {image} would"
                    " replace it; choose another folder for the results"
                )


def _segment_image(
    path: Path, outputs: Mapping[OutputKind, Path], job: Job, display: Display
) -> Segmented:
    """Segment one image and write its results."""
    start = time.monotonic()
    image = as_image(path, job.axes, job.channel)
    events = api.segmenting(
        image,
        job.model,
        job.settings,
        store=None if _n_pixels(image) <= _SMALL else job.output,
        heads="heads" in outputs or "uncertainty" in outputs,
    )
    with closing(events):
        for event in events:
            _show(event, path.name, display)
            if isinstance(event, RunStarted):
                device = event.device
            elif isinstance(event, Finished):
                segmentation = cast("Segmentation", event.result)
    display.start(f"{path.name}: write", "file")
    _write(segmentation, outputs, job.overwrite)
    seconds = time.monotonic() - start
    return Segmented(path, outputs, segmentation, device, seconds)


def _show(event: Event, name: str, display: Display) -> None:
    """Draw one event."""
    if isinstance(event, RunStarted):
        core = " x ".join(map(str, event.core))
        tiles = "1 tile" if event.n_tiles == 1 else f"{event.n_tiles} tiles"
        display.say(f"{name}: {tiles} of {core} on {event.device}")
        display.start(f"{name}: predict", "tile", event.n_tiles)
    elif isinstance(event, TileDone):
        display.advance_to(event.n_done, event.n_tiles)
    elif isinstance(event, BlockDone):
        if event.n_done == 1:
            display.start(f"{name}: {event.stage}", "block", event.n_tiles)
        display.advance_to(event.n_done, event.n_tiles)


def _write(
    segmentation: Segmentation, outputs: Mapping[OutputKind, Path], overwrite: bool
) -> None:
    """Write all results of an image, or none."""
    new = {path for path in outputs.values() if not path.exists()}
    try:
        write_results(_results(segmentation, outputs), outputs, overwrite)
        new.clear()
    finally:
        for path in new:
            remove(path)


def _results(
    segmentation: Segmentation, kinds: Mapping[OutputKind, Path]
) -> list[Result]:
    """Return what is written, for the kinds asked for."""
    prediction = segmentation.prediction
    results = [_result("labels", segmentation.labels, prediction)]
    if len(prediction.class_names) > 1 and segmentation.n_objects is None:
        names = prediction.class_names
        results.append(_result("mean", prediction.mean, prediction, names))  # (K, ...)
        results.append(_result("heads", prediction.heads, prediction, names))
    else:
        heads, names = prediction.head_foreground, prediction.head_names  # (H, ...)
        results.append(_result("mean", prediction.foreground, prediction))  # (...)
        results.append(_result("heads", heads, prediction, names))
    if prediction.uncertainty is not None:
        results.append(_result("uncertainty", prediction.uncertainty, prediction))
    return [result for result in results if result.kind in kinds]


def _result(
    kind: OutputKind,
    data: Any,
    prediction: Prediction,
    channel_names: tuple[str, ...] = (),
) -> Result:
    """Describe one array: its leading axes are heads and classes (H, C), or either."""
    n_leading = data.ndim - len(prediction.axes)
    return Result(
        kind=kind,
        data=data,
        axes=("", "C", "HC")[n_leading] + prediction.axes,
        scale=(1.0,) * n_leading + prediction.scale,
        units=("pixel",) * n_leading + prediction.units,
        translate=(0.0,) * n_leading + prediction.translate,
        channel_names=channel_names,
    )


def _n_pixels(image: Image) -> int:
    """Return the pixels of a result: all but the channels'."""
    sizes = zip(image.axes, image.data.shape, strict=True)
    return math.prod(size for axis, size in sizes if axis != "C")
