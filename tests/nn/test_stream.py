"""Rows that flow through a network give what one forward pass gives."""

from __future__ import annotations

import pytest
import torch

from napari_unetpp.config import NetworkConfig
from napari_unetpp.errors import InputError, SettingsError
from napari_unetpp.nn import build_network
from napari_unetpp.nn._fused import FusedNetwork, supported
from napari_unetpp.nn._heads import steady_probabilities
from napari_unetpp.nn._kernels import Kernels, group_of, grouped
from napari_unetpp.nn._losses import probabilities
from napari_unetpp.nn._onednn import OneDnn, is_there
from napari_unetpp.nn._receptive_field import receptive_field
from napari_unetpp.nn._stream import Stream, plan_stream, stream_bytes

pytestmark = pytest.mark.usefixtures("one_thread")

needs_onednn = pytest.mark.skipif(not is_there(), reason="torch without oneDNN")

SHAPES = {
    "narrow": ({"widths": (4, 8, 16)}, (10, 7)),
    "odd, no norm": ({"widths": (3, 5, 7), "norm": "none"}, (9, 6)),
    "deep, colour": (
        {"widths": (8, 8, 16, 16, 24), "in_channels": 3, "out_channels": 3},
        (4, 2),
    ),
    "linear": ({"widths": (4, 8, 16), "upsampling": "linear"}, (10, 5)),
    "nearest": ({"widths": (4, 8, 16), "upsampling": "nearest"}, (10, 5)),
    "uneven strides": ({"widths": (4, 8, 16), "strides": ((3, 2), (2, 1))}, (9, 11)),
    "uneven, linear": (
        {"widths": (4, 6, 8), "strides": ((1, 2), (3, 4)), "upsampling": "linear"},
        (11, 4),
    ),
    "uneven, nearest": (
        {"widths": (4, 6, 8), "strides": ((3, 1), (1, 2)), "upsampling": "nearest"},
        (11, 9),
    ),
    "U-Net": ({"widths": (4, 8, 16), "architecture": "unet"}, (10, 6)),
    "3-D": ({"widths": (4, 8, 12), "spatial_dims": 3}, (6, 3, 4)),
    "3-D anisotropic": (
        {
            "widths": (4, 8, 12),
            "spatial_dims": 3,
            "strides": ((1, 2, 2), (2, 2, 2)),
            "upsampling": "linear",
        },
        (9, 3, 2),
    ),
}


@pytest.fixture(params=SHAPES)
def case(request, make_network):
    """A network and an image (C, *S)."""
    settings, blocks = SHAPES[request.param]
    config = NetworkConfig(**settings)
    size = [n * a for n, a in zip(blocks, config.alignment(), strict=True)]
    generator = torch.Generator().manual_seed(2)
    return make_network(config), torch.rand(
        config.in_channels, *size, generator=generator
    )


def heads_of(config):
    last = config.depth
    return [last] if config.architecture == "unet" else list(range(1, last + 1))


def streamed(network, image, step=10**6, **options):
    """All rows of an image, pushed `step` at a time, (H, K, *S)."""
    stream = Stream(network, tuple(image.shape[2:]), **options)
    n = image.shape[1]
    found = [
        stream.push(image[:, start : start + step], last=start + step >= n)
        for start in range(0, n, step)
    ]
    return torch.cat(found, dim=2)


def whole(network, image):
    with torch.inference_mode():
        return torch.stack(network(image[None]), dim=1)[0]


def as_probabilities(logits):
    return torch.stack([probabilities(head[None])[0] for head in logits])


@pytest.mark.parametrize("kernels", [Kernels, pytest.param(OneDnn, marks=needs_onednn)])
def test_float32_equals_one_forward_pass_in_float64(case, kernels):
    network, image = case
    fused = FusedNetwork(network, heads=heads_of(network.config), kernels=kernels())
    found = streamed(fused, image, network.config.alignment()[0])
    eager = whole(network, image)
    exact = whole(network.double(), image.double())
    assert exact.std() > 0.1
    assert (found - exact).abs().max() <= 1e-5 * exact.abs().max()
    difference = as_probabilities(found) - as_probabilities(exact)
    assert difference.abs().max() <= 1e-5
    assert (as_probabilities(found) - as_probabilities(eager)).abs().max() <= 1e-5


