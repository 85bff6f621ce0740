"""Recipes of segmentations: written from layers, and opened as layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._napari._recipe_layers import (
    RecipeSaved,
    add_image_of,
    add_labels_of,
)
from napari_unetpp._napari._view import SPATIAL
from napari_unetpp._recipe import Results, SegmentRecipe
from napari_unetpp.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari.layers import Image as ImageLayer
    from napari.layers import Labels
    from napari.viewer import Viewer

    from napari_unetpp._napari._request import SegmentRequest
    from napari_unetpp._recipe import SegmentInput
    from napari_unetpp.arrays import Image


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationOpened:
    """A recipe of a segmentation, with the image that it names, and its mask."""

    recipe: SegmentRecipe
    image: Image
    mask: Image | None

    @property
    def input(self) -> SegmentInput:
        """The first image of the recipe, the one that is opened."""
        return self.recipe.inputs[0]


def save_segmentation(
    request: SegmentRequest, image_file: Path | None, path: Path
) -> Generator[RecipeSaved, None, None]:
    """Write a recipe with all it needs: layers without a file go beside it.

    Yields
    ------
    RecipeSaved
        Once.

    Raises
    ------
    InputError, OutputError
        If the mask does not lie over the image, or nothing can be written.
    """
    from napari_unetpp import api

    source, inside = request.source, request.inside
    one = api.save_segment_input(
        api.recipe_folder(path),
        1,
        source,
        axes=source.axes,
        channel=request.channel,
        image_file=image_file,
        mask=None if inside is None else inside.over(source),
        region=_region(request),
    )
    recipe = SegmentRecipe(
        inputs=(one,),
        model=request.model,
        output=request.folder,
        settings=request.settings,
        results=Results(kinds=None if request.heads else ("labels", "mean")),
    )
    yield RecipeSaved(api.save_recipe(recipe, path, overwrite=True))


def open_segmentation(path: Path) -> Generator[SegmentationOpened, None, None]:
    """Read the recipe of a segmentation, and open its first image.

    Yields
    ------
    SegmentationOpened
        Once.

    Raises
    ------
    RecipeError
        If it is none, or one of a training.
    InputError
        If its files cannot be opened.
    """
    from napari_unetpp import api
    from napari_unetpp.io import as_image

    recipe = api.load_recipe(path)
    if not isinstance(recipe, SegmentRecipe):
        raise RecipeError(
            f"{path} is the recipe of a training; load it in the Train panel"
        )
    one = recipe.inputs[0]
    image = as_image(one.image, one.axes)
    mask = None if one.mask is None else _over(as_image(one.mask), image)
    yield SegmentationOpened(recipe, image, mask)


def add_segmentation(
    viewer: Viewer, opened: SegmentationOpened
) -> tuple[ImageLayer, Labels | None]:
    """Return layers of the files of a recipe, added if there are none; GUI thread."""
    one = opened.input
    image = add_image_of(viewer, one.image, opened.image)
    if opened.mask is None or one.mask is None:
        return image, None
    return image, add_labels_of(viewer, one.mask, opened.mask)


def _over(mask: Image, image: Image) -> Image:
    """Return a mask in memory that lies on the pixels of its image, as it is meant."""
    kept = [i for i, letter in enumerate(image.axes) if letter != "C"]
    mask = replace(mask, data=(np.asarray(mask.data) != 0).astype(np.uint8))
    if mask.shape != tuple(image.shape[i] for i in kept):
        return mask
    where = image.translate
    return replace(
        mask,
        axes="".join(image.axes[i] for i in kept),
        scale=tuple(image.scale[i] for i in kept),
        units=tuple(image.units[i] for i in kept),
        translate=None if where is None else tuple(where[i] for i in kept),
    )


def _region(request: SegmentRequest) -> dict[str, tuple[int, int]] | None:
    """Return the view by the letters of its axes, ``None`` for all of the image."""
    view = request.view
    if view is None:
        return None
    spatial = SPATIAL[len(view.region)]
    loops = [a for a in request.source.shown_axes if a not in f"{spatial}C"]
    planes = zip(loops, ((at, at + 1) for at in view.loop), strict=True)
    return dict(planes) | dict(zip(spatial, view.region, strict=True))
