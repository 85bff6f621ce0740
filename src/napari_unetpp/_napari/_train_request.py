"""What the Train panel asks for, frozen when a button is pressed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_unetpp._napari._layers import KEY, LABELS, is_result
from napari_unetpp._napari._source import CHANNEL, Source, layer_geometry
from napari_unetpp._recipe import RecipeClass, TrainRecipe
from napari_unetpp.arrays import Image
from napari_unetpp.errors import AxesError, LabelsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from napari.layers import Labels, Layer

    from napari_unetpp._napari._source import Geometry
    from napari_unetpp._recipe import TrainInput
    from napari_unetpp._types import LazyArray
    from napari_unetpp.config import Nonfinite, Task, TrainingConfig

CHECKPOINT = ".checkpoint"
"""Behind the name of a model file: the state of a training that is not complete."""
RECIPE = ".recipe.yaml"
"""Behind the name of a model file: what was chosen for an incomplete training."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSource:
    """One image, of one layer or of several that are its channels, and its labels.

    Attributes
    ----------
    images : tuple of Source
        Layers of the image; more than one are its channels.
    labels : Source
        A copy of the labels, with the axes of the image but C.
    image_files, labels_file : paths
        Files that the layers were opened from, ``None`` for each without one.
    """

    images: tuple[Source, ...]
    labels: Source
    image_files: tuple[Path | None, ...] = ()
    labels_file: Path | None = None

    def image(self) -> Source | Image:
        """Return the image as the core takes it; call it in any thread.

        Raises
        ------
        AxesError
            If several layers do not fit each other as channels.
        """
        if len(self.images) == 1:
            return self.images[0]
        return _as_channels(self.images)

    def with_labels(self, layer: Labels) -> LabelledSource:
        """Return the image with a copy of a labels layer, in the GUI thread.

        Raises
        ------
        LabelsError
            If the labels do not lie on the pixels of the image.
        """
        labels = read_labels_layer(layer, self.images[0])
        return replace(self, labels=labels.with_data(snapshot(labels.data)))


