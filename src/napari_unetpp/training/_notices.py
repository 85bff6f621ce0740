"""What labels cannot support, said before the training and not after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp.arrays import LabelRule
    from napari_unetpp.config import ModelConfig

FEW_PIXELS = 200
"""Labelled pixels of a class below which its score says little."""

_UNEQUAL = 50
"""Ratio of the pixels of two classes from which the rarer is likely to be missed."""


def notices(
    model: ModelConfig,
    rule: LabelRule,
    learnt: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
    stray: Sequence[int],
) -> tuple[str, ...]:
    """Return warnings for people, the weightiest first.

    Parameters
    ----------
    model : ModelConfig
        Names of the classes.
    rule : LabelRule
        Values of the classes.
    learnt, held : ndarray of int
        Labelled pixels (K,) of each class that are learnt and held out; of an instance
        model those of background and objects.
    stray : sequence of int
        Values that are no class of the model.
    """
    names = _names(model, rule)
    return (
        *_of_stray(stray),
        *_of_sides(names, learnt, held),
        *_of_amounts(names, learnt + held),
    )


def _names(model: ModelConfig, rule: LabelRule) -> list[str]:
    if model.task == "instances":
        return ["background", "objects"]
    return [
        name if str(value) in name.split() else f"{name} (value {value})"
        for name, value in zip(model.class_names, rule.class_values, strict=True)
    ]


def _of_stray(stray: Sequence[int]) -> Iterator[str]:
    if stray:
        shown = ", ".join(map(str, stray))
        yield (
            f"value {shown} is no class of this training: it is not learnt now; start a"
            " new training from this model to add it"
        )


def _of_sides(
    names: Sequence[str],
    learnt: npt.NDArray[np.int64],
    held: npt.NDArray[np.int64],
) -> Iterator[str]:
    if not held.any():
        yield (
            "nothing is held out to validate on, so no score is shown and the last"
            " weights are kept: label each class in several places or images"
        )
        return
    for name, here, there in zip(names, learnt, held, strict=True):
        if here and not there:
            yield (
                f"{name} is labelled in one place only, which is learnt: the score says"
                " nothing of it; label it in another place too"
            )
        if there and not here:
            yield (
                f"{name} is labelled in held-out places only and is not learnt; label"
                " it in another place too"
            )


def _of_amounts(names: Sequence[str], total: npt.NDArray[np.int64]) -> Iterator[str]:
    few = [
        f"{name} ({n} pixels)"
        for name, n in zip(names, total, strict=True)
        if n < FEW_PIXELS
    ]
    if few:
        yield (
            f"few pixels are labelled of {', '.join(few)}: a score from fewer than"
            f" {FEW_PIXELS} says little; label more of it"
        )
    present = np.flatnonzero(total)
    most, least = int(total.argmax()), int(present[total[present].argmin()])
    if total[most] > _UNEQUAL * total[least]:
        yield (
            f"{names[most]} has {total[most] // total[least]} times the labelled pixels"
            f" of {names[least]}: label more of {names[least]}"
        )
