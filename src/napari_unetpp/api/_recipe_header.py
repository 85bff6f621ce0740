"""The recipe that a model carries in its header."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from napari_unetpp._recipe import (
    RecipeClass,
    TrainInput,
    TrainRecipe,
    located,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from napari_unetpp._recipe import Recipe
    from napari_unetpp.config import Nonfinite, Task, TrainingConfig
    from napari_unetpp.training import Size


def recipe_header(recipe: Recipe, model: str | Path | None) -> dict[str, JsonValue]:
    """Return a recipe as the header of a model file keeps it.

    Parameters
    ----------
    recipe : Recipe
        What the model is made by.
    model : str, Path or None
        The model file, relative to which paths are kept; ``None`` keeps them absolute.
    """
    if model is None:
        return plain(located(recipe, Path()))
    return plain(recipe, Path(model).parent)


def recipe_of_files(
    images: Sequence[object],
    labels: Sequence[object],
    *,
    base: object,
    task: Task,
    unlabelled: int | None,
    size: Size,
    spatial_dims: Literal[2, 3] | None,
    settings: TrainingConfig,
    axes: str | None,
    channel: int | None,
    nonfinite: Nonfinite,
    device: str,
    output: str | Path | None,
    class_names: Mapping[int, str],
    class_colours: Mapping[int, str],
) -> dict[str, JsonValue] | None:
    """Return the recipe of a training whose inputs are all files, for its model.

    ``None`` if one of them is an array, a layer or a loaded model: there would be
    nothing to do it again from. So it is with arguments that the training refuses.

    Parameters
    ----------
    images, labels, base, task, unlabelled, size, spatial_dims, settings, axes, \
    channel, nonfinite, device, output, class_names, class_colours
        As in `training`.
    """
    files = [*images, *labels, *([] if base is None else [base])]
    if len(images) != len(labels) or not all(isinstance(f, (str, Path)) for f in files):
        return None
    try:
        recipe = TrainRecipe(
            inputs=[
                TrainInput(image=image, labels=label, axes=axes, channel=channel)
                for image, label in zip(images, labels, strict=True)
            ],
            task=task,
            unlabelled=unlabelled,
            classes=[
                RecipeClass(
                    value=value,
                    name=class_names.get(value),
                    colour=class_colours.get(value),
                )
                for value in sorted({*class_names, *class_colours})
            ],
            base=None if base is None else str(base),
            size=size,
            spatial_dims=spatial_dims,
            nonfinite=nonfinite,
            device=device,
            output=output,
            settings=settings,
        )
    except ValidationError:  # the training says what is wrong, in its own words
        return None
    return recipe_header(recipe, output)
