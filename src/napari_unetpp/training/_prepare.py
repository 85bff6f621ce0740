"""From labelled images to a model to start from and the pairs it learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from napari_unetpp.arrays import (
    IGNORE,
    align_labels,
    canonical,
    normalise,
    to_class_index,
)
from napari_unetpp.config import INSTANCE_CLASSES, ModelConfig, NetworkConfig
from napari_unetpp.data import TrainingPair
from napari_unetpp.errors import LabelsError
from napari_unetpp.io import image_range
from napari_unetpp.nn import Model
from napari_unetpp.training._loop import TrainingData

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp.arrays import Image, LabelRule
    from napari_unetpp.config import Nonfinite, Task

Size = Literal["small", "base", "paper"]

WIDTHS: dict[Size, tuple[int, ...]] = {
    "small": (8, 16, 32, 64, 128),
    "base": (16, 32, 64, 128, 256),
    "paper": (32, 64, 128, 256, 512),
}
"""Feature maps of each level; the cost of a step grows with their square."""

_FEW_IMAGES = 4
"""With fewer images than this, places within them are held out instead."""


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
) -> Model:
    """Return an untrained model that fits the images and labels.

    It is 3-D when every image has a Z axis, unless `spatial_dims` says otherwise. Along
    an axis that is sampled more coarsely, the upper levels do not pool.
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
        class_names=_class_names(task, rule),
        class_values=rule.class_values,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Model.new(config)


def warm_start(start: Model, base: Model) -> tuple[Model, int]:
    """Return `start` with every weight of `base` that fits, and their number.

    The shape of the network, how channels are read and the intensity rule are those of
    `base`, so that its features mean the same; classes are those of `start`, and only
    where both have the same classes are the heads kept too.
    """
    ours, theirs = start.config, base.config
    same_channels = (
        theirs.channels == "grey"
        or theirs.network.in_channels == ours.network.in_channels
    )
    network = theirs.network.model_copy(
        update={
            "out_channels": ours.network.out_channels,
            "in_channels": theirs.network.in_channels
            if same_channels
            else ours.network.in_channels,
        }
    )
    config = ours.model_copy(
        update={
            "network": network,
            "channels": theirs.channels if same_channels else "as_is",
            "intensity": theirs.intensity,
            "instances": theirs.instances,
        }
    )
    model = Model.new(config)
    weights = model.network.state_dict()
    known = base.network.state_dict()
    same_classes = ours.class_names == theirs.class_names
    kept = {
        key: known[key]
        for key, value in weights.items()
        if key in known
        and known[key].shape == value.shape
        and (same_classes or not key.startswith("head"))
    }
    model.network.load_state_dict(weights | kept)
    return model, len(kept)


def make_pairs(
    items: Sequence[LabelledImage],
    model: ModelConfig,
    rule: LabelRule,
    nonfinite: Nonfinite = "error",
) -> list[list[TrainingPair]]:
    """Return the normalised planes or stacks of every image that are labelled.

    Raises
    ------
    LabelsError
        If labels do not fit their image, or nothing is labelled.
    AxesError
        If the model does not take an image's axes or channels.
    ImageError
        If pixels are not finite and `nonfinite` is ``"error"``.
    """
    pairs = [list(_pairs_of(item, model, rule, nonfinite)) for item in items]
    if not any(pairs):
        raise LabelsError("no labelled pixel in any image: label some first")
    return [of_image for of_image in pairs if of_image]


def split(
    pairs: Sequence[Sequence[TrainingPair]], fraction: float, seed: int
) -> TrainingData:
    """Hold out whole images, or places within them where images are few.

    Parameters
    ----------
    pairs : sequence of sequences of TrainingPair
        The pairs of every image: those of one image stay on one side.
    fraction : float
        Share that is held out; 0 holds out nothing.
    seed : int
        Which images: the same for the same seed.
    """
    everything = [pair for of_image in pairs for pair in of_image]
    if fraction == 0:
        return TrainingData(everything)
    if len(pairs) < _FEW_IMAGES:
        return _split_by_place(everything, fraction)
    order = np.random.default_rng(seed).permutation(len(pairs))
    n = min(max(1, round(fraction * len(pairs))), len(pairs) - 1)  # one to learn from
    held = {int(k) for k in order[:n]}
    return TrainingData(
        [p for k, of_image in enumerate(pairs) if k not in held for p in of_image],
        [p for k in sorted(held) for p in pairs[k]],
        f"{n} of {len(pairs)} images, chosen at random (seed {seed})",
    )


def _split_by_place(pairs: Sequence[TrainingPair], fraction: float) -> TrainingData:
    """Hold out the end of every image along its longest axis."""
    train, held = [], []
    for pair in pairs:
        axis = int(np.argmax(pair.labels.shape))
        cut = round(pair.labels.shape[axis] * (1 - fraction))
        first, last = _part(pair, axis, 0, cut), _part(pair, axis, cut, None)
        if (first.labels >= 0).any() and (last.labels >= 0).any():
            train.append(first)
            held.append(last)
        else:  # all labels on one side: learn from them rather than judge by them
            train.append(pair)
    words = f"the last {fraction:.0%} of each image along its longest axis"
    if not held:
        return TrainingData(train)
    return TrainingData(train, held, words)


def _part(pair: TrainingPair, axis: int, start: int, stop: int | None) -> TrainingPair:
    cut = (slice(None),) * axis + (slice(start, stop),)
    return replace(pair, image=pair.image[(slice(None), *cut)], labels=pair.labels[cut])


def _pairs_of(
    item: LabelledImage, model: ModelConfig, rule: LabelRule, nonfinite: Nonfinite
) -> Iterator[TrainingPair]:
    """Yield a pair for every plane (2-D) or stack (3-D) that is labelled."""
    network = model.network
    image = canonical(
        item.image, network.spatial_dims, model.channels, network.in_channels
    )
    labels = align_labels(item.labels, image)
    intensity = image_range(image, model.intensity, nonfinite)
    for loop in np.ndindex(image.loop_shape):
        truth = _truth(np.asarray(labels[loop]), model.task, rule, item.image.name)
        if (truth < 0).all():
            continue
        found = np.asarray(image.data[loop])
        pixels = normalise(
            found, intensity, model.intensity, nonfinite, item.image.name
        )
        where = f" {image.loop_axes}={loop}" if loop else ""
        yield TrainingPair(pixels, truth, f"{item.image.name}{where}")


def _truth(
    labels: npt.NDArray[np.integer[Any]], task: Task, rule: LabelRule, name: str
) -> npt.NDArray[np.int64]:
    """Return object numbers or class indices, negative where nothing is labelled."""
    if task == "classes":
        return to_class_index(labels, rule, name)
    truth = labels.astype(np.int64)
    if rule.unlabelled is not None:
        truth[labels == rule.unlabelled] = IGNORE
    return truth


def _class_names(task: Task, rule: LabelRule) -> tuple[str, ...]:
    if task == "instances":
        return INSTANCE_CLASSES
    dense = rule.unlabelled is None
    return tuple(
        "background" if dense and value == 0 else f"class {value}"
        for value in rule.class_values
    )


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
