"""Losses on every head, from logits, with ignored pixels in none of the sums.

The paper's hybrid loss (Zhou et al., DLMIA 2018, Eq. 2) joins cross entropy and Dice;
here it is ``0.5 * cross entropy + (1 - Dice)``, which has the same gradient as the
authors' ``0.5 * BCE - Dice`` and a minimum of 0. Dice is taken per image and class.
The log-cosh form follows Jadon (arXiv 2006.14822).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.config import TrainingConfig

_SMOOTH = 1.0
"""Pixels added to both sides of Dice, so that an empty class has a gradient."""


def probabilities(logits: Tensor) -> Tensor:
    """Return probabilities of shape (N, K, *S) from logits of the same shape.

    One channel is a yes or no (sigmoid); several exclude each other (softmax).
    """
    if logits.shape[1] == 1:
        return torch.sigmoid(logits)
    return torch.softmax(logits, dim=1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross entropy over the pixels that are not ignored.

    Parameters
    ----------
    logits : Tensor
        Shape (N, K, *S); K = 1 is binary cross entropy.
    target : Tensor
        Class index of shape (N, *S), -1 where a pixel is ignored.

    Returns
    -------
    Tensor
        A float32 scalar; 0 when every pixel is ignored.
    """
    valid = target >= 0
    logits = logits.float()
    if logits.shape[1] == 1:
        truth = target.clamp(min=0).float()
        each = F.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none")
    else:
        each = F.cross_entropy(logits, target.clamp(min=0), reduction="none")
    return (each * valid).sum() / valid.sum().clamp(min=1)


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Return the soft Dice coefficient of every image and class, shape (N, K).

    ``(2 sum(p y) + 1) / (sum(p) + sum(y) + 1)`` over the pixels not ignored.
    """
    n_classes = logits.shape[1]
    valid = (target >= 0).unsqueeze(1).float()  # (N, 1, *S)
    predicted = probabilities(logits.float()) * valid
    if n_classes == 1:
        truth = (target == 1).unsqueeze(1).float()
    else:
        truth = F.one_hot(target.clamp(min=0), n_classes).movedim(-1, 1) * valid
    axes = tuple(range(2, logits.ndim))
    both = (predicted * truth).sum(axes)
    total = predicted.sum(axes) + truth.sum(axes)
    return (2 * both + _SMOOTH) / (total + _SMOOTH)


def bce_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return ``0.5 * cross entropy + (1 - Dice)``, Dice averaged over (N, K)."""
    return 0.5 * cross_entropy(logits, target) + (1 - dice(logits, target)).mean()


def log_cosh_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean of ``log cosh (1 - Dice)`` in the form that cannot overflow."""
    distance = 1 - dice(logits, target)
    return (distance + F.softplus(-2 * distance) - math.log(2)).mean()


_LOSSES = {"bce_dice": bce_dice_loss, "log_cosh_dice": log_cosh_dice_loss}


def supervised_loss(
    logits: tuple[Tensor, ...], target: Tensor, config: TrainingConfig
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the loss of all heads against the same truth (deep supervision).

    Parameters
    ----------
    logits : tuple of Tensor
        What the network returned: head 1 first, each (N, K, *S).
    target : Tensor
        Class index of shape (N, *S), int64, -1 where a pixel is ignored.
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
    per_head = tuple(_LOSSES[config.loss](each, target) for each in logits)
    weighted = [w * loss for w, loss in zip(weights, per_head, strict=True)]
    return torch.stack(weighted).sum() / sum(weights), per_head
