"""The network for whole tiles: the same answers, in the way that suits a card."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_unetpp.config import NetworkConfig
from napari_unetpp.inference import Predictor
from napari_unetpp.inference._gpu import TileNetwork, download, folded, upload
from napari_unetpp.nn import build_network

CPU = torch.device("cpu")
CONFIGS = {
    "2-D": NetworkConfig(in_channels=2, out_channels=3, widths=(4, 8, 12, 16)),
    "no norm": NetworkConfig(widths=(4, 8, 12), upsampling="linear", norm="none"),
    "thick": NetworkConfig(
        spatial_dims=3, widths=(4, 6, 8), strides=((1, 2, 2), (2, 2, 2))
    ),
    "U-Net": NetworkConfig(architecture="unet", widths=(4, 8, 12)),
}


@pytest.fixture(params=list(CONFIGS))
def lively(request):
    """A network whose norms do something, and a batch for it."""
    torch.manual_seed(0)
    network = build_network(CONFIGS[request.param])
    with torch.no_grad():
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if "running_var" in name or name.endswith("1.weight"):
                value.copy_(torch.rand_like(value) + 0.5)
            elif "running_mean" in name or "bias" in name:
                value.copy_(torch.randn_like(value) / 5)
    config = network.config
    x = torch.randn(2, config.in_channels, *(8, 32, 40)[-config.spatial_dims :])
    return network.eval(), x


@torch.inference_mode()
def test_folded_networks_answer_the_same(lively):
    network, x = lively
    expected = network(x)
    made = folded(network)
    assert not any("norm" in type(m).__name__.lower() for m in made.modules())
    for found, head in zip(made(x), expected, strict=True):
        torch.testing.assert_close(found, head, rtol=1e-4, atol=1e-5)
    for again, head in zip(network(x), expected, strict=True):
        assert torch.equal(again, head)  # the one that was given is as it was


@torch.inference_mode()
def test_low_precision_stays_near(lively):
    network, x = lively
    exact = TileNetwork(network, CPU)(x)
    low = TileNetwork(network, CPU, "bfloat16")
    assert low.n_bytes * 2 == TileNetwork(network, CPU).n_bytes
    for found, head in zip(low(x), exact, strict=True):
        assert found.dtype == torch.float32
        assert (found - head).abs().max() < 0.05 * head.abs().max()


@torch.inference_mode()
def test_float32_is_not_tf32_and_kernels_are_tried(lively):
    network, x = lively
    seen = []
    made = TileNetwork(network, CPU)
    made._device = torch.device("cuda")  # as far as the flags go
    kinds = torch.nn.Conv2d, torch.nn.Conv3d
    inner = next(module for module in made.modules() if isinstance(module, kinds))
    flags = torch.backends.cudnn
    inner.register_forward_hook(
        lambda *_: seen.append((flags.benchmark, flags.allow_tf32))
    )
    before = (flags.benchmark, flags.allow_tf32)
    made(x)
    assert seen[0] == (True, False)
    assert (flags.benchmark, flags.allow_tf32) == before


def test_there_and_back():
    pixels = np.random.default_rng(0).random((2, 3, 5, 7), np.float32)
    found = download(upload(pixels, CPU).transpose(2, 3))
    np.testing.assert_array_equal(found, pixels.transpose(0, 1, 3, 2))
    assert found.flags.c_contiguous


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA card")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_card_answers_as_the_processor_does(lively_model, precision):
    x = np.random.default_rng(0).random((3, 1, 64, 96), np.float32)
    expected = Predictor(lively_model, CPU).predict_batch(x)
    card = Predictor(lively_model, torch.device("cuda:0"), precision=precision)
    found = card.predict_batch(x, crop=((8, 40), (0, 96)))
    bound = 1e-4 if precision == "float32" else 0.1
    assert np.abs(found - expected[..., 8:40, :]).max() < bound
