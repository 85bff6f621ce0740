"""Recipes of batches: written with all their images, and read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp._napari._messages import Note
from napari_unetpp._napari._recipe_layers import RecipeSaved
from napari_unetpp._napari._source import Source
from napari_unetpp._recipe import Results, SegmentInput, SegmentRecipe
from napari_unetpp.errors import RecipeError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_unetpp._napari._batch import BatchItem, BatchRequest


@dataclass(frozen=True, slots=True, eq=False)
class BatchOpened:
    """A recipe of a segmentation was read."""

    recipe: SegmentRecipe


def save_batch(
    request: BatchRequest, path: Path
) -> Generator[RecipeSaved | Note, None, None]:
    """Write a recipe of a batch; layers without a file go beside it.

    Yields
    ------
    Note
        Before what takes long.
    RecipeSaved
        Once.

    Raises
    ------
    InputError, OutputError
        If there is no image, or nothing can be written.
    """
    from napari_unetpp import api

    if not request.items:
        raise SettingsError("there are no images; add a folder, files or layers first")
    inputs = []
    for number, item in enumerate(request.items, 1):
        if isinstance(item.image, Source):
            yield Note(f"Saving {item.name!r}…")
        inputs.append(_input(request, item, api.recipe_folder(path), number))
    recipe = SegmentRecipe(
        inputs=tuple(inputs),
        model=request.model,
        output=request.folder,
        settings=request.settings,
        results=Results(kinds=request.kinds, form=request.form),
    )
    yield RecipeSaved(api.save_recipe(recipe, path, overwrite=True))


def open_batch(path: Path) -> Generator[BatchOpened, None, None]:
    """Read the recipe of a segmentation.

    Yields
    ------
    BatchOpened
        Once.

    Raises
    ------
    RecipeError
        If it is none, or one of a training.
    """
    from napari_unetpp import api

    recipe = api.load_recipe(path)
    if not isinstance(recipe, SegmentRecipe):
        raise RecipeError(
            f"{path} is the recipe of a training; load it in the Train panel"
        )
    yield BatchOpened(recipe)


def _input(
    request: BatchRequest, item: BatchItem, folder: Path, number: int
) -> SegmentInput:
    """Return the file of an item, written if it has none."""
    from napari_unetpp import api

    if item.own is not None:
        return item.own
    if isinstance(item.image, Source):
        return api.save_segment_input(
            folder,
            number,
            item.image,
            axes=item.image.axes,
            channel=request.channel,
            image_file=item.file,
        )
    return SegmentInput(image=item.image, axes=request.axes, channel=request.channel)
