"""What the heads say together: their mean, and how unsure it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp._types import FloatArray

_LEAST = 1e-6
"""Probability below which there is nothing to be unsure of."""


def mean_of_heads(heads: FloatArray, weights: Sequence[float] = ()) -> FloatArray:
    """Return the mean (K, ...) of the probabilities of the heads (H, K, ...).

    Parameters
    ----------
    heads : ndarray of float32, (H, K, ...)
        Probabilities of K classes.
    weights : sequence of float
        Share of each head, 1 in sum; equal shares where there are none, and where
        there are fewer heads than shares, as in a preview by head 1.
    """
    if len(weights) != len(heads):
        return np.asarray(heads.mean(axis=0, dtype=np.float32))
    total = np.float32(weights[0]) * heads[0]
    for weight, head in zip(weights[1:], heads[1:], strict=True):
        if weight:
            total += np.float32(weight) * head
    return np.asarray(total, np.float32)


def entropy_of_mean(mean: FloatArray, *, objects: bool) -> FloatArray:
    """Return how unsure a mean (K, ...) is at each pixel, 0...1.

    It is the entropy as part of its largest value, which is that of even chances. Both
    heads that disagree and heads that are all undecided raise it.

    Parameters
    ----------
    mean : ndarray of float32, (K, ...)
        Probabilities of K classes; 0 throughout is nothing, of which nobody is unsure.
    objects : bool
        Whether only foreground and background are told apart, the first class being the
        background: at the border of interior and boundary, which share their pixels, no
        model is sure and none needs to be.

    References
    ----------
    Shannon, "A mathematical theory of communication", Bell Syst. Tech. J. 27, 1948.
    """
    if objects or len(mean) == 1:
        chances: Sequence[FloatArray] = (mean[0], 1 - mean[0])
    else:
        chances = tuple(mean)
    nats = np.zeros(mean.shape[1:], np.float32)
    for chance in chances:
        nats -= chance * np.log(np.maximum(chance, np.float32(_LEAST)))
    share = np.float32(1 / math.log(len(chances)))
    return np.asarray(np.clip(share * nats, 0, 1), np.float32)