@dataclass(frozen=True, slots=True)
class Choices:
    """What decides a training, but for the layers; kept until it is complete.

    Attributes
    ----------
    task : {"instances", "classes"}
        What label values number.
    unlabelled : int or None
        The value of pixels that nobody has labelled.
    class_names, class_colours : mapping of int to str
        Name, and "#rrggbb", of each class value.
    base : str
        Name or path of the model to start from, empty for none.
    size : {"small", "base", "paper"}
        Width of a new network.
    spatial_dims : {2, 3} or None
        Dimensions of a new network, ``None`` for those of the image.
    channel : int or None
        The one channel that is learnt from.
    settings : TrainingConfig
        Budget, patches, optimiser, augmentation and seed.
    nonfinite : {"error", "background"}
        What to do with pixels that are not numbers.
    """

    task: Task
    unlabelled: int | None
    class_names: Mapping[int, str]
    class_colours: Mapping[int, str]
    base: str
    size: Literal["small", "base", "paper"]
    spatial_dims: Literal[2, 3] | None
    channel: int | None
    settings: TrainingConfig
    nonfinite: Nonfinite = "error"

    @classmethod
    def of(cls, recipe: TrainRecipe) -> Choices:
        """Return what a recipe chooses."""
        return cls(
            task=recipe.task,
            unlabelled=recipe.unlabelled,
            class_names=recipe.class_names,
            class_colours=recipe.class_colours,
            base=recipe.base or "",
            size=recipe.size,
            spatial_dims=recipe.spatial_dims,
            channel=recipe.inputs[0].channel,
            settings=recipe.settings,
            nonfinite=recipe.nonfinite,
        )

    def recipe(
        self, inputs: Sequence[TrainInput], device: str, output: Path
    ) -> TrainRecipe:
        """Return the recipe of a training with these choices."""
        values = sorted({*self.class_names, *self.class_colours})
        return TrainRecipe(
            inputs=tuple(inputs),
            task=self.task,
            unlabelled=self.unlabelled,
            classes=tuple(
                RecipeClass(
                    value=value,
                    name=self.class_names.get(value),
                    colour=self.class_colours.get(value),
                )
                for value in values
            ),
            base=self.base or None,
            size=self.size,
            spatial_dims=self.spatial_dims,
            nonfinite=self.nonfinite,
            device=device,
            output=output,
            settings=self.settings,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TrainRequest:
    """What the Train panel asks for.

    Attributes
    ----------
    pairs : tuple of LabelledSource
        What is learnt from.
    choices : Choices
        What is learnt, and how.
    device : str
        What computes.
    output : Path
        The model file to write; checkpoints lie beside it.
    resume : bool
        Go on from the checkpoint.
    overwrite : bool
        Replace the model file.
    spare_cores : int
        Processor cores left to the viewer.
    """

    pairs: tuple[LabelledSource, ...]
    choices: Choices
    device: str
    output: Path
    resume: bool = False
    overwrite: bool = False
    spare_cores: int = 1

    def without_labels(self) -> TrainRequest:
        """Return the request with labels that take no memory, to be kept for long."""
        pairs = [
            replace(pair, labels=pair.labels.with_data(np.zeros(0, np.uint8)))
            for pair in self.pairs
        ]
        return replace(self, pairs=tuple(pairs))

    @property
    def sources(self) -> tuple[Source, ...]:
        """The layer of each image, the first of those that are channels."""
        return tuple(pair.images[0] for pair in self.pairs)

    @property
    def spatial_dims(self) -> int:
        """Dimensions of a new network: 3 if all images have Z, unless it was chosen."""
        has_z = all("Z" in source.axes for source in self.sources)
        return self.choices.spatial_dims or (3 if has_z else 2)


def checkpoint_of(output: Path) -> Path:
    """Return where the state of an incomplete training lies."""
    return output.with_name(output.name + CHECKPOINT)


def recipe_of(output: Path) -> Path:
    """Return where the recipe of an incomplete training lies."""
    return output.with_name(output.name + RECIPE)


def can_be_learnt(layer: Layer) -> bool:
    """Return whether a layer may hold labels to learn from; previews do not."""
    return not is_result(layer) or layer.metadata[KEY].get("result") == LABELS


def labels_shapes(image: Source) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that labels of an image may have: without C, or one thick."""
    thick = tuple(
        1 if letter == CHANNEL else size
        for letter, size in zip(image.shown_axes, image.shown_shape, strict=True)
    )
    kept = [letter != CHANNEL for letter in image.shown_axes]
    return tuple(s for s, keep in zip(thick, kept, strict=True) if keep), thick


def new_labels_options(image: Source) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return shape and options of a layer for the labels of an image."""
    geometry, (_, shape) = image.geometry, labels_shapes(image)
    if CHANNEL in image.shown_axes:
        at = image.shown_axes.index(CHANNEL)
        geometry = geometry.flattened(at, image.shown_shape[at])
    return shape, {"name": f"{image.name} labels", **geometry.as_layer_options()}


def read_labels_layer(layer: Labels, image: Source) -> Source:
    """Read a labels layer of an image, in the GUI thread; painting goes on in place.

    Parameters
    ----------
    layer : Labels
        One label for each pixel of the image; C is left out or one pixel thick.
    image : Source
        The image, with the axes that the user confirmed.

    Returns
    -------
    Source
        With a view of the labels, not a copy, and the axes of the image but C.

    Raises
    ------
    LabelsError
        If the labels do not lie on the pixels of the image.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    kept = [i for i, letter in enumerate(image.shown_axes) if letter != CHANNEL]
    wanted, thick = labels_shapes(image)
    own = list(range(len(kept)))
    if tuple(data.shape) == thick and len(thick) > len(kept):
        at = image.shown_axes.index(CHANNEL)
        data, own = data[(slice(None),) * at + (0,)], kept
    elif tuple(data.shape) != wanted:
        raise LabelsError(
            f"labels {str(layer.name)!r} have shape {tuple(data.shape)} but the image"
            f" {image.name!r} has {wanted}; choose labels of this image, or press New"
        )
    axes = "".join(image.shown_axes[i] for i in kept)
    _check_lies_on(layer_geometry(layer), own, image, kept, str(layer.name))
    return Source(
        name=str(layer.name),
        data=data,
        rgb=False,
        axes=axes,
        geometry=_of_axes(image.geometry, kept, axes),
    )


def snapshot(data: LazyArray) -> LazyArray:
    """Return labels that painting does not change; call it in the GUI thread.

    A dask array is returned as it is: nobody paints on it in place.
    """
    if hasattr(data, "dask"):
        return data
    copied: npt.NDArray[Any] = np.array(data[...])
    return copied


def _check_lies_on(
    labels: Geometry, own: Sequence[int], image: Source, kept: Sequence[int], name: str
) -> None:
    """Refuse labels whose pixels lie elsewhere than those of the image."""
    scale = np.array([labels.scale[i] for i in own])
    wanted = np.array([image.geometry.scale[i] for i in kept])
    if not np.allclose(scale, wanted, rtol=1e-3):
        raise LabelsError(
            f"labels {name!r} have the scale {_short(scale)} but the image"
            f" {image.name!r} has {_short(wanted)}: their pixels do not lie on each"
            " other; give both layers the same scale, or press New"
        )
    place = np.array([labels.translate[i] for i in own])
    beside = (place - [image.geometry.translate[i] for i in kept]) / wanted
    if (np.abs(beside) > 0.5).any():
        raise LabelsError(
            f"labels {name!r} lie {_short(beside)} pixels beside the image"
            f" {image.name!r}; give both layers the same translation, or press New"
        )


def _short(values: npt.NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"


def _of_axes(geometry: Geometry, kept: Sequence[int], axes: str) -> Geometry:
    """Return scale, place and units of some of the axes."""
    plain = type(geometry).plain(axes)
    return type(geometry)(
        scale=tuple(geometry.scale[i] for i in kept),
        translate=tuple(geometry.translate[i] for i in kept),
        rotate=plain.rotate,
        shear=plain.shear,
        affine=plain.affine,
        units=tuple(geometry.units[i] for i in kept),
        axis_labels=tuple(axes),
    )


def _as_channels(sources: Sequence[Source]) -> Image:
    """Return layers of one shape as the channels of one image, lazily."""
    import dask.array as da

    from napari_unetpp.io import as_image

    first = sources[0]
    for source in sources:
        if source.shown_shape != first.shown_shape or CHANNEL in source.axes:
            raise AxesError(
                f"{source.name!r} of shape {source.shown_shape} cannot be a channel"
                f" beside {first.name!r} of {first.shown_shape}; channels are layers of"
                " one shape, without colours or channels of their own"
            )
    images = [as_image(source) for source in sources]
    return Image(
        data=da.stack([image.data for image in images]),
        axes=CHANNEL + first.axes,
        scale=(1.0, *images[0].scale),
        units=("pixel", *images[0].units),
        name=first.name,
        translate=(0.0, *(images[0].translate or (0.0,) * len(first.axes))),
    )
