"""Starting from the weights of another model: what can be kept is kept, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_unetpp.errors import SettingsError
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_unetpp.config import ModelConfig
    from napari_unetpp.training._prepare import LabelledImage


class WarmStart(NamedTuple):
    """A model that starts from another's weights.

    Attributes
    ----------
    model : Model
        The model to train.
    kept : int
        Tensors of weights that are those of the base, some of them adapted.
    words : str
        What was kept, for people.
    """

    model: Model
    kept: int
    words: str


def warm_start(
    start: Model, base: Model, items: Sequence[LabelledImage] = ()
) -> WarmStart:
    """Return `start` with every weight of `base` that can be used.

    The shape of the network, how channels are read and the intensity rule are those of
    `base`, so that its features mean the same; classes are those of `start`. Heads keep
    the rows of classes of the same name, and the first convolution is spread over
    another number of channels.

    Parameters
    ----------
    start : Model
        A new model, made for the images and classes of the training.
    base : Model
        Where weights are taken from.
    items : sequence of LabelledImage
        The images, which say whether three channels are red, green and blue.

    Raises
    ------
    SettingsError
        If one is 2-D and the other 3-D, or the base is a program of others.
    """
    ours, theirs = start.config, base.config
    if theirs.network.program is not None:
        raise SettingsError(
            f"the base model {theirs.name!r} is an imported program, whose weights"
            " cannot be trained here; choose a UNet++ model, or none"
        )
    if ours.network.spatial_dims != theirs.network.spatial_dims:
        raise SettingsError(
            f"the base model {theirs.name!r} is {theirs.network.spatial_dims}-D but the"
            f" images are trained in {ours.network.spatial_dims}-D; choose a base model"
            " of the same dimension, or none"
        )
    config = _config(ours, theirs, items)
    model = Model.new(config)
    weights = model.network.state_dict()
    fresh = start.network.state_dict()  # their random numbers are those of the seed
    known = base.network.state_dict()
    rows = _same_classes(ours, theirs)
    kept = {}
    for key, value in weights.items():
        own = fresh.get(key, value)
        if own.shape != value.shape:
            own = value
        weights[key] = own
        if key in known:
            found = _fitted(key, known[key], own, rows)
            if found is not None:
                kept[key] = found
    model.network.load_state_dict(weights | kept)
    return WarmStart(model, len(kept), _words(ours, theirs, config, kept, weights))


def _config(
    ours: ModelConfig, theirs: ModelConfig, items: Sequence[LabelledImage]
) -> ModelConfig:
    """Return the network of the base with the classes and channels of the training."""
    same = theirs.channels != "as_is" and (
        ours.network.in_channels == 1
        or (bool(items) and all(item.image.rgb for item in items))
    )
    n_channels = theirs.network.in_channels if same else ours.network.in_channels
    network = theirs.network.model_copy(
        update={
            "out_channels": ours.network.out_channels,
            "in_channels": n_channels,
        }
    )
    return ours.model_copy(
        update={
            "network": network,
            "channels": theirs.channels if same else "as_is",
            "intensity": theirs.intensity,
            "instances": theirs.instances,
        }
    )


def _same_classes(ours: ModelConfig, theirs: ModelConfig) -> dict[int, int]:
    """Return which channel of the base is which of ours, by the names of classes."""
    names = list(theirs.class_names)
    return {
        k: names.index(name) for k, name in enumerate(ours.class_names) if name in names
    }


def _fitted(
    key: str, known: Tensor, own: Tensor, rows: dict[int, int]
) -> Tensor | None:
    """Return a tensor of the base in the shape of ours, None if nothing of it fits."""
    if key.startswith(("head.", "heads.")):
        if not rows or known.shape[1:] != own.shape[1:]:
            return None
        result = own.clone()
        result[list(rows)] = known[list(rows.values())]
        return result
    if known.shape == own.shape:
        return known
    same_but_channels = known.ndim > 2 and (
        known.shape[:1] + known.shape[2:] == own.shape[:1] + own.shape[2:]
    )
    if same_but_channels:  # the first convolution: the same answer to equal channels
        n_old, n_new = known.shape[1], own.shape[1]
        mean = known.mean(1, keepdim=True) * (n_old / n_new)
        return mean.expand_as(own).clone()
    return None


def _words(
    ours: ModelConfig,
    theirs: ModelConfig,
    config: ModelConfig,
    kept: dict[str, Tensor],
    weights: dict[str, Tensor],
) -> str:
    parts = [f"{len(kept)} of {len(weights)} tensors of {theirs.name!r} are kept"]
    before, after = theirs.network.in_channels, config.network.in_channels
    if before != after:
        parts.append(
            f"the first convolution is spread from {before} to {after} channels"
        )
    rows = _same_classes(ours, theirs)
    new = [name for k, name in enumerate(ours.class_names) if k not in rows]
    if rows and new:
        same = ", ".join(ours.class_names[k] for k in rows)
        parts.append(f"heads keep {same} and start anew for {', '.join(new)}")
    elif new:
        parts.append("heads start anew, for other classes")
    if ours.network.widths != theirs.network.widths:
        parts.append(f"the size is that of the base, widths {theirs.network.widths}")
    return "; ".join(parts)
