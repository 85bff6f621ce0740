"""How well a model knows where it is wrong, and if it is right as often as it says.

All measures come from counts of pixels in 256 steps, which add up over images: an
uncertainty u is counted at step round(255 u / its largest value), so memory does not
grow with the images. Pixels of one step are not told apart: the measures are what they
would be on average if these came in random order.

* AUROC: how probable it is that a wrong pixel is less sure than a right one; 1/2 is
  chance (Hendrycks and Gimpel, ICLR 2017).
* Risk at a coverage: the share of wrong pixels among that share of all which is surest;
  AURC is its mean over all coverages, lower is better (Geifman and El-Yaniv, NeurIPS
  2017).
* Expected calibration error: by how much, on average over the pixels, the share that is
  right differs from how sure the model is, within 15 bins of equal width (Guo et al.,
  ICML 2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import digamma

if TYPE_CHECKING:
    import numpy.typing as npt

    Counts = npt.NDArray[np.int64]
    """Right (row 0) and wrong pixels (row 1) at each of 256 steps."""

N_STEPS = 256
N_BINS = 15
COVERAGES = (0.8, 0.9, 0.95)
"""Shares of the pixels, the surest, whose risk is reported."""


def count_errors(
    share: npt.NDArray[np.floating[Any]], wrong: npt.NDArray[np.bool_]
) -> Counts:
    """Count right and wrong pixels by a measure between 0 and 1.

    Parameters
    ----------
    share : array of float
        Uncertainty, or how sure the model is, of each pixel; 0...1.
    wrong : array of bool
        Of the same shape.

    Returns
    -------
    array of int64, shape (2, 256)
        Right and wrong pixels at each step; counts of images may be added.
    """
    steps = np.rint((N_STEPS - 1) * share).astype(np.intp)
    both = np.bincount((steps + N_STEPS * wrong).ravel(), minlength=2 * N_STEPS)
    return both.astype(np.int64).reshape(2, N_STEPS)


def auroc(counts: Counts) -> float | None:
    """Return how probable it is that a wrong pixel is more uncertain than a right one.

    Equal ones count half; ``None`` if all pixels are right, or all wrong.
    """
    right, wrong = counts.astype(float)
    if not right.sum() or not wrong.sum():
        return None
    below = np.cumsum(right) - right / 2
    return float((wrong * below).sum() / (right.sum() * wrong.sum()))


def risk_at(counts: Counts, coverage: float) -> float | None:
    """Return the share of wrong pixels among the surest.

    Parameters
    ----------
    counts : array of int64, shape (2, 256)
        By uncertainty.
    coverage : float
        The share of all pixels that is kept, above 0 to 1.

    Returns
    -------
    float or None
        ``None`` if there is no pixel.
    """
    kept, errors = _kept(counts)
    if not kept[-1]:
        return None
    n = coverage * kept[-1]
    return float(np.interp(n, kept, errors) / n)


def risk_coverage(counts: Counts) -> tuple[npt.NDArray[np.float64], ...]:
    """Return coverages and the risk at each, one for every step that has a pixel."""
    kept, errors = _kept(counts)
    there = np.diff(kept, prepend=0.0) > 0
    return kept[there] / max(kept[-1], 1), errors[there] / kept[there]


def aurc(counts: Counts) -> float | None:
    """Return the mean of the risk over all numbers of pixels that may be kept.

    ``None`` if there is no pixel. No uncertainty can do better than the one that puts
    all wrong pixels last; without any it is the share of wrong pixels.
    """
    kept, errors = _kept(counts)
    n = kept[-1]
    if not n:
        return None
    # Of m pixels in random order, e of them wrong, behind k with f wrong, the i-th has
    # the risk (f + e i / m) / (k + i); with h the sum of 1 / (k + i) they add up to
    # f h + e (1 - k h / m).
    first, before = kept[:-1], errors[:-1]
    m, e = np.diff(kept), np.diff(errors)
    h = digamma(first + m + 1) - digamma(first + 1)
    sums = before * h + np.divide(
        e * (m - first * h), m, out=np.zeros_like(m), where=m > 0
    )
    return float(sums.sum() / n)


def best_aurc(n_right: int, n_wrong: int) -> float | None:
    """Return the AURC of an uncertainty that puts all wrong pixels last."""
    counts = np.zeros((2, N_STEPS), np.int64)
    counts[0, 0], counts[1, 1] = n_right, n_wrong
    return aurc(counts)


def calibration_error(counts: Counts) -> float | None:
    """Return the expected calibration error.

    Parameters
    ----------
    counts : array of int64, shape (2, 256)
        Right and wrong pixels by how sure the model is of its answer.

    Returns
    -------
    float or None
        0...1; ``None`` if there is no pixel.
    """
    n = counts.sum(axis=0).astype(float)
    if not n.sum():
        return None
    steps = np.arange(N_STEPS)
    # A bin holds what lies above its lower end, up to and with its upper end.
    place = np.maximum(-(-steps * N_BINS // (N_STEPS - 1)) - 1, 0)
    right = np.bincount(place, counts[0], N_BINS)
    sure = np.bincount(place, n * steps / (N_STEPS - 1), N_BINS)
    return float(np.abs(right - sure).sum() / n.sum())


def _kept(counts: Counts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return 0 and, after each step, the pixels so far and the wrong ones of them."""
    every = np.cumsum(counts.sum(axis=0), dtype=float)
    wrong = np.cumsum(counts[1], dtype=float)
    return np.append(0.0, every), np.append(0.0, wrong)
