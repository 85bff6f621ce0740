"""Small networks for the tests of `nn`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import build_network

SMALL = {
    "2-D": NetworkConfig(widths=(3, 4, 5, 6, 7)),
    "2-D linear, 3 classes": NetworkConfig(
        widths=(4, 6, 8), in_channels=2, out_channels=3, upsampling="linear"
    ),
    "2-D nearest, no norm": NetworkConfig(
        widths=(3, 4, 5, 6), upsampling="nearest", norm="none"
    ),
    "3-D": NetworkConfig(spatial_dims=3, widths=(3, 4, 5, 6)),
    "3-D anisotropic": NetworkConfig(
        spatial_dims=3, widths=(3, 4, 5), strides=((1, 2, 2), (2, 2, 2))
    ),
}


@pytest.fixture(params=SMALL, ids=str)
def config(request):
    return SMALL[request.param]


@pytest.fixture
def network(config):
    """A network in evaluation mode whose batch norms are not the identity."""
    return trained_like(config)


@pytest.fixture
def image(config):
    """A batch of two that every level of the network takes."""
    generator = torch.Generator().manual_seed(1)
    size = [2 * n for n in config.alignment()]
    return torch.randn(2, config.in_channels, *size, generator=generator)


def trained_like(config):
    torch.manual_seed(0)
    network = build_network(config)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias)
    return network.eval()


@pytest.fixture
def make_network():
    """A function that returns a network in evaluation mode for a config."""
    return trained_like
