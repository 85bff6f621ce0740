"""The published sizes, and the general form for any other shape."""

import pytest
import torch

from napari_unetpp.config import ModelConfig, NetworkConfig
from napari_unetpp.nn import Model, build_network

WIDTHS = (32, 64, 128, 256, 512)
WIDE = (35, 70, 140, 280, 560)

# What is counted: (spatial dims, channels, norm) -> levels 1...4 with one head each.
UNETPP = {
    (2, 1, "none"): (100_961, 511_105, 2_204_961, 9_041_601),
    (2, 3, "none"): (101_537, 511_681, 2_205_537, 9_042_177),
    (3, 1, "none"): (294_049, 1_482_433, 6_389_601, 26_198_273),
    (2, 1, "batch"): (101_473, 512_513, 2_208_289, 9_048_897),
}
FOUR_HEADS = {(2, 1): 9_041_700, (2, 3): 9_042_276, (3, 1): 26_198_372}
UNET_2D = (100_961, 465_953, 1_925_025, 7_759_521)


def build(**settings):
    with torch.device("meta"):
        return build_network(NetworkConfig(**settings))


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", UNETPP, ids=str)
def test_unetpp_with_its_deepest_head_has_the_published_size(shape, level):
    dims, channels, norm = shape
    network = build(
        spatial_dims=dims, in_channels=channels, norm=norm, widths=WIDTHS[: level + 1]
    )

    other_heads = [network.heads[str(j)] for j in range(1, level)]

    expected = UNETPP[shape][level - 1]
    assert count(network) - sum(map(count, other_heads)) == expected


@pytest.mark.parametrize("shape", FOUR_HEADS, ids=str)
def test_unetpp_with_four_heads_has_the_published_size(shape):
    dims, channels = shape
    network = build(spatial_dims=dims, in_channels=channels, norm="none")

    assert count(network) == FOUR_HEADS[shape]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_unet_has_the_published_size(level):
    network = build(architecture="unet", norm="none", widths=WIDTHS[: level + 1])

    assert count(network) == UNET_2D[level - 1]


def test_wide_unet_and_3d_unet_have_the_published_sizes():
    wide = build(architecture="unet", norm="none", widths=WIDE)
    volume = build(architecture="unet", norm="none", spatial_dims=3)

    assert count(wide) == 9_282_246
    assert count(volume) == 22_575_329


def expected_size(config):
    """The general form, node by node."""
    k, power = config.widths, config.spatial_dims
    norm = 4 if config.norm == "batch" else 0

    def block(n_in, n_out):
        first = 3**power * n_in * n_out + n_out
        return first + 3**power * n_out**2 + n_out + norm * n_out

    total = config.depth * (k[0] + 1) * config.out_channels
    for i, width in enumerate(k):
        total += block(config.in_channels if i == 0 else k[i - 1], width)
        for j in range(1, config.depth + 1 - i):
            if config.upsampling == "transposed":
                total += 2**power * k[i + 1] * width + width
                total += block((j + 1) * width, width)
            else:
                total += block(j * width + k[i + 1], width)
    return total


@pytest.mark.parametrize("upsampling", ["transposed", "linear", "nearest"])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("widths", [(5, 7), (8, 12, 20), (4, 4, 4, 4, 4, 4)])
def test_any_shape_has_the_size_of_the_general_form(upsampling, norm, dims, widths):
    config = NetworkConfig(
        spatial_dims=dims,
        widths=widths,
        in_channels=3,
        out_channels=4,
        upsampling=upsampling,
        norm=norm,
    )

    with torch.device("meta"):
        network = build_network(config)

    assert count(network) == expected_size(config)


def test_a_model_counts_its_parameters():
    config = ModelConfig(
        network=NetworkConfig(norm="none"),
        task="classes",
        class_names=("inside",),
        class_values=(1,),
    )

    with torch.device("meta"):
        model = Model.new(config)

    assert model.n_parameters == 9_041_700
    assert "9,041,700 parameters" in repr(model)
