"""Models out to other programs, and in from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.errors import ModelFileError, OutputError
from napari_unetpp.io import (
    EXPORT_SUFFIXES,
    PackageInfo,
    bundled_models,
    check_export,
    check_model_path,
    export_package,
    export_program,
    import_package,
    load_model_file,
    model_card,
    models_folder,
    save_model,
)
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.config import Task
    from napari_unetpp.io import Exported, ExportFormat

_OURS = (("The napari-unetpp developers",), "BSD-3-Clause")
"""Who made the bundled models, and under which licence they come."""

_MODEL_FILE = ".safetensors"
_PACKAGES = (".zip", ".yaml", ".yml")


def export_model(
    model: str | Path | Model = DEFAULT_MODEL,
    output: str | Path = "model.zip",
    form: ExportFormat | None = None,
    *,
    authors: Sequence[str] = (),
    licence: str = "",
    overwrite: bool = False,
) -> Exported:
    """Write a model for other programs.

    Parameters
    ----------
    model : str, Path or Model
        Name of a bundled model, a model file, or a loaded model.
    output : str or Path
        File to make.
    form : {"bioimageio", "onnx", "torchscript", "torch-export"}, optional
        What to write; by the ending of `output` if it is not given (``.zip``,
        ``.onnx``, ``.pt``, ``.pt2``).
    authors : sequence of str
        Who made the model, for a bioimage.io package.
    licence : str
        SPDX identifier such as ``"CC-BY-4.0"``, for a bioimage.io package.
    overwrite : bool
        Replace a file that is already there.

    Returns
    -------
    Exported
        The file, and how far its answers are from those of the network.

    Raises
    ------
    OutputExistsError, OutputError
        If the file exists or cannot be written.
    SettingsError
        If a package that the format needs is not installed.
    ModelFileError
        If there is no such model.

    Examples
    --------
    >>> import napari_unetpp, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> done = napari_unetpp.export_model("nuclei-fast", f"{folder}/nuclei.pt")
    >>> done.form, done.difference < 1e-4
    ('torchscript', True)
    """
    output = Path(output)
    form = form or _form_of(output)
    output = check_export(output, form, overwrite=overwrite)
    loaded = load_model(model)
    if form != "bioimageio":
        return export_program(loaded, output, form)
    card = ""
    if not isinstance(model, Model):
        path = bundled_models().get(str(model))
        card = model_card(path or model)
        if path is not None:
            authors, licence = tuple(authors) or _OURS[0], licence or _OURS[1]
    return export_package(loaded, output, PackageInfo(tuple(authors), licence, card))


def _form_of(output: Path) -> ExportFormat:
    for form, suffix in EXPORT_SUFFIXES.items():
        if output.suffix == suffix:
            return form
    known = ", ".join(f"{suffix} ({form})" for form, suffix in EXPORT_SUFFIXES.items())
    raise OutputError(
        f"{output}: its ending names no format; end it in one of {known}, or give the"
        " format"
    )


def import_model(
    source: str | Path,
    output: str | Path | None = None,
    *,
    task: Task | None = None,
    overwrite: bool = False,
) -> Path:
    """Take over a model from a bioimage.io package, or a copy of a model file.

    Parameters
    ----------
    source : str or Path
        A package of bioimage.io (a ZIP file or a folder; from here or from others), or
        a ``.safetensors`` file of ours.
    output : str or Path, optional
        Model file to make; by default one in the folder of the user's models, called
        as the source is.
    task : {"instances", "classes"}, optional
        What a model of others finds, where its package does not make it clear.
    overwrite : bool
        Replace a file that is already there.

    Returns
    -------
    Path
        The model file, which all verbs take.

    Raises
    ------
    ModelFileError
        If it is no model that can be run here; the message says why.
    OutputExistsError, OutputError
        If the model file exists or cannot be written.

    Examples
    --------
    >>> import napari_unetpp, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> file = napari_unetpp.list_models()[0].path
    >>> napari_unetpp.import_model(file, f"{folder}/mine.safetensors").name
    'mine.safetensors'
    """
    source = Path(source)
    if output is None:
        folder = models_folder()
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / f"{import_name(source)}{_MODEL_FILE}"
    output = check_model_path(output, overwrite=overwrite)
    if source.suffix == _MODEL_FILE:
        return save_model(load_model_file(source), output, overwrite=overwrite)
    if not source.exists():
        raise ModelFileError(f"{source}: there is no such file or folder")
    if source.is_file() and source.suffix not in _PACKAGES:
        raise ModelFileError(
            f"{source}: neither a bioimage.io package (.zip) nor a model file"
            f" ({_MODEL_FILE}); a program alone does not say how its pixels are scaled:"
            " pack it with bioimageio"
        )
    return save_model(import_package(source, task), output, overwrite=overwrite)


def import_name(source: Path) -> str:
    """Return what an imported model is called unless told otherwise."""
    if source.suffix in (".yaml", ".yml"):
        source = source.parent
    name = source.name.removesuffix(".zip").removesuffix(_MODEL_FILE)
    return name.removesuffix(".bioimageio") or "imported"
