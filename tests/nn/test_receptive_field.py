"""The formula of the receptive field against gradients through the real network.

With weights that are all positive no two paths cancel and every ReLU is open. An image
that rises along an axis lets each max-pooling choose the last pixel of its window, one
that falls the first. So the two gradients together reach as far as any can.
"""

import pytest
import torch

from napari_unetpp.config import NetworkConfig
from napari_unetpp.nn import build_network

CASES = {
    "depth 1": {"widths": (1, 1)},
    "depth 2": {"widths": (1, 1, 1)},
    "depth 4": {"widths": (1, 1, 1, 1, 1)},
    "stride 3": {"widths": (1, 1, 1), "strides": ((3, 2), (2, 3))},
    "stride 1 first": {"widths": (1, 1, 1, 1), "strides": ((1, 2), (4, 2), (2, 1))},
    "3-D": {"spatial_dims": 3, "widths": (1, 1, 1)},
    "3-D anisotropic": {
        "spatial_dims": 3,
        "widths": (1, 1, 1),
        "strides": ((1, 2, 2), (2, 2, 2)),
    },
}


def probe_network(config):
    network = build_network(config).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # Of about the inverse of the inputs, so that values neither grow nor die.
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.fill_(1 / fan_in if name.endswith("weight") else 0.1)
    return network


def reach(network, level, axis):
    """Largest distance along `axis` from a pixel to one that changes it."""
    config = network.config
    period = config.alignment(level)[axis]
    bound = max(network.receptive_field(level)) + 2 * period + 1
    n_periods = -(-bound // period)
    size = list(config.alignment(level))
    size[axis] = (2 * n_periods + 1) * period
    furthest = 0
    for direction in (1, -1):
        image = ramp(size, axis, direction).requires_grad_()
        out = network(image, level)[-1].movedim(axis + 2, 0)
        for pixel in range(n_periods * period, (n_periods + 1) * period):
            (gradient,) = torch.autograd.grad(
                out[pixel].sum(), image, retain_graph=True
            )
            seen = gradient.movedim(axis + 2, 0).flatten(1).abs().sum(1).nonzero()
            low, high = int(seen.min()), int(seen.max())
            assert low > 0
            assert high < size[axis] - 1
            furthest = max(furthest, pixel - low, high - pixel)
    return furthest


def ramp(size, axis, direction):
    along = torch.arange(size[axis], dtype=torch.float64) + 1
    along = along if direction > 0 else along.flip(0)
    shape = [1] * len(size)
    shape[axis] = -1
    return along.view(1, 1, *shape).expand(1, 1, *size).clone()


@pytest.mark.parametrize("upsampling", ["transposed", "linear", "nearest"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_radius_is_what_the_gradient_reaches(case, upsampling):
    network = probe_network(NetworkConfig(**CASES[case], upsampling=upsampling))

    for level in range(1, network.config.depth + 1):
        measured = tuple(
            reach(network, level, axis) for axis in range(network.config.spatial_dims)
        )
        assert measured == network.receptive_field(level)


def test_a_unet_reaches_as_far_as_the_deepest_head():
    for upsampling in ("transposed", "linear", "nearest"):
        config = NetworkConfig(widths=(1, 1, 1, 1), upsampling=upsampling)
        unet = probe_network(config.model_copy(update={"architecture": "unet"}))

        assert unet.receptive_field() == build_network(config).receptive_field()
        assert reach(unet, 3, 1) == unet.receptive_field()[1]


def test_pixels_out_of_reach_change_nothing():
    torch.manual_seed(0)
    network = build_network(NetworkConfig(widths=(4, 8, 8))).eval()
    radius = network.receptive_field()[1]
    image = torch.randn(1, 1, 4, 128)
    changed = image.clone()
    changed[..., 64 + radius + 1 :] = 100
    changed[..., : 64 - radius] = -100

    with torch.inference_mode():
        before, after = network(image)[-1], network(changed)[-1]

    torch.testing.assert_close(after[..., 64], before[..., 64])
    assert not torch.allclose(after[..., 64 + 2 * radius], before[..., 64 + 2 * radius])


def test_the_radius_of_the_deepest_head_is_the_default():
    network = build_network(NetworkConfig(widths=(1, 1, 1, 1)))

    radii = [network.receptive_field(level)[0] for level in (1, 2, 3)]

    assert network.receptive_field() == network.receptive_field(3)
    assert radii == sorted(set(radii))
