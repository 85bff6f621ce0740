"""Recipes: a training or a segmentation done again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_unetpp._recipe import (
    SegmentRecipe,
    TrainRecipe,
    input_paths,
    located,
    settled,
)
from napari_unetpp.api._models import load_model
from napari_unetpp.api._recipe_header import recipe_header
from napari_unetpp.api._recipe_inputs import open_mask, open_training_input
from napari_unetpp.api._segment_to import segmenting_to
from napari_unetpp.api._train import training
from napari_unetpp.config import wrong_settings
from napari_unetpp.errors import RecipeError, SettingsError
from napari_unetpp.inference import result_of
from napari_unetpp.io import load_recipe, stem

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._recipe import Recipe
    from napari_unetpp.inference import SavedSegmentation
    from napari_unetpp.nn import Model

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RecipeResult:
    """What came of a recipe.

    Attributes
    ----------
    outputs : tuple of Path
        Files and folders that were written.
    model : Model or None
        Of a training.
    segmentations : tuple of SavedSegmentation
        Of a segmentation, one for each image.
    """

    outputs: tuple[Path, ...]
    model: Model | None = None
    segmentations: tuple[SavedSegmentation, ...] = ()


def running(
    recipe: str | Path | Recipe,
    *,
    output: str | Path | None = None,
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Generator[Any, None, RecipeResult]:
    """Do what a recipe says, telling what happens; closing the generator stops.

    Parameters
    ----------
    recipe : str, Path or Recipe
        The file of a recipe, or a recipe.
    output : str or Path, optional
        Model file, or folder for results, in place of the recipe's.
    device : str, optional
        Device in place of the recipe's.
    resume : bool
        Go on with an unfinished training; segmentations do by themselves.
    overwrite : bool
        Replace results that are there.

    Yields
    ------
    TrainingEvent or Event
        As `training` does, or as `segmenting_to` for one image after the other.

    Raises
    ------
    RecipeError
        If the recipe cannot be read, or inputs that it names are not there.
    InputError, TrainingError, ModelFileError, DeviceError, OutputError
        As in `training` and `segmenting_to`.
    """
    asked = prepared(recipe, output=output, device=device)
    if isinstance(asked, TrainRecipe):
        model = yield from training(
            **training_arguments(asked), resume=resume, overwrite=overwrite
        )
        return RecipeResult(() if asked.output is None else (asked.output,), model)
    done = []
    for arguments in _segmentations(asked):
        saved = yield from segmenting_to(**arguments, overwrite=overwrite)
        done.append(saved)
    outputs = dict.fromkeys(path for saved in done for path in saved.outputs.values())
    return RecipeResult(tuple(outputs), segmentations=tuple(done))


def run_recipe(
    recipe: str | Path | Recipe,
    *,
    output: str | Path | None = None,
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> RecipeResult:
    """Do what a recipe says, as `running` does, without telling what happens.

    Parameters
    ----------
    recipe, output, device, resume, overwrite
        As in `running`.

    Returns
    -------
    RecipeResult
        What was written, and the model or what was found.

    Raises
    ------
    RecipeError, InputError, TrainingError, ModelFileError, DeviceError, OutputError
        As in `running`.

    Examples
    --------
    >>> import tempfile, napari_unetpp
    >>> from pathlib import Path
    >>> from skimage.data import immunohistochemistry
    >>> from skimage.io import imsave
    >>> recipe = '''
    ... recipe: segment
    ... inputs:
    ... - image: tissue.png
    ... output: results
    ... results:
    ...   kinds: [labels]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     imsave(f"{folder}/tissue.png", immunohistochemistry()[:128, :160])
    ...     _ = Path(folder, "tissue.yaml").write_text(recipe)
    ...     done = napari_unetpp.run_recipe(f"{folder}/tissue.yaml")
    >>> done.outputs[0].name
    'tissue_labels.tif'
    """
    return result_of(
        running(
            recipe, output=output, device=device, resume=resume, overwrite=overwrite
        )
    )


def prepared(
    recipe: str | Path | Recipe,
    *,
    output: str | Path | None = None,
    device: str | None = None,
) -> Recipe:
    """Return a recipe with what is wanted in another way, its inputs all there.

    Parameters
    ----------
    recipe, output, device
        As in `running`.

    Raises
    ------
    RecipeError
        If it cannot be read, or files that it names are not there.
    """
    asked = load_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    gone = [path for path in dict.fromkeys(input_paths(asked)) if not path.exists()]
    if gone:
        names = "\n".join(f"    {path}" for path in gone[:_SHOWN])
        more = f"\n    and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
        where = recipe if isinstance(recipe, (str, Path)) else "the recipe"
        raise RecipeError(
            f"{where}: {len(gone)} of its files are not there; a recipe is sent"
            " together with its images and labels, whose paths are relative to it:"
            f"\n{names}{more}"
        )
    changes: dict[str, Any] = {} if output is None else {"output": Path(output)}
    if device is not None and isinstance(asked, TrainRecipe):
        changes["device"] = device
    elif device is not None:
        changes["settings"] = asked.settings.model_copy(update={"device": device})
    return asked.model_copy(update=changes)


def training_arguments(recipe: TrainRecipe) -> dict[str, Any]:
    """Return what `training` takes to do what a recipe says.

    Parameters
    ----------
    recipe : TrainRecipe
        With paths that are right from the working directory.

    Returns
    -------
    dict
        All but ``resume``, ``overwrite``, ``control`` and ``focus``; images and labels
        are opened, not read.

    Raises
    ------
    ImageError, AxesError, LabelsError
        If a file is missing, damaged or does not suit.
    """
    images, labels = zip(*map(open_training_input, recipe.inputs), strict=True)
    return {
        "images": images,
        "labels": labels,
        "base": recipe.base,
        "task": recipe.task,
        "unlabelled": recipe.unlabelled,
        "size": recipe.size,
        "spatial_dims": recipe.spatial_dims,
        "settings": recipe.settings,
        "nonfinite": recipe.nonfinite,
        "device": recipe.device,
        "output": recipe.output,
        "class_names": recipe.class_names or None,
        "class_colours": recipe.class_colours or None,
        "recipe": recipe_header(recipe, recipe.output),
    }


def model_recipe(model: str | Path | Model) -> TrainRecipe:
    """Return the recipe that made a model, out of its header.

    Parameters
    ----------
    model : str, Path or Model
        As in `load_model`. Of a model file, paths are taken relative to it.

    Returns
    -------
    TrainRecipe
        Patch and batch are those that the training was done with.

    Raises
    ------
    RecipeError
        If the model has no recipe, or one that cannot be read.
    ModelFileError
        As in `load_model`.
    """
    record = load_model(model).config.training
    header, settings = record.get("recipe"), record.get("settings")
    if not header:
        raise RecipeError(
            f"{_name(model)} has no recipe in its header; models have one that were"
            " trained on files or layers, not on arrays alone"
        )
    try:
        recipe = TrainRecipe.model_validate(header)
    except ValidationError as error:
        raise RecipeError(
            f"{_name(model)}: the recipe in its header cannot be read"
            f" ({wrong_settings(error, '; ')}); upgrade napari-unetpp"
        ) from error
    if isinstance(settings, dict):
        recipe = settled(recipe, settings)
    if isinstance(model, (str, Path)):
        found = located(recipe, Path(model).parent)
        return found if isinstance(found, TrainRecipe) else recipe
    return recipe


def _segmentations(recipe: SegmentRecipe) -> list[dict[str, Any]]:
    """Return what `segmenting_to` takes, for each image."""
    if recipe.output is None:
        raise SettingsError(
            "the recipe names no folder for its results; add 'output: FOLDER' to it, or"
            " give one (output=, --output)"
        )
    names = [stem(item.image) for item in recipe.inputs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(
            f"two images of the recipe are called {twice}, and would write the same"
            " results; segment them by two recipes into different folders"
        )
    kept = recipe.results
    return [
        {
            "image": item.image,
            "output": recipe.output,
            "model": recipe.model,
            "settings": recipe.settings,
            "save": kept.kinds,
            "form": kept.form,
            "axes": item.axes,
            "channel": item.channel,
            "mask": open_mask(item),
            "probability": kept.probability,
            "ome_zarr": kept.ome_zarr,
            "labels_beside": kept.labels_beside,
        }
        for item in recipe.inputs
    ]


def _name(model: str | Path | Model) -> str:
    return str(model) if isinstance(model, (str, Path)) else model.config.name
