"""The commands about models: which there are, in from others, out to others."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_unetpp.cli import _options as opt
from napari_unetpp.cli._exit import EXIT_CODES, exit_codes
from napari_unetpp.config import Task

if TYPE_CHECKING:
    from napari_unetpp.io import ModelEntry

Format = Literal["bioimageio", "onnx", "torchscript", "torch-export"]

_Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Bundled model, or model file.")
]
_Form = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="What to write; by the ending of --output (.zip, .onnx, .pt, .pt2) if it"
        " is not given.",
        show_default=False,
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to make; by default one here, called as the model is.",
        show_default=False,
    ),
]
_Authors = Annotated[
    list[str] | None,
    typer.Option(
        "--author",
        help="Who made the model, for bioimageio; several may be given.",
        show_default=False,
    ),
]
_Licence = Annotated[
    str,
    typer.Option(
        "--license",
        metavar="SPDX",
        help="Licence of the model, for bioimageio, such as CC-BY-4.0.",
        show_default=False,
    ),
]
_Source = Annotated[
    Path,
    typer.Argument(
        metavar="PACKAGE",
        help="Package of bioimage.io (a ZIP file or a folder), or a model file.",
        show_default=False,
    ),
]
_NewModel = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Model file to make (.safetensors); by default one in the folder of your"
        " models.",
        show_default=False,
    ),
]
_Task = Annotated[
    Task | None,
    typer.Option(
        "--type",
        help="What a model of others finds, where its package does not make it clear.",
        show_default=False,
    ),
]
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="FOLDER",
        help="Folder of your models; by default napari-unetpp/models at home.",
        show_default=False,
    ),
]


def export(
    model: _Model,
    form: _Form = None,
    output: _Output = None,
    author: _Authors = None,
    licence: _Licence = "",
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
) -> None:
    """Write a model for other programs: bioimage.io, ONNX, TorchScript, torch.export.

    What is written is run once and compared with the network. Programs but the package
    take pixels whose intensities are mapped already (info MODEL tells how).
    """
    with exit_codes(as_json=as_json):
        from napari_unetpp import api
        from napari_unetpp.io import EXPORT_SUFFIXES

        if output is None:
            suffix = EXPORT_SUFFIXES[form or "bioimageio"]
            output = Path(Path(model).name.removesuffix(".safetensors") + suffix)
        done = api.export_model(
            model,
            output,
            form,
            authors=author or (),
            licence=licence,
            overwrite=overwrite,
        )
        found = {
            "path": str(done.path),
            "format": done.form,
            "n_bytes": done.path.stat().st_size,
            "difference": done.difference,
        }
        typer.echo(json.dumps(found, indent=2) if as_json else _exported(found))


def _exported(found: dict[str, Any]) -> str:
    """Return what was written, as a person reads it."""
    text = f"{found['path']}: {found['format']}, {found['n_bytes'] / 1e6:.1f} MB"
    if found["difference"] is None:
        return f"{text}; not compared with the network (onnxruntime is not installed)"
    return f"{text}; differs from the network by at most {found['difference']:.1g}"


def import_(
    source: _Source,
    output: _NewModel = None,
    task: _Task = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.AsJson = False,
) -> None:
    """Take over a model: a package of bioimage.io, or a copy of a model file.

    Packages from here come back as they were. Of others the program in them is taken
    (TorchScript or ONNX) and tried on the pixels that come with it.
    """
    with exit_codes(as_json=as_json):
        from napari_unetpp import api
        from napari_unetpp.cli import _model_info

        path = api.import_model(source, output, task=task, overwrite=overwrite)
        if as_json:
            typer.echo(json.dumps({"path": str(path)}, indent=2))
            return
        typer.echo(_model_info.told(str(path), recipe=False, as_json=False))
        typer.echo(f"imported: --model {path}")


def models(folder: _Folder = None, as_json: opt.AsJson = False) -> None:
    """List the models at hand: bundled, trained and imported."""
    with exit_codes(as_json=as_json):
        from napari_unetpp.io import list_models

        found = [_row(entry) for entry in list_models(folder)]
        if as_json:
            typer.echo(json.dumps(found, indent=2))
            return
        for row in found:
            typer.echo(
                f"{row['name']}: {row['origin']}, {row['problem'] or row['finds']}"
            )
            if row["description"]:
                typer.echo(f"    {row['description']}")


def _row(entry: "ModelEntry") -> dict[str, Any]:
    """Return what is told of a model in a list."""
    config = entry.config
    finds = "" if config is None else f"{config.network.spatial_dims}-D {config.task}"
    return {
        "name": entry.name,
        "model": entry.model,
        "origin": entry.origin,
        "finds": finds,
        "description": "" if config is None else config.description,
        "n_bytes": entry.n_bytes,
        "problem": entry.problem,
    }


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog=EXIT_CODES)(export)
    app.command("import", epilog=EXIT_CODES)(import_)
    app.command(epilog=EXIT_CODES)(models)
