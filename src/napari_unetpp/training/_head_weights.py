"""The share of each head in their mean, so that the mean is as good as it can be.

Heads differ in worth: the first sees a few pixels around, the last the most. So the
mean is a mixture, with the shares under which the held-out labels are likeliest, found
by expectation and maximisation (Dempster, Laird and Rubin, "Maximum likelihood from
incomplete data via the EM algorithm", J. R. Stat. Soc. B 39(1), 1977), for each level
of its own: what the first head adds depends on which other heads there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_unetpp.nn import probabilities
from napari_unetpp.nn._losses import class_shares

if TYPE_CHECKING:
    from torch import Tensor

_TURNS = 300
_STILL = 1e-4
"""Change of the shares below which they have been found."""
_LEAST = 1e-7
_DIGITS = 3


def fit_head_weights(
    logits: Tensor, temperatures: tuple[float, ...], target: Tensor
) -> tuple[tuple[float, ...], ...]:
    """Return the shares of the heads 1...d in their mean, for each level d.

    Parameters
    ----------
    logits : Tensor, (H, K, n)
        Of n pixels, K classes and H heads.
    temperatures : tuple of float
        What the logits of each head are divided by.
    target : Tensor, (n,)
        Class index, or the share of the interior as float.

    Returns
    -------
    tuple of tuple of float
        Level 1 first; none below 0, 1 in sum.
    """
    heads = zip(logits, temperatures, strict=True)
    each = torch.stack([probabilities(head[None] / t)[0] for head, t in heads])
    if each.shape[1] == 1:  # a yes or no: the class and what it is not
        each = torch.cat([1 - each, each], dim=1)
    shares = class_shares(target[None], each.shape[1])[0]  # (K, n)
    each = each.clamp(min=_LEAST)
    return tuple(_mixture(each[:d], shares) for d in range(1, len(each) + 1))


def _mixture(heads: Tensor, shares: Tensor) -> tuple[float, ...]:
    """Return the weights of heads (H, K, n) by which shares (K, n) are likeliest."""
    weights = torch.full((len(heads),), 1 / len(heads), dtype=heads.dtype)
    for _ in range(_TURNS):
        weighted = heads * weights[:, None, None]
        weighted *= shares / weighted.sum(0)
        found = weighted.sum((1, 2), dtype=torch.float64)
        found = (found / found.sum()).to(weights.dtype)
        if (found - weights).abs().max() < _STILL:
            break
        weights = found
    rounded = [round(float(each), _DIGITS) for each in found]
    rounded[-1] = round(1.0 - sum(rounded[:-1]), _DIGITS)
    return tuple(rounded)
