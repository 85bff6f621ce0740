"""From labelled images to a model to start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unetpp.arrays import Image, LabelRule
    from napari_unetpp.config import Task

Size = Literal["small", "base", "paper"]

WIDTHS: dict[Size, tuple[int, ...]] = {
    "small": (8, 16, 32, 64, 128),
    "base": (16, 32, 64, 128, 256),
    "paper": (32, 64, 128, 256, 512),
}
"""Feature maps of each level; the cost of a step grows with their square."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and its labels, which have the same axes but for channels."""

    image: Image
    labels: Image


def new_model(
    items: Sequence[LabelledImage],
    task: Task,
    rule: LabelRule,
    *,
    size: Size = "base",
    spatial_dims: Literal[2, 3] | None = None,
    name: str = "model",
    seed: int = 0,
    class_names: Mapping[int, str] | None = None,
    class_colours: Mapping[int, str] | None = None,
) -> Model:
    """Return an untrained model that fits the images and labels.

    It is 3-D when every image has a Z axis, unless `spatial_dims` says otherwise. Along
    an axis that is sampled more coarsely, the upper levels do not pool.

    Parameters
    ----------
    items : sequence of LabelledImage
        Images and labels.
    task, rule
        What is learnt, and what the values of labels mean.
    size : {"small", "base", "paper"}
        Feature maps of the network.
    spatial_dims : int, optional
        2 or 3.
    name : str
        What the model is called.
    seed : int
        Start of the random weights.
    class_names, class_colours : mapping of int to str, optional
        Name and "#rrggbb" of the classes by label value; of an instance model none.
    """
    images = [item.image for item in items]
    if spatial_dims is None:
        spatial_dims = 3 if all("Z" in image.axes for image in images) else 2
    network = NetworkConfig(
        spatial_dims=spatial_dims,
        in_channels=images[0].n_channels,
        out_channels=len(rule.class_values),
        widths=WIDTHS[size],
        strides=_strides(images[0], spatial_dims, len(WIDTHS[size]) - 1),
    )
    config = ModelConfig(
        name=name,
        network=network,
        task=task,
        class_names=_class_names(task, rule, class_names or {}),
        class_values=rule.class_values,
        class_colours=_class_colours(task, rule, class_colours or {}),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Model.new(config)


def _class_names(
    task: Task, rule: LabelRule, given: Mapping[int, str]
) -> tuple[str, ...]:
    if task == "instances":
        return INSTANCE_CLASSES
    dense = rule.unlabelled is None
    names = tuple(
        given.get(value, "").strip()
        or ("background" if dense and value == 0 else f"class {value}")
        for value in rule.class_values
    )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(
            f"class names {', '.join(names)}: {twice[0]!r} stands for two classes; give"
            " each class a name of its own"
        )
    return names


def _class_colours(
    task: Task, rule: LabelRule, given: Mapping[int, str]
) -> tuple[str, ...]:
    """Return the colour of every class, or none if one is not known."""
    if task == "instances" or not set(rule.class_values) <= set(given):
        return ()
    return tuple(given[value] for value in rule.class_values)


def _strides(
    image: Image, spatial_dims: int, depth: int
) -> tuple[tuple[int, ...], ...]:
    """Return poolings that bring all axes to about the same world size a pixel."""
    axes = "ZYX"[-spatial_dims:]
    if not set(axes) <= set(image.axes):
        return ()  # `canonical` says what is missing
    size = np.array([image.scale[image.axes.index(axis)] for axis in axes], float)
    strides = []
    for _ in range(depth):
        step = np.where(size < 2 * size.min(), 2, 1)
        strides.append(tuple(int(s) for s in step))
        size = size * step
    if all(s == 2 for stride in strides for s in stride):
        return ()
    return tuple(strides)
