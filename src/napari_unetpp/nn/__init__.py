"""Networks, losses and metrics: torch, and nothing that reads files."""

from napari_unetpp.nn._losses import (
    bce_dice_loss,
    log_cosh_dice_loss,
    probabilities,
    supervised_loss,
)
from napari_unetpp.nn._model import Model
from napari_unetpp.nn._unetpp import Network, UNet, UNetPlusPlus, build_network

__all__ = [
    "Model",
    "Network",
    "UNet",
    "UNetPlusPlus",
    "bce_dice_loss",
    "build_network",
    "log_cosh_dice_loss",
    "probabilities",
    "supervised_loss",
]
