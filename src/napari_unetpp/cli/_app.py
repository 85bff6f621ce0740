"""The commands: options in, the work of the other modules, results out.

What takes long to import (torch, dask, scikit-image) is imported inside the commands,
so that ``--help`` and mistakes in the options are answered at once.
"""

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from napari_unetpp._image_files import expand
from napari_unetpp.cli import _check, _export
from napari_unetpp.cli import _options as opt
from napari_unetpp.cli._exit import EXIT_CODES, GOES_ON, exit_codes, terminable
from napari_unetpp.cli._help import METRICS, RESULTS
from napari_unetpp.cli._paths import (
    check_new,
    pair,
    repeat_options,
    share_out,
)
from napari_unetpp.config import (
    PredictionConfig,
    TrainingConfig,
)

_ABOUT = "Segment microscopy images of any size with UNet++, and train it on yours."

app = typer.Typer(
    help=_ABOUT,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help appears in half the time
    pretty_exceptions_enable=False,
)


class _PairedFiles(TyperCommand):
    """A command that takes several files after one ``--images`` or ``--labels``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, repeat_options(args, ("--images", "--labels")))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the program with an exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands behind the name of the program; that of this process by default.
    """
    with terminable():
        app(args=arguments, prog_name="napari-unetpp")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("napari-unetpp"))
        raise typer.Exit


