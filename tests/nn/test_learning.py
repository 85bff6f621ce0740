"""What a network does while it learns is what the plain operators do."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import build_network
from napari_unetpp.nn._learning import learnt, spread

CONFIGS = {
    "2-D": NetworkConfig(in_channels=2, out_channels=3, widths=(4, 8, 12, 16)),
    "linear": NetworkConfig(widths=(4, 8, 12), upsampling="linear", norm="none"),
    "thick": NetworkConfig(
        spatial_dims=3,
        widths=(4, 6, 8),
        strides=((1, 2, 2), (2, 2, 2)),
    ),
    "U-Net": NetworkConfig(architecture="unet", widths=(4, 8, 12)),
}


def made(name):
    """Return a network that learns, in float64, and a batch for it."""
    torch.manual_seed(0)
    network = build_network(CONFIGS[name]).double().train()
    config = network.config
    size = (8, 16, 24)[-config.spatial_dims :]
    return network, torch.randn(2, config.in_channels, *size, dtype=torch.float64)


def gradients(network, x):
    """Return the loss, all gradients and all running statistics of one step."""
    network.zero_grad()
    loss = sum((head**2).mean() for head in network(x))
    loss.backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    return loss.detach(), found | dict(network.named_buffers())


def check_same(one, other):
    torch.testing.assert_close(one[0], other[0], rtol=1e-12, atol=1e-12)
    assert one[1].keys() == other[1].keys()
    for name in one[1]:
        torch.testing.assert_close(
            one[1][name], other[1][name], rtol=1e-9, atol=1e-12, msg=name
        )


@pytest.mark.parametrize("name", list(CONFIGS))
def test_gradients_are_those_of_the_plain_operators(name, monkeypatch):
    network, x = made(name)
    found = gradients(network, x)
    plain, _ = made(name)
    monkeypatch.setattr(
        "napari_unetpp.nn._unetpp.learnt",
        lambda block, *maps: block(torch.cat(maps, dim=1)),
    )
    monkeypatch.setattr("napari_unetpp.nn._blocks.spread", lambda x, up, stride: up(x))
    check_same(found, gradients(plain, x))


@pytest.mark.parametrize("name", list(CONFIGS))
def test_saving_memory_changes_nothing_but_memory(name):
    network, x = made(name)
    kept, found = _bytes_kept(network, x), gradients(network, x)
    thrifty, _ = made(name)
    thrifty.saves_memory = True
    less = _bytes_kept(thrifty, x)
    check_same(found, gradients(thrifty, x))  # norms have counted two batches in both
    assert less < (0.75 if name == "linear" else 0.5) * kept


def _bytes_kept(network, x):
    """Return the bytes of what a forward pass keeps for the gradient."""
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        heads = network(x)
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    assert len(heads) >= 1
    return sum(n for at, n in storages.items() if at not in weights)


@pytest.mark.parametrize("stride", [(2, 2), (1, 3), (1, 2, 2), (2, 3, 2)])
def test_spreading_is_a_transposed_convolution(stride):
    torch.manual_seed(1)
    kind = {2: torch.nn.ConvTranspose2d, 3: torch.nn.ConvTranspose3d}[len(stride)]
    up = kind(5, 4, stride, stride=stride).double()
    x = torch.randn(2, 5, *(3, 4, 6)[: len(stride)], dtype=torch.float64)
    torch.testing.assert_close(spread(x, up, stride), up(x), rtol=1e-12, atol=1e-12)


def test_gradients_lie_with_their_channels_together():
    maps = [torch.randn(2, n, 6, 8, requires_grad=True) for n in (3, 5)]
    seen = []
    for each in maps:
        each.register_hook(lambda g: seen.append(g.is_contiguous(memory_format=_LAST)))
    weight = torch.randn(4, 8, 3, 3)
    learnt(lambda x: F.conv2d(x, weight, padding=1), *maps).sum().backward()
    assert seen == [True, True]


_LAST = torch.channels_last
