"""The networks of the paper's table: the paper's four, isolated levels, and peers.

A peer is the same architecture as others have written it, trained on the same batches
by the same trainer, with the defaults of its library where it has any.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import UNetPlusPlus, build_network
from napari_unetpp.nn._unetpp import Network

if TYPE_CHECKING:
    from torch import Tensor

PAPER = {
    "unet": "U-Net",
    "wide-unet": "wide U-Net",
    "unetpp": "UNet++ without deep supervision",
    "unetpp-ds": "UNet++ with deep supervision",
}
"""The rows of the paper's Table 3."""
PEERS = {
    "monai": "MONAI BasicUNetPlusPlus",
    "smp": "segmentation_models.pytorch UnetPlusPlus (resnet18)",
}
_MODULES = {"monai": "monai", "smp": "segmentation_models_pytorch"}
_SMP_DEPTH = 5
"""Poolings of the encoder of segmentation_models.pytorch."""


def titles(depth: int) -> dict[str, str]:
    """Return the words for all models, isolated levels 1...depth - 1 among them."""
    isolated = {f"isolated-{d}": f"UNet++ L{d}, isolated" for d in range(1, depth)}
    return PAPER | isolated | PEERS


def missing(model: str) -> str:
    """Return why a model cannot be built here, "" if it can."""
    try:
        if model in _MODULES:
            import_module(_MODULES[model])
    except (ImportError, RuntimeError) as error:  # the latter of a torchvision that
        return str(error)  # was built for another torch
    return ""


def fits(model: str, config: NetworkConfig) -> bool:
    """Return whether a model can be built for this dimension."""
    if model == "smp":
        return config.spatial_dims == 2
    # MONAI's always pools by 2 along every axis.
    return model != "monai" or all(set(s) == {2} for s in config.level_strides)


class OneHead(UNetPlusPlus):
    """UNet++ without deep supervision: only the head on X[0,L] is there."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        for j in range(1, config.depth):
            self.heads[str(j)] = nn.Identity()

    def forward(self, x: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Return the logits of the last head alone."""
        return super().forward(x, level)[-1:]


class Peer(Network):
    """A network of another library, behind the same interface."""

    def __init__(self, config: NetworkConfig, inner: nn.Module) -> None:
        super().__init__(config)
        self.inner = inner

    def forward(self, x: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Return the logits of its heads, in its own order: X[0,1] first."""
        answer = self.inner(x)
        return tuple(answer) if isinstance(answer, list) else (answer,)


@dataclass(frozen=True, slots=True)
class Built:
    """A network with random weights, and how many of them it has."""

    network: Network
    n_parameters: int


def build(model: str, config: NetworkConfig, seed: int) -> Built:
    """Return a network of the table.

    Parameters
    ----------
    model : str
        A name of `titles`.
    config : NetworkConfig
        The UNet++ that all are compared with; the others are derived from it.
    seed : int
        Of its random weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _build(model, config)
    return Built(network, count(network))


def _build(model: str, config: NetworkConfig) -> Network:
    if model == "unet":
        return build_network(config.model_copy(update={"architecture": "unet"}))
    if model == "wide-unet":
        return build_network(wide_unet(config))
    if model == "unetpp":
        return OneHead(config)
    if model.startswith("isolated-"):
        return UNetPlusPlus(level(config, int(model.removeprefix("isolated-"))))
    if model == "monai":
        return _monai(config)
    if model == "smp":
        return _smp(config)
    return UNetPlusPlus(config)


def level(config: NetworkConfig, depth: int) -> NetworkConfig:
    """Return the config of the UNet++ that has only the nodes of a level."""
    widths, strides = config.widths[: depth + 1], config.strides[:depth]
    return config.model_copy(update={"widths": widths, "strides": strides})


def wide_unet(config: NetworkConfig) -> NetworkConfig:
    """Return the U-Net whose parameters come closest to those of the UNet++.

    All widths are those of the UNet++ times one factor, rounded.
    """
    wanted = n_parameters(config)

    def scaled(factor: float) -> NetworkConfig:
        widths = tuple(max(1, round(width * factor)) for width in config.widths)
        return config.model_copy(update={"architecture": "unet", "widths": widths})

    # More weights with every step, and twice the width is always too much.
    steps = range(400)
    above = bisect_left(steps, wanted, key=lambda k: n_parameters(scaled(1 + k / 400)))
    return min(
        (scaled(1 + k / 400) for k in (above - 1, above)),
        key=lambda each: abs(n_parameters(each) - wanted),
    )


def n_parameters(config: NetworkConfig) -> int:
    """Return how many weights a network has, without making it."""
    with torch.device("meta"):
        return count(build_network(config))


def count(network: nn.Module) -> int:
    """Return how many weights a network has."""
    return sum(p.numel() for p in network.parameters())


def _monai(config: NetworkConfig) -> Network:
    from monai.networks.nets import BasicUNetPlusPlus

    inner = BasicUNetPlusPlus(
        config.spatial_dims,
        config.in_channels,
        config.out_channels,
        features=(*config.widths, config.widths[0]),
        deep_supervision=True,
    )
    return Peer(config, inner)


def _smp(config: NetworkConfig) -> Network:
    from segmentation_models_pytorch import UnetPlusPlus

    inner = UnetPlusPlus(
        "resnet18",
        encoder_weights=None,
        in_channels=config.in_channels,
        classes=config.out_channels,
    )
    # Tells the trainer of one head and of sizes in multiples of 32.
    shape = NetworkConfig(
        architecture="unet",
        in_channels=config.in_channels,
        out_channels=config.out_channels,
        widths=(1,) * (_SMP_DEPTH + 1),
    )
    return Peer(shape, inner)
