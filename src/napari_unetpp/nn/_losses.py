"""Losses on every head, from logits, with ignored pixels in none of the sums.

The paper's hybrid loss (Zhou et al., DLMIA 2018, Eq. 2) joins cross entropy and Dice;
here it is ``0.5 * cross entropy + (1 - Dice)``, which has the same gradient as the
authors' ``0.5 * BCE - Dice`` and a minimum of 0. Dice is taken per class, over each
image or over the batch: where few pixels are labelled, an image has few of each class.
The log-cosh form follows Jadon (arXiv 2006.14822).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional as F

from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.config import TrainingConfig

_MAX_CLASS_WEIGHT = 10.0
"""Bound on how much more a pixel of a rare class counts, against noise of a few."""

_SMOOTH = 1.0
"""Pixels added to both sides of Dice, so that an empty class has a gradient."""


def probabilities(logits: Tensor) -> Tensor:
    """Return probabilities of shape (N, K, *S) from logits of the same shape.

    One channel is a yes or no (sigmoid); several exclude each other (softmax).
    """
    if logits.shape[1] == 1:
        return torch.sigmoid(logits)
    return torch.softmax(logits, dim=1)


def cross_entropy(logits: Tensor, target: Tensor, *, balanced: bool = False) -> Tensor:
    """Return the mean cross entropy over the pixels that are not ignored.

    Parameters
    ----------
    logits : Tensor
        Shape (N, K, *S); K = 1 is binary cross entropy.
    target : Tensor
        Shape (N, *S): class index, or as float the share of the interior (see
        `class_shares`); -1 where a pixel is ignored.
    balanced : bool
        Whether all classes of the batch count alike, however many pixels they have.

    Returns
    -------
    Tensor
        A float32 scalar; 0 when every pixel is ignored.
    """
    logits = logits.float()
    if logits.shape[1] == 1:
        truth = target.clamp(min=0).float()
        each = F.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none")
    elif target.is_floating_point():
        each = F.cross_entropy(logits, class_shares(target, 3), reduction="none")
    else:
        each = F.cross_entropy(logits, target.clamp(min=0), reduction="none")
    weight = (target >= 0).float()
    if balanced:
        weight = weight * _rarity(_likeliest(target), max(2, logits.shape[1]))
    return (each * weight).sum() / weight.sum().clamp(min=1e-6)


def class_shares(target: Tensor, n_classes: int) -> Tensor:
    """Return what a target says of every class, shape (N, K, *S), 0 where ignored.

    Parameters
    ----------
    target : Tensor
        Shape (N, *S), -1 where a pixel is ignored: class indices, which give 1 for one
        class, or as float the share d of the interior, 0 on the background, which gives
        (0, d, 1 - d) for background, interior and boundary.
    n_classes : int
        K; 3 for shares of the interior.

    Returns
    -------
    Tensor
        float32.
    """
    valid = (target >= 0).unsqueeze(1).float()  # (N, 1, *S)
    if target.is_floating_point():
        inside = target > 0
        return torch.stack(
            [(target == 0).float(), target * inside, (1 - target) * inside], dim=1
        )
    return F.one_hot(target.clamp(min=0), n_classes).movedim(-1, 1) * valid


def _likeliest(target: Tensor) -> Tensor:
    """Return the class index that a target says, -1 where a pixel is ignored."""
    if not target.is_floating_point():
        return target
    return torch.where(target < 0, -1, class_shares(target, 3).argmax(dim=1))


def _rarity(target: Tensor, n_classes: int) -> Tensor:
    """Return the weight of every pixel, inverse to how common its class is."""
    counts = torch.bincount(target[target >= 0], minlength=n_classes).float()
    weights = counts.max().clamp(min=1) / counts.clamp(min=1)
    return weights.clamp(max=_MAX_CLASS_WEIGHT)[target.clamp(min=0)]


def dice(
    logits: Tensor, target: Tensor, pooled: Literal["image", "batch"] = "image"
) -> Tensor:
    """Return the soft Dice coefficient of every class, shape (N, K).

    ``(2 sum(p y) + 1) / (sum(p) + sum(y) + 1)`` over the pixels not ignored, of each
    image, or with ``"batch"`` of all of them, which gives the shape (1, K).
    """
    n_classes = logits.shape[1]
    valid = (target >= 0).unsqueeze(1).float()  # (N, 1, *S)
    predicted = probabilities(logits.float()) * valid
    if n_classes == 1:
        truth = (target == 1).unsqueeze(1).float()
    else:
        truth = class_shares(target, n_classes)
    axes = tuple(range(2, logits.ndim))
    both = (predicted * truth).sum(axes)
    total = predicted.sum(axes) + truth.sum(axes)
    if pooled == "batch":
        both, total = both.sum(0, keepdim=True), total.sum(0, keepdim=True)
    return (2 * both + _SMOOTH) / (total + _SMOOTH)


def bce_dice_loss(
    logits: Tensor,
    target: Tensor,
    *,
    balanced: bool = False,
    pooled: Literal["image", "batch"] = "image",
) -> Tensor:
    """Return ``0.5 * cross entropy + (1 - Dice)``, Dice averaged over (N, K)."""
    distance = 1 - dice(logits, target, pooled)
    return 0.5 * cross_entropy(logits, target, balanced=balanced) + distance.mean()


def log_cosh_dice_loss(
    logits: Tensor, target: Tensor, *, pooled: Literal["image", "batch"] = "image"
) -> Tensor:
    """Return the mean of ``log cosh (1 - Dice)`` in the form that cannot overflow."""
    distance = 1 - dice(logits, target, pooled)
    return (distance + F.softplus(-2 * distance) - math.log(2)).mean()


def supervised_loss(
    logits: tuple[Tensor, ...], target: Tensor, config: TrainingConfig
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the loss of all heads against the same truth (deep supervision).

    Parameters
    ----------
    logits : tuple of Tensor
        What the network returned: head 1 first, each (N, K, *S).
    target : Tensor
        Shape (N, *S), -1 where a pixel is ignored: class index as int64, or as float32
        the share of the interior (see `class_shares`).
    config : TrainingConfig
        Names the loss and the weight of each head.

    Returns
    -------
    total : Tensor
        Weighted mean over the heads.
    per_head : tuple of Tensor
        The loss of each head, without its weight.

    Raises
    ------
    SettingsError
        If the number of weights is not the number of heads.
    """
    weights = config.head_weights or (1.0,) * len(logits)
    if len(weights) != len(logits) or min(weights) < 0 or sum(weights) == 0:
        raise SettingsError(
            f"head_weights={weights}: {len(logits)} weights of at least 0 are needed,"
            " not all 0, head 1 first; leave them out to weigh all heads alike"
        )
    per_head = tuple(_of_head(each, target, config) for each in logits)
    weighted = [w * loss for w, loss in zip(weights, per_head, strict=True)]
    return torch.stack(weighted).sum() / sum(weights), per_head


def _of_head(logits: Tensor, target: Tensor, config: TrainingConfig) -> Tensor:
    if config.loss == "log_cosh_dice":  # no cross entropy in it, so nothing to balance
        return log_cosh_dice_loss(logits, target, pooled=config.dice)
    balanced = config.class_weights == "balanced"
    return bce_dice_loss(logits, target, balanced=balanced, pooled=config.dice)