@app.callback(epilog=EXIT_CODES)
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Segment microscopy images of any size with UNet++, and train it on yours."""


@app.command(epilog=f"{RESULTS}\n\n{EXIT_CODES}")
def segment(
    images: opt.Images,
    output: opt.OutputFolder,
    model: opt.ModelName = "nuclei",
    task: opt.ModelTask = None,
    save: opt.Save = None,
    mode: opt.RunMode = "accurate",
    level: opt.Level = None,
    axes: opt.Axes = None,
    channel: opt.Channel = None,
    device: opt.Device = "auto",
    diameter: opt.Diameter = None,
    tile: opt.TileEdge = None,
    batch: opt.Batch = 1,
    memory: opt.Memory = None,
    mask: opt.MaskFile = None,
    nonfinite: opt.OnNonfinite = "error",
    skip_bad: opt.SkipBad = False,
    link: opt.Link = False,
    tta: opt.Tta = False,
    precision: opt.Precision = "auto",
    adaptive: opt.Adaptive = None,
    form: opt.Format = "auto",
    probabilities: opt.Probabilities = "uint8",
    ome_zarr: opt.OmeZarr = "0.5",
    labels_beside: opt.LabelsBeside = False,
    workers: opt.NumberOfWorkers = 1,
    scheduler: opt.Scheduler = None,
    shard: opt.Shard = None,
    save_recipe: opt.SaveRecipe = None,
    dry_run: opt.DryRun = False,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
) -> None:
    """Find objects or classes in images and write them to files.

    An image that fails does not stop the others: failures are listed at the end, and
    the exit code is that of the first. A run that was stopped, or killed, goes on where
    it was when the same command is given again; what is up to date is not done again.
    """
    with exit_codes(as_json=as_json, hint=GOES_ON):
        files = expand(images)
        settings = PredictionConfig(
            mode=mode,
            level=level,
            device=device,
            diameter=diameter,
            tile=tile,
            batch=batch,
            memory=memory,
            nonfinite=nonfinite,
            skip_bad=skip_bad,
            link=link,
            tta=tta,
            precision=precision,
            adaptive=adaptive,
        )
        way = share_out(workers, scheduler, shard)
        from napari_unetpp.cli import _job, _recipe

        loaded = _job.load(model, task)
        kept = _job.keep(save, loaded, settings, probabilities, ome_zarr, labels_beside)
        how = (kept, form, overwrite, way, axes, channel, mask, dry_run)
        job = _job.Job(loaded, settings, output, *how)
        code = _recipe.segment(files, job, model, save_recipe, as_json=as_json)
    raise typer.Exit(code)


@app.command(cls=_PairedFiles, epilog=EXIT_CODES)
def train(
    images: opt.ImageFiles,
    labels: opt.LabelFiles,
    output: opt.NewModel,
    base: opt.Base = "none",
    task: opt.TrainedTask = "instances",
    unlabelled: opt.Unlabelled = None,
    size: opt.Size = "base",
    epochs: opt.Epochs = None,
    minutes: opt.Minutes = None,
    seed: opt.Seed = 0,
    axes: opt.Axes = None,
    channel: opt.Channel = None,
    nonfinite: opt.OnNonfinite = "error",
    device: opt.Device = "auto",
    class_names: opt.ClassNames = None,
    save_recipe: opt.SaveRecipe = None,
    resume: opt.Resume = False,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
) -> None:
    """Train a model on labelled images.

    Ctrl-C stops it; what was saved up to then can be gone on with by --resume. What is
    set here seldom (patches, learning rate, augmentation, ...) stands in a recipe.
    """
    with exit_codes(as_json=as_json):
        files, truths = expand(images), expand(labels)
        pair(files, truths)
        from napari_unetpp import api
        from napari_unetpp._recipe import TrainInput, TrainRecipe
        from napari_unetpp.cli import _recipe

        if epochs is None and minutes is None:
            minutes = api.DEFAULT_MINUTES
        asked = TrainRecipe(
            inputs=[
                TrainInput(image=image, labels=truth, axes=axes, channel=channel)
                for image, truth in zip(files, truths, strict=True)
            ],
            task=task,
            unlabelled=unlabelled,
            classes=_recipe.parse_classes(class_names),
            base=None if base == "none" else base,
            size=size,
            nonfinite=nonfinite,
            device=device,
            output=output,
            settings=TrainingConfig(epochs=epochs, minutes=minutes, seed=seed),
        )
        way = _recipe.Way(resume, overwrite, as_json)
        _recipe.train(asked, way, save_recipe)


@app.command(epilog=EXIT_CODES)
def run(
    recipe: opt.RecipeFile,
    output: opt.RecipeOutput = None,
    device: opt.RecipeDevice = None,
    resume: opt.Resume = False,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
) -> None:
    """Do again what a recipe says: a training or a segmentation.

    Recipes are written by --save-recipe, by the panels of napari, or by hand; the model
    that a training made holds its recipe too (info MODEL --recipe). Paths in a recipe
    are relative to it.
    """
    with exit_codes(as_json=as_json):
        from napari_unetpp.cli import _recipe

        way = _recipe.Way(resume, overwrite, as_json)
        code = _recipe.run(recipe, way, output=output, device=device)
    raise typer.Exit(code)


@app.command(cls=_PairedFiles, epilog=f"{METRICS}\n\n{EXIT_CODES}")
def evaluate(
    images: opt.ImageFiles,
    labels: opt.LabelFiles,
    model: opt.ModelName = "nuclei",
    unlabelled: opt.Unlabelled = None,
    level: opt.Level = None,
    axes: opt.Axes = None,
    channel: opt.Channel = None,
    device: opt.Device = "auto",
    diameter: opt.Diameter = None,
    tile: opt.TileEdge = None,
    batch: opt.Batch = 1,
    nonfinite: opt.OnNonfinite = "error",
    link: opt.Link = False,
    tta: opt.Tta = False,
    precision: opt.Precision = "auto",
    boundary_tolerance: opt.BoundaryTolerance = 2.0,
    json_file: opt.JsonFile = None,
    csv_file: opt.CsvFile = None,
    pictures: opt.Pictures = None,
    worst: opt.Worst = 5,
    overwrite: opt.Overwrite = False,
) -> None:
    """Score a model, and each of its heads, on labelled images.

    What is wrong with the worst images is shown by --pictures: objects missed, false,
    split, merged or with a wrong outline, and pixels of a wrong class.
    """
    with exit_codes(as_json=json_file == opt.STDOUT):
        files, truths = expand(images), expand(labels)
        pair(files, truths)
        check_new(json_file, overwrite)
        check_new(csv_file, overwrite)
        settings = PredictionConfig(
            level=level,
            device=device,
            diameter=diameter,
            tile=tile,
            batch=batch,
            nonfinite=nonfinite,
            link=link,
            tta=tta,
            precision=precision,
        )
        from napari_unetpp import api
        from napari_unetpp.cli import _evaluate as work

        job = work.Job(
            api.load_model(model),
            settings,
            axes,
            channel,
            unlabelled,
            tolerance=boundary_tolerance,
            worst=worst,
            csv=csv_file,
            pictures=pictures,
            overwrite=overwrite,
        )
        work.run(files, truths, job, json_file)


@app.command(epilog=EXIT_CODES)
def info(
    model: opt.InfoModel = None,
    recipe: opt.ShowRecipe = False,
    image: opt.InfoImage = None,
    device: opt.Device = "auto",
    memory: opt.Memory = None,
    as_json: opt.AsJson = False,
) -> None:
    """Show versions, devices, models, and what is wrong here; or tell of one model.

    Of a result: which model, settings and version made it. With --image: what the
    segmentation of an image by the model will take, before it starts.
    """
    with exit_codes(as_json=as_json):
        if image is not None:
            found = _check.of_image(image, model, device, memory, as_json=as_json)
            typer.echo(found)
            return
        if model and (told := _check.of_result(model, as_json=as_json)):
            typer.echo(told)
            return
        if recipe or model is not None:
            from napari_unetpp.cli import _model_info

            typer.echo(_model_info.told(model, recipe=recipe, as_json=as_json))
            return
        from napari_unetpp.cli._info import gather, lines

        all_told = gather()
        text = "\n".join(lines(all_told))
        typer.echo(json.dumps(all_told, indent=2) if as_json else text)


@app.command(epilog=EXIT_CODES)
def demo(
    output: opt.DemoFolder = Path("napari-unetpp-demo"),
    model: opt.ModelName = "nuclei",
    device: opt.Device = "auto",
    as_json: opt.AsJson = False,
) -> None:
    """Segment two images that come with the package.

    A stained tissue and a generated stack; writes labels, probabilities of every head,
    uncertainty, and a picture of them side by side, and scores the stack. Files of an
    earlier demo in the folder are replaced.
    """
    with exit_codes(as_json=as_json):
        from napari_unetpp import api
        from napari_unetpp.cli import _demo, _job

        settings = PredictionConfig(device=device, link=True)
        network = api.load_model(model)
        kept = _job.keep(None, network, settings)
        job = _job.Job(network, settings, output, kept, "tif", overwrite=True)
        _demo.run(job, as_json=as_json)


_check.add_to(app)
_export.add_to(app)
