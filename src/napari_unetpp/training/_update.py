"""One update of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_unetpp.nn import supervised_loss
from napari_unetpp.training._precision import autocast
from napari_unetpp.training._recovery import NotFiniteError

if TYPE_CHECKING:
    from napari_unetpp.config import TrainingConfig
    from napari_unetpp.training._batches import Batch
    from napari_unetpp.training._state import TrainingState

_CLIP = 5.0
"""Largest norm of the gradient of one update."""


def update(
    state: TrainingState,
    batch: Batch,
    config: TrainingConfig,
    device: torch.device,
    *,
    rate: float,
    precision: str,
) -> tuple[float, tuple[float, ...]]:
    """Change the weights once; return the loss and that of each head.

    Raises
    ------
    NotFiniteError
        If the loss or its gradient is not finite; the weights are not changed then.
    """
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    images, target = (torch.from_numpy(each).to(device) for each in batch)
    state.network.train()
    with autocast(precision, device):
        logits = state.network(images)
    loss, heads = supervised_loss(logits, target, config)
    if not torch.isfinite(loss):
        raise NotFiniteError(f"the loss is {loss.item()} at step {state.step + 1}")
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), _CLIP)
    if not torch.isfinite(norm):
        raise NotFiniteError(
            f"the gradient of the loss has the norm {norm.item()} at step"
            f" {state.step + 1}"
        )
    state.optimiser.step()
    state.averaged.update_parameters(state.network)
    state.step += 1
    state.drawn += 1
    state.losses.append(loss.item())
    return loss.item(), tuple(h.item() for h in heads)
