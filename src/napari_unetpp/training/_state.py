"""What changes during a run, and how it survives a crash."""

from __future__ import annotations

import copy
import pickle
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import torch
from torch.optim.swa_utils import AveragedModel

from napari_unetpp.errors import TrainingError
from napari_unetpp.io._disk import beside

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from napari_unetpp.config import TrainingConfig
    from napari_unetpp.nn import Network


@dataclass(slots=True)
class TrainingState:
    """Weights, their running mean, the optimiser and the best so far."""

    network: Network
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    best_score: float = float("-inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    _resumed_at: float = field(default_factory=time.monotonic)
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
        optimiser = torch.optim.AdamW(
            trained.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        return cls(trained, averaged, optimiser)

    @property
    def smooth(self) -> Network:
        """The network with averaged weights: the one that is validated and kept."""
        return cast("Network", self.averaged.module)

    def tick(self) -> float:
        """Update and return the seconds spent in training so far."""
        self.seconds = self._seconds_before + time.monotonic() - self._resumed_at
        return self.seconds

    def keep_if_better(self, score: float) -> bool:
        """Remember the averaged weights if `score` is the best so far."""
        if score <= self.best_score:
            return False
        self.best_score, self.best_epoch = score, self.epoch
        self.best_weights = {
            name: value.detach().cpu().clone()
            for name, value in self.smooth.state_dict().items()
        }
        return True

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the state beside its place, then rename.

        Raises
        ------
        OutputError
            If it cannot be written; the last checkpoint, if there is one, is kept.
        """
        content = {
            "fingerprint": fingerprint,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best_weights": self.best_weights,
            "numbers": {name: getattr(self, name) for name in _NUMBERS},
        }
        cure = "free space and start again"
        if path.exists():
            cure = (
                "the last checkpoint is kept: free space and go on with it"
                " (resume=True, --resume)"
            )
        with beside(path, cure) as part, part.open("wb") as file:
            _write(content, file)

    def load(self, path: Path, fingerprint: str) -> None:
        """Go on from a state that `save` wrote for the same run.

        Raises
        ------
        TrainingError
            If the checkpoint is of another run or damaged.
        """
        try:
            # weights_only: tensors and plain values, never code.
            content = torch.load(path, map_location="cpu", weights_only=True)
            of_run = content["fingerprint"]
        except _DAMAGE as error:
            raise TrainingError(
                f"{path}: the checkpoint is damaged; delete it and start anew"
            ) from error
        if of_run != fingerprint:
            raise TrainingError(
                f"{path}: the checkpoint belongs to a run with other images, labels or"
                " settings; repeat the command it was made with, or delete it"
            )
        self.network.load_state_dict(content["network"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.best_weights = content["best_weights"]
        for name, value in content["numbers"].items():
            setattr(self, name, value)
        self._seconds_before, self._resumed_at = self.seconds, time.monotonic()


_DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What torch raises, or we, when a file is no checkpoint of ours."""

_NUMBERS = ("step", "epoch", "seconds", "best_score", "best_epoch", "history")


def _write(content: dict[str, Any], file: BinaryIO) -> None:
    """Write as torch does, but raise what stopped it, which torch hides."""
    try:
        torch.save(content, file)
    except RuntimeError as error:  # from closing an archive that is incomplete
        if isinstance(error.__context__, OSError | KeyboardInterrupt):
            raise error.__context__ from None
        raise


def _moving_average(decay: float) -> Any:
    """Return the update of a running mean that forgets its start quickly."""

    def update(mean: Tensor, value: Tensor, n: Tensor | int) -> Tensor:
        if not mean.is_floating_point():  # the batch counter of batch norm
            return value
        n = int(n)
        return torch.lerp(mean, value, 1 - min(decay, (1 + n) / (10 + n)))

    return update