def test_bfloat16_is_near_by(case):
    network, image = case
    fused = FusedNetwork(network, heads=heads_of(network.config), dtype=torch.bfloat16)
    found = as_probabilities(streamed(fused, image))
    difference = (found - as_probabilities(whole(network, image))).abs()
    # Eight bits of a product, and some ten roundings behind each other.
    assert 0 < difference.max() < 0.06
    assert difference.mean() < 0.01


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_bit_depends_on_blocks_threads_or_heads(case, dtype):
    network, image = case
    config = network.config
    heads = heads_of(config)
    fused = FusedNetwork(network, heads=heads, dtype=dtype)
    expected = streamed(fused, image)
    for step in (1, 3):
        found = streamed(fused, image, step * config.alignment()[0])
        assert torch.equal(found, expected)
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            assert torch.equal(streamed(fused, image), expected)
    finally:
        torch.set_num_threads(before)
    last = FusedNetwork(network, heads=heads[-1:], dtype=dtype)
    assert torch.equal(streamed(last, image), expected[-1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_tile_has_the_bits_of_the_whole(dims, dtype, make_network):
    config = NetworkConfig(widths=(8, 12, 16), spatial_dims=dims)
    halo, unit = receptive_field(config, 2)[0], config.alignment()[0]
    halo = -(-halo // unit) * unit
    size = [2 * halo + 4 * unit] * dims
    image = torch.rand(1, *size, generator=torch.Generator().manual_seed(4))
    fused = FusedNetwork(make_network(config), heads=[1, 2], dtype=dtype)
    expected = streamed(fused, image)
    first = unit  # the tile begins here, its core a halo later
    span = slice(first, first + 2 * halo + unit)
    core = slice(first + halo, first + halo + unit)
    tile = streamed(fused, image[(slice(None), *[span] * dims)])
    middle = tile[(..., *[slice(halo, halo + unit)] * dims)]
    assert torch.equal(middle, expected[(..., *[core] * dims)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dims", [2, 3])
def test_nothing_is_read_that_nobody_wrote(dims, dtype, make_network):
    """The smallest images, in memory full of numbers that would be seen."""
    config = NetworkConfig(widths=(4, 8, 16), spatial_dims=dims)
    network = make_network(config)
    for blocks in ((1,) * dims, (2, *(1,) * (dims - 1)), (1, *(2,) * (dims - 1))):
        image = torch.rand(1, *(4 * n for n in blocks))
        expected = whole(network, image)
        for value in (float("nan"), 1e30):
            rubbish = [torch.full((n,), value) for n in (16, 100, 900, 5000) * 8]
            del rubbish
            fused = FusedNetwork(network, heads=[1, 2], dtype=dtype)
            rubbish = [torch.full((n,), value) for n in (16, 100, 900, 5000) * 8]
            del rubbish
            assert (streamed(fused, image) - expected).abs().max() < 0.1


def test_rows_come_out_as_soon_as_they_can(make_network):
    config = NetworkConfig(widths=(4, 8, 16))
    fused = FusedNetwork(make_network(config), heads=[1, 2])
    stream = Stream(fused, (8,))
    image = torch.rand(1, 200, 8)
    given = 0
    for start in range(0, 200, 4):
        given += stream.push(image[:, start : start + 4]).shape[2]
        lag = start + 4 - given
        assert lag <= receptive_field(config, 2)[0]
    assert stream.push(image[:, :0]).shape == (2, 1, 0, 8)
    rest = stream.push(image[:, :0], last=True)
    assert given + rest.shape[2] == 200


def test_memory_is_known_before_and_does_not_grow(make_network):
    config = NetworkConfig(widths=(4, 8, 16, 32), out_channels=3)
    fused = FusedNetwork(make_network(config), heads=[1, 2, 3])
    for inner in ((64,), (1024,)):
        plan = plan_stream(config, (1, 2, 3), inner, torch.float32)
        stream = Stream(fused, inner)
        rows = torch.rand(1, 48, *inner)
        for _ in range(12):
            stream.push(rows)
        stream.push(rows, last=True)
        assert stream.n_bytes == plan.n_bytes
        assert plan.n_bytes < stream_bytes(config, inner, torch.float32, 48)
    short = plan_stream(config, (1, 2, 3), (1024,), torch.float32, n_rows=16)
    assert short.n_bytes < 0.6 * plan.n_bytes
    # Of a long image some rows alone are kept.
    a_row = 1024 * 4 * sum(4 * (4 - i) * 2**i / 4**i for i in range(4))
    assert plan.n_bytes < 700 * a_row


def test_temperatures_make_probabilities(case):
    network, image = case
    heads = heads_of(network.config)
    fused = FusedNetwork(network, heads=heads)
    temperatures = [1.0, 2.5, 0.5, 1.5][: len(heads)]
    found = streamed(fused, image, temperatures=temperatures)
    logits = streamed(fused, image).double()
    exact = torch.stack(
        [
            probabilities(head[None] / t)[0]
            for head, t in zip(logits, temperatures, strict=True)
        ]
    )
    assert (found - exact).abs().max() < 5e-7


@pytest.mark.parametrize("n_classes", [1, 2, 3, 7])
def test_a_probability_does_not_depend_on_where_its_pixel_stands(n_classes):
    logits = 40 * torch.randn(n_classes, 5000)
    expected = steady_probabilities(logits)
    assert torch.isfinite(expected).all()
    exact = as_probabilities(logits[None].double())[0]
    assert (expected - exact).abs().max() < 1e-6
    for start, stop in ((0, 1), (1, 18), (3, 1000), (17, 4999)):
        part = steady_probabilities(logits[:, start:stop])
        assert torch.equal(part, expected[:, start:stop])


@needs_onednn
@pytest.mark.parametrize("group", [2, 4, 8])
def test_pixels_taken_together_have_the_bits_of_those_taken_alone(group):
    """The kernel of a group adds zeros, which change no sum."""
    rows, weight = torch.randn(6, 32, 4), torch.randn(4, 4, 3, 3)
    image = rows.movedim(-1, 0)[None]
    alone = torch.mkldnn_convolution(image, weight, None, (0, 1), (1, 1), (1, 1), 1)
    wide = grouped(weight, group)
    together = torch.mkldnn_convolution(
        image, wide, None, (0, 1), (1, group), (1, 1), 1
    )  # (1, group * 4, 4, 32 / group)
    found = together[0].movedim(0, -1).reshape(4, 32, 4)
    assert torch.equal(found, alone[0].movedim(0, -1))


def test_groups_fill_the_vector_units():
    assert group_of(8, 16) == 2
    assert group_of(4, 16) == 4
    assert [group_of(n, 16) for n in (16, 32, 48, 512)] == [1, 1, 1, 1]
    assert group_of(8, 3) == 1  # no group divides such rows


def test_the_network_may_change_afterwards(make_network):
    network = make_network(NetworkConfig(widths=(4, 8)))
    fused = FusedNetwork(network, heads=[1])
    image = torch.rand(1, 8, 8)
    expected = streamed(fused, image)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert torch.equal(streamed(fused, image), expected)


def test_half_the_bytes_in_bfloat16():
    network = build_network(NetworkConfig(widths=(16, 32, 64)))
    sizes = [
        FusedNetwork(network, heads=[2], dtype=dtype).n_bytes
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_what_does_not_fit_is_refused(make_network):
    fused = FusedNetwork(make_network(NetworkConfig(widths=(4, 8, 16))), heads=[1, 2])
    for inner in ((6,), (0,), (4, 4)):
        with pytest.raises(InputError, match=r"rows of size .*multiples of \(4,\)"):
            Stream(fused, inner)
    stream = Stream(fused, (8,))
    for shape in ((2, 4, 8), (1, 3, 8), (1, 4, 4), (1, 4, 8, 8)):
        with pytest.raises(InputError, match=r"\(1, k, 8\) is needed"):
            stream.push(torch.zeros(shape))
    stream.push(torch.zeros(1, 4, 8), last=True)
    with pytest.raises(InputError, match="make a new stream"):
        stream.push(torch.zeros(1, 4, 8))
    with pytest.raises(SettingsError, match="heads="):
        FusedNetwork(make_network(NetworkConfig(widths=(4, 8, 16))), heads=[3])


def test_our_own_networks_are_supported():
    assert supported(NetworkConfig())
    assert supported(NetworkConfig(architecture="unet"))
