"""Whether a model knows where it is wrong: its uncertainty beside its errors.

Of instance models a pixel is wrong where the labels show an object and there is none,
or the other way round, and the answer it is sure of is foreground or background; which
object a pixel belongs to is not looked at. Of class models it is wrong where the labels
show another class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.inference._lazy import read
from napari_unetpp.nn._uncertainty_metrics import (
    COVERAGES,
    N_STEPS,
    aurc,
    auroc,
    best_aurc,
    calibration_error,
    count_errors,
    risk_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray, LabelArray
    from napari_unetpp.inference._results import Prediction
    from napari_unetpp.inference._truth import Compared

    Counts = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_PIXELS = 2**20
"""Pixels that are looked at together."""
_LARGEST_SPREAD = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Sureness:
    """Right and wrong pixels by how sure the model was of them; these add up.

    Attributes
    ----------
    spread : array of int64, (2, 256), or None
        By the spread between the heads; ``None`` with one head.
    entropy : array of int64, (2, 256)
        By the entropy of the mean of the heads, as part of its largest value.
    confidence : array of int64, (1 + H, 2, 256)
        By the probability of the answer: that of the mean, then that of each head.
    """

    spread: Counts | None
    entropy: Counts
    confidence: Counts

    def __add__(self, other: Sureness) -> Sureness:
        both = self.spread is not None and other.spread is not None
        return Sureness(
            self.spread + other.spread if both else None,  # type: ignore[operator]
            self.entropy + other.entropy,
            self.confidence + other.confidence,
        )


def sureness_of(prediction: Prediction, compared: Compared) -> Sureness:
    """Count how sure a prediction was where its labels are right and where not.

    Parameters
    ----------
    prediction : Prediction
        Probabilities, with all heads.
    compared : Compared
        Its labels beside the truth, over the same axes.
    """
    n_heads = len(prediction.head_names)
    spread, entropy = np.zeros((2, 2, N_STEPS), np.int64)
    confidence = np.zeros((1 + n_heads, 2, N_STEPS), np.int64)
    objects = compared.truth.meaning.task == "instances"
    for place in _slabs(prediction.shape):
        true, found = compared.truth.values[place], compared.found[place]
        counted = (true >= 0) & (found >= 0)
        if objects:
            true, found = np.sign(true), np.sign(found)
        truth, wrong = true[counted], (true != found)[counted]
        mean = read(prediction.mean, (slice(None), *place))[:, counted]
        entropy += count_errors(read(prediction.uncertainty, place)[counted], wrong)
        confidence[0] += _by_confidence(mean, truth, objects=objects)
        heads = read(prediction.heads, (slice(None), slice(None), *place))[..., counted]
        spread += count_errors(_spread(heads) / _LARGEST_SPREAD, wrong)
        for k, head in enumerate(heads):
            confidence[1 + k] += _by_confidence(head, truth, objects=objects)
    return Sureness(spread if n_heads > 1 else None, entropy, confidence)


def told(every: Sequence[Sureness], heads: Sequence[str]) -> dict[str, Any]:
    """Return what is reported of the uncertainty in at least one image.

    Parameters
    ----------
    every : sequence of Sureness
        One for each image; their pixels are pooled.
    heads : sequence of str
        Names of the heads.

    Returns
    -------
    dict
        ``n_pixels`` and ``error_rate``, the share of wrong ones; ``spread`` (``None``
        with one head) and ``entropy``: ``auroc``, ``aurc``, ``best_aurc`` (of an
        uncertainty that knows all errors) and the ``risk`` by coverage in per cent;
        ``calibration_error``: ``accurate`` and ``heads`` by name. What cannot be
        measured is ``None``. See `nn._uncertainty_metrics`.
    """
    total = every[0]
    for more in every[1:]:
        total = total + more
    right, wrong = (int(n) for n in total.entropy.sum(axis=1))
    errors = [calibration_error(counts) for counts in total.confidence]
    return {
        "n_pixels": right + wrong,
        "error_rate": wrong / (right + wrong) if right + wrong else None,
        "spread": None if total.spread is None else _judged(total.spread),
        "entropy": _judged(total.entropy),
        "calibration_error": {
            "accurate": errors[0],
            "heads": dict(zip(heads, errors[1:], strict=True)),
        },
    }


def _judged(counts: Counts) -> dict[str, Any]:
    right, wrong = (int(n) for n in counts.sum(axis=1))
    return {
        "auroc": auroc(counts),
        "aurc": aurc(counts),
        "best_aurc": best_aurc(right, wrong),
        "risk": {f"{100 * c:.0f}": risk_at(counts, c) for c in COVERAGES},
    }


def _slabs(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the places of some rows at a time, along the longest axis."""
    axis = int(np.argmax(shape))
    step = max(1, _PIXELS * shape[axis] // max(1, math.prod(shape)))
    for start in range(0, shape[axis], step):
        place = [slice(None)] * len(shape)
        place[axis] = slice(start, start + step)
        yield tuple(place)


def _spread(heads: FloatArray) -> FloatArray:
    """Return how far heads (H, K, n) are apart, 0...0.5.

    It is sqrt(sum over classes of the variance over heads / 2): 0 where all agree; for
    two classes the standard deviation of either.
    """
    variance = heads.var(axis=0, dtype=np.float32)  # (K, n)
    # One class stands for two, itself and what it is not, of the same variance.
    share = 1.0 if len(variance) == 1 else 0.5
    return np.asarray(np.sqrt(share * variance.sum(axis=0)), np.float32)


def _by_confidence(
    probability: FloatArray, truth: LabelArray, *, objects: bool
) -> Counts:
    """Count right and wrong pixels (n,) by the probability of what is likeliest."""
    if objects or len(probability) == 1:
        inside = 1 - probability[0] if objects else probability[0]
        answer = (inside > 0.5).astype(np.int64)
        sure = np.maximum(inside, 1 - inside)
    else:
        answer, sure = probability.argmax(axis=0), probability.max(axis=0)
    return count_errors(sure.clip(0, 1), answer != truth)
