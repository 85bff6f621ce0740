"""The numbers by which logits are divided, so that a model is as sure as it is right.

The heads of a network that was trained for long are too sure of themselves, those of a
short training not sure enough. One number for each head mends most of it: its logits
are divided by a temperature that makes the held-out labels likeliest (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). What is most likely at a pixel stays
the same for each head; only how sure it is of that changes, and so does the mean.

The mean of heads that are each as sure as they are right is not sure enough (Rahaman
and Thiery, "Uncertainty Quantification and Deep Ensembles", NeurIPS 2021). So one more
number for all heads makes the labels likeliest under their mean; it is kept near 1, for
heads are used alone too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from scipy.optimize import minimize_scalar

from napari_unetpp.nn import probabilities
from napari_unetpp.nn._losses import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

LOWEST, HIGHEST = 0.25, 4.0
"""Bounds of a temperature."""

_NEAR = (0.75, 1.25)
"""Bounds of what all of them are multiplied by."""
_LEAST = 1e-7
"""Probability below which nothing is told apart, as in single precision."""
_DIGITS = 3


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """Return the temperature by which labels are likeliest.

    Parameters
    ----------
    logits : Tensor, (K, n)
        Of n pixels and K classes; one class is a yes or no.
    target : Tensor, (n,)
        Class index, or the share of the interior as float (soft cross entropy).

    Returns
    -------
    float
        Within 0.25...4; 1 where no other is better.
    """
    # The loss is convex in 1 / temperature, so there is one minimum.
    return _lowest(lambda t: loss_of(logits / t, target), LOWEST, HIGHEST)


def scaled_by(temperatures: tuple[float, ...], factor: float) -> tuple[float, ...]:
    """Return temperatures multiplied by a factor, as they are kept."""
    return tuple(round(factor * t, _DIGITS) for t in temperatures)


def fit_factor(
    logits: Tensor,
    temperatures: tuple[float, ...],
    target: Tensor,
    weights: tuple[float, ...] = (),
) -> float:
    """Return what to multiply all temperatures by, for the mean of the heads.

    Parameters
    ----------
    logits : Tensor, (H, K, n)
        Of n pixels, K classes and H heads.
    temperatures : tuple of float
        Of each head alone.
    target : Tensor, (n,)
        As in `fit_temperature`.
    weights : tuple of float
        Shares of the heads in their mean; equal by default.

    Returns
    -------
    float
        Within 0.75...1.25, and such that no temperature leaves its bounds; 1 with one
        head.
    """
    if len(temperatures) == 1:
        return 1.0
    low = max(_NEAR[0], LOWEST / min(temperatures))
    high = min(_NEAR[1], HIGHEST / max(temperatures))

    def loss(factor: float) -> float:
        scaled = tuple(factor * t for t in temperatures)
        return loss_of_mean(logits, scaled, target, weights)

    return _lowest(loss, low, high)


def _lowest(loss: Callable[[float], float], low: float, high: float) -> float:
    """Return where within bounds a loss is lowest; 1 where that is no better."""

    def at(exponent: float) -> float:
        return loss(math.exp(exponent))

    if not low < high:
        return 1.0
    bounds = (math.log(low), math.log(high))
    found = minimize_scalar(at, bounds=bounds, method="bounded")
    best = round(math.exp(found.x), _DIGITS)
    return best if loss(best) < loss(1.0) else 1.0


def loss_of(logits: Tensor, target: Tensor) -> float:
    """Return the mean negative log likelihood of the targets (n,) by logits (K, n)."""
    return float(cross_entropy(logits[None], target[None]))


def loss_of_mean(
    logits: Tensor,
    temperatures: tuple[float, ...],
    target: Tensor,
    weights: tuple[float, ...] = (),
) -> float:
    """Return the same for the mean of the probabilities of the heads (H, K, n)."""
    heads = zip(logits, temperatures, strict=True)
    each = [probabilities(head[None].double() / t) for head, t in heads]
    share = torch.tensor(weights or (1 / len(each),) * len(each)).double()
    mean = torch.tensordot(share, torch.stack(each)[:, 0], 1).clamp(_LEAST, 1 - _LEAST)
    # Logits that lead back to these probabilities.
    back = mean.logit() if len(mean) == 1 else mean.log()
    return loss_of(back, target)
