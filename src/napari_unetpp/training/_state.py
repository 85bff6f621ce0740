"""What changes during a run."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.optim.swa_utils import AveragedModel

from napari_unetpp.errors import TrainingError
from napari_unetpp.training._recovery import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_unetpp.config import TrainingConfig
    from napari_unetpp.nn import Model, Network

_NUMBERS = (
    "step",
    "drawn",
    "epoch",
    "losses",
    "epoch_began",
    "seconds",
    "best_score",
    "best_epoch",
    "fresh_epoch",
    "rate_factor",
    "setbacks",
    "history",
)
"""What is kept beside the tensors."""

_FUSED = ("cpu", "cuda")
"""Devices on which one kernel updates all weights."""

_GOES_BACK = ("step", "epoch", "losses")
"""Of these, what a step back to an earlier state takes back."""


@dataclass(slots=True)
class TrainingState:
    """Weights, their running mean, the optimiser and the best so far."""

    network: Network
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    drawn: int = 0
    """Batches learnt from; unlike `step` it never goes back, so that a training that
    steps back sees other patches."""
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    """Loss of every step of the epoch under way."""
    epoch_began: float = 0.0
    """Value of `seconds` when the epoch under way began."""
    seconds: float = 0.0
    best_score: float = float("-inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    fresh_epoch: int = 0
    """Epochs done when the score last rose or labels last changed: patience counts
    from there."""
    rate_factor: float = 1.0
    setbacks: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    _moving_since: float | None = field(default_factory=time.monotonic)
    _seconds_before: float = 0.0

    @classmethod
    def new(
        cls, network: Network, config: TrainingConfig, device: torch.device
    ) -> TrainingState:
        """Return the state at step 0; the network is copied and moved to `device`."""
        dims = network.config.spatial_dims
        layout = torch.channels_last if dims == 2 else torch.channels_last_3d
        trained = copy.deepcopy(network).to(device).to(memory_format=layout)  # type: ignore[call-overload]
        averaged = AveragedModel(
            trained, avg_fn=_moving_average(config.ema), use_buffers=True
        )
        averaged.eval()
        trained.saves_memory = config.save_memory
        optimiser = torch.optim.AdamW(
            trained.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=device.type in _FUSED,
        )
        return cls(trained, averaged, optimiser)

    @property
    def smooth(self) -> Network:
        """The network with averaged weights: the one that is validated and kept."""
        return cast("Network", self.averaged.module)

    def tick(self) -> float:
        """Update and return the seconds spent in training so far."""
        moved = 0.0
        if self._moving_since is not None:
            moved = time.monotonic() - self._moving_since
        self.seconds = self._seconds_before + moved
        return self.seconds

    def stand_still(self) -> None:
        """Stop the clock."""
        self._seconds_before, self._moving_since = self.tick(), None

    def move_on(self) -> None:
        """Let the clock go on if it stands still."""
        if self._moving_since is None:
            self._moving_since = time.monotonic()

    def keep_if_better(self, score: float, error: float = 0.0) -> bool:
        """Remember the averaged weights unless an earlier score is clearly higher.

        On few held-out pixels scores are easily reached and jump up and down: of those
        within one standard error of the highest the latest weights are kept, which have
        learnt longest. Patience counts from the highest score.

        Parameters
        ----------
        score : float
            Of the averaged weights as they are.
        error : float
            Standard error of the score.
        """
        if self.best_weights and not score >= self.best_score - error:
            return False
        if not self.best_weights or score > self.best_score:
            self.best_score, self.fresh_epoch = score, self.epoch
        self.keep()
        return True

    def keep(self) -> None:
        """Remember the averaged weights."""
        self.best_epoch = self.epoch
        self.best_weights = _on_cpu(self.smooth.state_dict())

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the learning state in main memory, for `step_back`."""
        return {
            **_on_cpu(self._learnt()),
            **copy.deepcopy({name: getattr(self, name) for name in _GOES_BACK}),
        }

    def step_back(self, earlier: Mapping[str, Any]) -> None:
        """Become what `snapshot` returned, but for time, history and the best."""
        # The optimiser keeps the tensors it is handed and changes them in place.
        self._become(copy.deepcopy(dict(earlier)))
        for name in _GOES_BACK:
            setattr(self, name, copy.copy(earlier[name]))

    def content(self) -> dict[str, Any]:
        """Return all of the state, tensors and plain values, as it is written."""
        return {
            **self._learnt(),
            "best_weights": self.best_weights,
            "numbers": {name: getattr(self, name) for name in _NUMBERS},
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Become what `content` has returned; the clock goes on from there.

        Raises
        ------
        LookupError, RuntimeError, ValueError
            If it is of another network or no such content.
        """
        numbers = {name: content["numbers"][name] for name in _NUMBERS}
        self._become(content)
        self.best_weights = content["best_weights"]
        for name, value in numbers.items():
            setattr(self, name, value)
        self._seconds_before, self._moving_since = self.seconds, time.monotonic()

    def _learnt(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def _become(self, content: Mapping[str, Any]) -> None:
        self.network.load_state_dict(content["network"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimiser.load_state_dict(content["optimiser"])


def new_state(
    model: Model, config: TrainingConfig, device: torch.device
) -> TrainingState:
    """Return the state at step 0.

    Raises
    ------
    TrainingError
        If it does not fit into the memory of the device.
    """
    try:
        return TrainingState.new(model.network, config, device)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            f"not enough memory on {device} for a network of {model.n_parameters:,}"
            " weights, which training needs five times: train a smaller one (size),"
            " close other programs, or train on another device"
        ) from error


def _on_cpu(value: Any) -> Any:
    """Return a deep copy of nested values with all tensors in main memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {name: _on_cpu(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_on_cpu(each) for each in value]
    return value


def _moving_average(decay: float) -> Any:
    """Return the update of a running mean that forgets its start quickly."""

    def update(mean: Tensor, value: Tensor, n: Tensor | int) -> Tensor:
        if not mean.is_floating_point():  # the batch counter of batch norm
            return value
        n = int(n)
        return torch.lerp(mean, value, 1 - min(decay, (1 + n) / (10 + n)))

    return update
