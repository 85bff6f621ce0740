"""How far a run is, and which learning rate that means."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unetpp.config import TrainingConfig


def progress(config: TrainingConfig, step: int, seconds: float) -> float:
    """Return the share of the budget used up, 0...1; the budget that ends first wins.

    It is 0 before the first step: one is made in any case, so that there is a model.

    Parameters
    ----------
    config : TrainingConfig
        Holds the budget in epochs, minutes or both.
    step : int
        Updates done.
    seconds : float
        Time spent training, pauses left out.
    """
    if step == 0:
        return 0.0
    shares = []
    if config.epochs is not None:
        shares.append(step / (config.epochs * config.steps_per_epoch))
    if config.minutes is not None:
        shares.append(seconds / (60 * config.minutes))
    return min(1.0, max(shares))


def learning_rate(config: TrainingConfig, share: float) -> float:
    """Return the rate at `share` of the budget: linear warm-up, then a cosine to 0."""
    if share < config.warmup:
        # From 2 %, not from 0: the first step must learn something.
        return config.learning_rate * max(0.02, share / config.warmup)
    falling = (share - config.warmup) / (1 - config.warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * falling))
