"""Recipes of trainings: written from layers, and opened as layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_unetpp._napari._train_request import Choices
from napari_unetpp._recipe import TrainRecipe
from napari_unetpp.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_unetpp._napari._train_request import TrainRequest
    from napari_unetpp._recipe import TrainInput
    from napari_unetpp.arrays import Image

FILE = "napari_unetpp_file"
"""Entry of a layer's metadata: the file that we opened it from."""


@dataclass(frozen=True, slots=True)
class RecipeSaved:
    """A recipe was written to `path`."""

    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class OpenedInput:
    """Files of one image of a recipe, opened; labels are in memory."""

    images: tuple[tuple[Path, Image], ...]
    labels: tuple[Path, Image]


@dataclass(frozen=True, slots=True, eq=False)
class RecipeOpened:
    """A recipe of a training, and the files that it names, if they were wanted."""

    choices: Choices
    device: str
    name: str
    inputs: tuple[OpenedInput, ...]


def planned_recipe(request: TrainRequest) -> TrainRecipe:
    """Return the recipe of a training; layers without a file are named, not written."""
    from napari_unetpp import api

    folder = api.recipe_folder(request.output)
    return _recipe(request, folder, api.planned_training_input)


def save_training(
    request: TrainRequest, path: Path
) -> Generator[RecipeSaved, None, None]:
    """Write a recipe with all it needs: layers without a file go beside it.

    Yields
    ------
    RecipeSaved
        Once.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from napari_unetpp import api

    recipe = _recipe(request, api.recipe_folder(path), api.save_training_input)
    yield RecipeSaved(api.save_recipe(recipe, path, overwrite=True))


def open_training(
    path: Path, *, layers: bool = True
) -> Generator[RecipeOpened, None, None]:
    """Read the recipe of a training.

    Parameters
    ----------
    path : Path
        The recipe.
    layers : bool
        Open the files that it names.

    Yields
    ------
    RecipeOpened
        Once.

    Raises
    ------
    RecipeError
        If it is none, or one of a segmentation.
    InputError
        If its files cannot be opened.
    """
    from napari_unetpp import api

    recipe = api.load_recipe(path)
    if not isinstance(recipe, TrainRecipe):
        raise RecipeError(
            f"{path} is the recipe of a segmentation; load it in the Segment panel"
        )
    inputs = tuple(_opened(item) for item in recipe.inputs) if layers else ()
    name = "" if recipe.output is None else recipe.output.stem
    yield RecipeOpened(Choices.of(recipe), recipe.device, name, inputs)


def add_inputs(
    viewer: Viewer, inputs: tuple[OpenedInput, ...]
) -> list[tuple[list[ImageLayer], Labels]]:
    """Return layers of the files of a recipe, added if there are none; GUI thread."""
    return [
        (
            [add_image_of(viewer, path, image) for path, image in one.images],
            add_labels_of(viewer, *one.labels),
        )
        for one in inputs
    ]


def _recipe(request: TrainRequest, folder: Path, make_input: Any) -> TrainRecipe:
    inputs: list[TrainInput] = [
        make_input(
            folder,
            number,
            pair.images,
            pair.labels,
            axes=pair.images[0].axes,
            channel=request.choices.channel,
            image_files=pair.image_files,
            labels_file=pair.labels_file,
        )
        for number, pair in enumerate(request.pairs, 1)
    ]
    return request.choices.recipe(inputs, request.device, request.output)


def _opened(item: TrainInput) -> OpenedInput:
    from napari_unetpp.io import as_image, read_labels

    of_labels = item.axes and item.axes.upper().replace("C", "")
    labels = read_labels(item.labels, of_labels)
    return OpenedInput(
        tuple((path, as_image(path, item.axes)) for path in item.image),
        (item.labels, _in_memory(labels)),
    )


def _in_memory(image: Image) -> Image:
    return replace(image, data=np.array(image.data))


def add_image_of(viewer: Viewer, path: Path, image: Image) -> ImageLayer:
    """Return the layer of a file, added if there is none; in the GUI thread."""
    found = _of_file(viewer, path, ImageLayer)
    if found is not None:
        return found
    data: Any = image.data
    axes, rgb = image.axes, image.rgb
    if rgb and not axes.endswith("C"):
        order = [i for i, a in enumerate(axes) if a != "C"] + [axes.index("C")]
        data = data.transpose(order)
    return viewer.add_image(data, rgb=rgb, **_options(path, image, rgb=rgb))


def add_labels_of(viewer: Viewer, path: Path, image: Image) -> Labels:
    """Return the labels layer of a file, added if there is none; in the GUI thread."""
    found = _of_file(viewer, path, Labels)
    if found is not None:
        return found
    return viewer.add_labels(image.data, **_options(path, image))


def _options(path: Path, image: Image, *, rgb: bool = False) -> dict[str, Any]:
    """Return name and place of a layer; of a colour image without the colour axis."""
    kept = [i for i, a in enumerate(image.axes) if not (rgb and a == "C")]
    translate = image.translate or (0.0,) * len(image.axes)
    return {
        "name": image.name,
        "scale": [image.scale[i] for i in kept],
        "translate": [translate[i] for i in kept],
        "units": [image.units[i] for i in kept],
        "axis_labels": [image.axes[i] for i in kept],
        "metadata": {FILE: str(path)},
    }


def _of_file(viewer: Viewer, path: Path, kind: type) -> Any:
    for layer in viewer.layers:
        if isinstance(layer, kind) and file_of(layer) == path:
            return layer
    return None


def file_of(layer: Layer) -> Path | None:
    """Return the file that a layer was opened from, if it was."""
    path = layer.source.path or layer.metadata.get(FILE)
    return None if path is None else Path(path)
