"""What is told before a run: what it will take, and whether its tiles would show."""

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetpp.cli import _options as opt
from napari_unetpp.cli._exit import (
    EXIT_CODES,
    EXPECTED,
    ExitCode,
    exit_code,
    exit_codes,
    message,
)
from napari_unetpp.config import PredictionConfig

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_unetpp.cli._job import Job
    from napari_unetpp.inference import JobRequest, Preflight

_Image = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="The image on which it is tried.")
]


def seams(
    image: _Image,
    model: opt.ModelName = "nuclei",
    mode: opt.RunMode = "accurate",
    level: opt.Level = None,
    axes: opt.Axes = None,
    channel: opt.Channel = None,
    device: opt.Device = "auto",
    nonfinite: opt.OnNonfinite = "error",
    tta: opt.Tta = False,
    as_json: opt.AsJson = False,
) -> None:
    """Check on your own image whether tiles show in the result.

    The middle of the image is predicted twice, on two grids of tiles whose borders lie
    at different places; the largest difference is told. The exit code is 1 if it is
    more than rounding.
    """
    with exit_codes(as_json=as_json):
        settings = PredictionConfig(
            mode=mode, level=level, device=device, nonfinite=nonfinite, tta=tta
        )
        from napari_unetpp import api

        found = _watched(
            api.checking_seams(image, model, settings, axes=axes, channel=channel),
            f"{image.name}: check",
        )
        told = asdict(found) | {"passed": found.passed}
        typer.echo(json.dumps(told, indent=2) if as_json else f"{image}: {found.text}")
    raise typer.Exit(ExitCode.DONE if found.passed else ExitCode.UNEXPECTED)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog=EXIT_CODES)(seams)


def of_image(
    image: Path, model: str | None, device: str, memory: str | None, *, as_json: bool
) -> str:
    """Return what ``info --image`` tells of the run of an image."""
    from napari_unetpp import api

    settings = PredictionConfig(device=device, memory=memory)
    model = model or api.DEFAULT_MODEL
    run = api.preflighting(image, model, settings)
    found = _watched(run, f"{image.name}: try")
    if as_json:
        return json.dumps(_values(image, found), indent=2)
    return "\n".join(_lines(image, found))


def of_result(path: str, *, as_json: bool) -> str | None:
    """Return what a result tells of where it comes from; ``None`` if it is none."""
    place = Path(path)
    if not place.exists() or place.suffix not in (".tif", ".zarr"):
        return None
    from napari_unetpp.errors import ImageError
    from napari_unetpp.io import read_provenance

    found = read_provenance(place)
    if not found:
        raise ImageError(
            f"{path} does not tell what made it; only results of napari-unetpp do"
        )
    if as_json:
        return json.dumps({"result": path, **found}, indent=2)
    made = [f"    {name}: {words}" for name, words in found.get("made", {}).items()]
    who = f"{path}: by {found.get('model')}, napari-unetpp {found.get('version')}"
    return "\n".join([who, *made])


def of_job(images: "Sequence[Path]", job: "Job", *, as_json: bool) -> int:
    """Tell what the runs of a job would take, and return the exit code."""
    found: list[dict[str, Any]] = []
    errors: list[Exception] = []
    for image in images:
        try:
            one = _of_request(job.request(image))
        except EXPECTED as error:
            errors.append(error)
            typer.echo(f"failed: {image}: {message(error)}", err=True)
            continue
        found.append(_values(image, one))
        if not as_json:
            typer.echo("\n".join(_lines(image, one)))
    if as_json:
        typer.echo(json.dumps({"preflight": found}, indent=2))
    return exit_code(errors[0]) if errors else ExitCode.DONE


def _of_request(request: "JobRequest") -> "Preflight":
    """Return what a run would take; refuse what it would refuse."""
    from napari_unetpp.inference import check_outputs_of, preflight

    check_outputs_of(request)
    run = preflight(request.image, request.model, request.settings, "")
    found: Preflight = _watched(run, f"{request.image.name}: try")
    return found


def _lines(image: Path, found: "Preflight") -> list[str]:
    return [f"{image}:", *(f"    {line}" for line in found.lines)]


def _values(image: Path, found: "Preflight") -> dict[str, Any]:
    return {"image": str(image), **asdict(found), "fits": found.fits}


def _watched(run: "Generator[Any, None, Any]", what: str) -> Any:
    """Return what a run returns, with a bar while it goes on."""
    from napari_unetpp.cli._display import Display

    with Display() as display, closing(run):
        display.start(what, "tile")
        while True:
            try:
                event = next(run)
            except StopIteration as end:
                return end.value
            done, n_all = (getattr(event, name, 0) for name in ("n_done", "n_tiles"))
            display.advance_to(done, n_all or 1)
