"""Heads for classes that were painted after training had begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_unetpp.nn import Model
from napari_unetpp.training._state import TrainingState

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.config import ModelConfig, TrainingConfig
    from napari_unetpp.nn import Network


def new_network(config: ModelConfig, seed: int) -> Network:
    """Return a network of random weights; the random numbers of others stay theirs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Model.new(config).network


def grow(
    state: TrainingState,
    config: ModelConfig,
    settings: TrainingConfig,
    device: torch.device,
) -> TrainingState:
    """Return a state whose heads answer for all classes of `config`.

    Classes known already come first there; they keep their weights, their running mean
    and what the optimiser knows of them. The new ones begin at random.

    Parameters
    ----------
    state : TrainingState
        Of the model with fewer classes; it is used up.
    config : ModelConfig
        Of the model with more.
    settings : TrainingConfig
        Of the optimiser, and the seed.
    device : torch.device
        Where the network is trained.
    """
    network = new_network(config, settings.seed)
    new = TrainingState.new(network, settings, device)
    content = state.content()
    for part in ("network", "averaged"):
        wanted = getattr(new, part).state_dict()
        content[part] = _widened(content[part], wanted)
    if content["best_weights"]:
        content["best_weights"] = _widened(
            content["best_weights"],
            {k: v.cpu() for k, v in network.state_dict().items()},
        )
    content["optimiser"] = _optimiser(content["optimiser"], new)
    new.load(content)
    return new


def _optimiser(old: dict[str, Any], new: TrainingState) -> dict[str, Any]:
    """Return the state of an optimiser for wider heads: new rows start from 0."""
    known = old["state"]
    parameters = list(new.network.parameters())
    return {
        "param_groups": old["param_groups"],
        "state": {
            k: {
                name: _wide(value, torch.zeros_like(parameters[k]))
                if value.ndim
                else value
                for name, value in of_tensor.items()
            }
            for k, of_tensor in known.items()
        },
    }


def _widened(old: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: _wide(old[name], value) for name, value in wanted.items()}


def _wide(old: Tensor, new: Tensor) -> Tensor:
    """Return `old`, with rows of `new` behind its own where it has fewer."""
    if old.shape == new.shape:
        return old
    both = new.detach().clone()
    both[: len(old)] = old.detach().to(both.device)
    return both
