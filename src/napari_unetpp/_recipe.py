"""Recipes: all that a training or a segmentation was asked for, to be done again.

A recipe is a frozen value like all settings; its file is read and written in
`napari_unetpp.io`. Paths in it are those of this machine; in a file they are relative
to the file, so that it can be sent away together with the data.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    field_validator,
)

from napari_unetpp.config import (
    Nonfinite,
    OutputKind,
    PredictionConfig,
    Settings,
    Task,
    TrainingConfig,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

RECIPE_VERSION: Literal[1] = 1
"""Of the form of recipes; raised when an old program could misread a new one."""

AUTOMATIC = "auto"
"""Stands for a training setting that is chosen from the images."""

CHOSEN = ("patch", "batch")
"""Training settings that are chosen from the images where nobody sets them."""

_MODEL_SUFFIX = ".safetensors"


def _listed(value: object) -> object:
    """Return one path as a list of one."""
    if isinstance(value, (str, os.PathLike)):
        return (value,)
    return (
        tuple(map(_named, value)) if isinstance(value, list | tuple) else _named(value)
    )


def _named(value: object) -> object:
    """Return what may be a path; refuse numbers, which YAML makes of some names."""
    if not isinstance(value, (str, os.PathLike)) and value is not None:
        raise ValueError(
            "give the path of a file; one of digits alone stands in quotes"
        )
    return value


def _posix(path: Path) -> str:
    """Return a path as all systems read it."""
    return path.as_posix()


def _single(paths: tuple[Path, ...]) -> str | list[str]:
    return [_posix(path) for path in paths] if len(paths) > 1 else _posix(paths[0])


FilePath = Annotated[Path, BeforeValidator(_named), PlainSerializer(_posix)]
FilePaths = Annotated[
    tuple[Path, ...],
    Field(min_length=1),
    BeforeValidator(_listed),
    PlainSerializer(_single),
]


class TrainInput(Settings):
    """An image to learn from, and its labels.

    Several files under `image` are the channels of one image, in this order.
    """

    image: FilePaths
    labels: FilePath
    axes: str | None = None
    """Of each image file as stored, where the file does not say so."""
    channel: int | None = Field(default=None, ge=0)
    """The one channel to take, counted from 0."""
    scale: dict[str, float] | None = None
    """World units a pixel along some axes, such as ``{"Z": 2.0, "Y": 0.5, "X": 0.5}``,
    where the file does not say so. Along coarse axes a network pools later."""
    name: str | None = None
    """What the image is called; the name of its file by default."""

    @field_validator("scale")
    @classmethod
    def _check_scale(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for axis, size in (value or {}).items():
            if not 0 < size < math.inf:
                raise ValueError(f"size {size} of a pixel along {axis} is not above 0")
        return value


class RecipeClass(Settings):
    """What one label value stands for."""

    value: int = Field(ge=0)
    name: str | None = None
    colour: str | None = Field(default=None, pattern=r"^#[0-9a-fA-F]{6}$")


class TrainRecipe(Settings):
    """A training that can be done again."""

    recipe: Literal["train"] = "train"
    version: Literal[1] = RECIPE_VERSION
    inputs: tuple[TrainInput, ...] = Field(min_length=1)
    task: Task = "instances"
    unlabelled: int | None = Field(default=None, ge=0)
    classes: tuple[RecipeClass, ...] = ()
    base: str | None = None
    """Bundled model, or model file, to start from."""
    size: Literal["small", "base", "paper"] = "base"
    spatial_dims: Literal[2, 3] | None = None
    nonfinite: Nonfinite = "error"
    device: str = "auto"
    output: FilePath | None = None
    """Model file to write."""
    settings: TrainingConfig = TrainingConfig(minutes=10)

    @field_validator("settings", mode="before")
    @classmethod
    def _leave_automatic(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {
            key: each
            for key, each in value.items()
            if not (key in CHOSEN and each == AUTOMATIC)
        }

    @field_validator("classes")
    @classmethod
    def _check_values(cls, value: tuple[RecipeClass, ...]) -> tuple[RecipeClass, ...]:
        values = [each.value for each in value]
        twice = next((each for each in values if values.count(each) > 1), None)
        if twice is not None:
            raise ValueError(f"value {twice} stands twice; name each value once")
        return value

    @property
    def class_names(self) -> dict[int, str]:
        """Names of label values, of those that have one."""
        return {c.value: c.name for c in self.classes if c.name is not None}

    @property
    def class_colours(self) -> dict[int, str]:
        """Colours ("#rrggbb") of label values, of those that have one."""
        return {c.value: c.colour for c in self.classes if c.colour is not None}


class SegmentInput(Settings):
    """An image to segment."""

    image: FilePath
    axes: str | None = None
    """As stored, where the file does not say so."""
    channel: int | None = Field(default=None, ge=0)
    """The one channel to take, counted from 0."""
    mask: FilePath | None = None
    """Image of the same size: only where it is not 0 is anything looked for."""
    region: dict[str, tuple[int, int]] | None = None
    """The part that is wanted: (start, stop) in pixels for some axes, such as
    ``{"Y": (0, 512), "X": (100, 612)}``; an axis that is left out is wanted whole.
    With a mask as well, results are wanted where both say so."""

    @field_validator("region")
    @classmethod
    def _check_region(
        cls, value: dict[str, tuple[int, int]] | None
    ) -> dict[str, tuple[int, int]] | None:
        for axis, (start, stop) in (value or {}).items():
            if not 0 <= start < stop:
                raise ValueError(
                    f"{axis} from {start} to {stop} is empty; count pixels from 0, and"
                    " give a stop behind the start"
                )
        return value


class Results(Settings):
    """What is kept of a segmentation; see `OutputConfig`."""

    kinds: tuple[OutputKind, ...] | None = None
    """``None``: all that the model and the mode have."""
    form: Literal["auto", "tif", "zarr"] = "auto"
    probability: Literal["uint8", "float16"] = "uint8"
    ome_zarr: Literal["0.5", "0.4"] = "0.5"
    labels_beside: bool = False


class SegmentRecipe(Settings):
    """A segmentation that can be done again."""

    recipe: Literal["segment"] = "segment"
    version: Literal[1] = RECIPE_VERSION
    inputs: tuple[SegmentInput, ...] = Field(min_length=1)
    model: str = "nuclei"
    """Bundled model, or model file."""
    output: FilePath | None = None
    """Folder for the results."""
    settings: PredictionConfig = PredictionConfig()
    results: Results = Results()

    @field_validator("inputs")
    @classmethod
    def _check_images(cls, value: tuple[SegmentInput, ...]) -> tuple[SegmentInput, ...]:
        images = [each.image for each in value]
        twice = next((image for image in images if images.count(image) > 1), None)
        if twice is not None:
            raise ValueError(
                f"{twice} stands twice, and its results would have one name; segment it"
                " by two recipes into different folders"
            )
        return value


Recipe = TrainRecipe | SegmentRecipe


def plain(recipe: Recipe, folder: Path | None = None) -> dict[str, JsonValue]:
    """Return a recipe as plain values, all settings written out.

    Parameters
    ----------
    recipe : Recipe
        What is written.
    folder : Path, optional
        Paths become relative to this folder; by default they stay as they are.
    """
    values: dict[str, Any] = recipe.model_dump(mode="json")
    if isinstance(recipe, TrainRecipe):
        for name in CHOSEN:
            if name not in recipe.settings.model_fields_set:
                values["settings"][name] = AUTOMATIC
    if folder is not None:
        start = os.path.abspath(folder)
        _move(values, lambda path: _relative(path, start))
    return values


def located(recipe: Recipe, folder: Path) -> Recipe:
    """Return a recipe whose relative paths are taken from `folder`."""
    values = plain(recipe)
    start = os.path.abspath(folder)
    _move(values, lambda path: os.path.normpath(os.path.join(start, path)))
    return type(recipe).model_validate(values)


def settled(recipe: TrainRecipe, settings: Mapping[str, Any]) -> TrainRecipe:
    """Return a recipe with the settings that were chosen from the images.

    Parameters
    ----------
    recipe : TrainRecipe
        What was asked for.
    settings : mapping
        Those that the training was done with, from the record of the model.
    """
    told = recipe.settings
    chosen = {
        name: settings[name]
        for name in CHOSEN
        if name not in told.model_fields_set and name in settings
    }
    known = told.model_dump(include=told.model_fields_set)
    new = type(told).model_validate(known | chosen)
    return recipe.model_copy(update={"settings": new})


def input_paths(recipe: Recipe) -> tuple[Path, ...]:
    """Return every file that a recipe reads, but for its model or base."""
    found: list[Path | None] = []
    for each in recipe.inputs:
        if isinstance(each, TrainInput):
            found += [*each.image, each.labels]
        else:
            found += [each.image, each.mask]
    return tuple(path for path in found if path is not None)


def same(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes ask for the same.

    A setting that one of them leaves to be chosen from the images may be anything in
    the other.
    """
    here = os.path.abspath(os.curdir)
    first, second = (plain(located(each, Path(here))) for each in (one, other))
    settings = [each["settings"] for each in (first, second)]
    for name in CHOSEN:
        found = [each.get(name) for each in settings if isinstance(each, dict)]
        if AUTOMATIC in found:
            for each in settings:
                if isinstance(each, dict):
                    each.pop(name, None)
    return first == second


def is_model_file(text: str) -> bool:
    """Whether a model is named by its file, rather than as one of the package."""
    return text.endswith(_MODEL_SUFFIX) or "/" in text or os.sep in text


def _move(values: dict[str, Any], change: Callable[[str], str]) -> None:
    """Change every path in the plain values of a recipe."""
    places = [
        (values, "output"),
        *((each, k) for each in values["inputs"] for k in each),
    ]
    for holder, key in places:
        if key not in ("output", "image", "labels", "mask") or holder[key] is None:
            continue
        path = holder[key]
        holder[key] = [*map(change, path)] if isinstance(path, list) else change(path)
    for key in ("base", "model"):
        if values.get(key) and is_model_file(values[key]):
            values[key] = change(values[key])


def _relative(path: str, start: str) -> str:
    """Return a path as seen from a folder, as all systems read it."""
    try:
        path = os.path.relpath(path, start)
    except ValueError:  # on another drive
        path = os.path.abspath(path)
    return Path(path).as_posix()
