"""Blocks that stop early: what goes on is exact, what stays repeats its last answer."""

from __future__ import annotations

import math

import pytest
import torch

from napari_unetpp.config import NetworkConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.nn import UNet
from napari_unetpp.nn._activity import Activity
from napari_unetpp.nn._adaptive import AdaptiveStream, Wanted
from napari_unetpp.nn._adaptive_size import adaptive_bytes
from napari_unetpp.nn._fused import FusedNetwork
from napari_unetpp.nn._gates import SURROUNDINGS, Gate
from napari_unetpp.nn._stream import Stream, stream_bytes

CASES = {
    "2-D": (NetworkConfig(widths=(8, 8, 8, 8, 8)), (160, 192)),
    "2-D, 3 classes, linear": (
        NetworkConfig(widths=(4, 6, 8, 8), out_channels=3, upsampling="linear"),
        (72, 96),
    ),
    "2-D nearest, uneven strides": (
        NetworkConfig(
            widths=(3, 4, 5, 6),
            strides=((2, 2), (2, 1), (1, 2)),
            upsampling="nearest",
        ),
        (60, 64),
    ),
    "3-D anisotropic": (
        NetworkConfig(spatial_dims=3, widths=(4, 5, 6), strides=((1, 2, 2), (2, 2, 2))),
        (12, 64, 128),
    ),
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Small convolutions take longer with two threads, which wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=CASES, ids=str)
def case(request, make_network):
    """A network sure of empty ground, and an image with something here and there."""
    config, shape = CASES[request.param]
    network = make_network(config)
    image = _blobs(shape)
    with torch.no_grad():
        logits = network(image[None])
        for head, found in zip(network.heads.values(), logits, strict=True):
            flat = found[0].flatten(1)
            gain = 4 / flat.std(1).clamp(min=1e-3)
            ground = flat.median(1).values
            head.weight.mul_(gain.view(-1, *[1] * (head.weight.ndim - 1)))
            head.bias.sub_(ground).mul_(gain)
            head.bias[0] += 7 if len(gain) > 1 else -7
    return network, image


def _blobs(shape):
    """Return (1, *shape): noise in a few places, and nothing elsewhere."""
    generator = torch.Generator().manual_seed(3)
    image = torch.zeros(1, *shape)
    for start in ((0,) * len(shape), tuple(n * 2 // 3 for n in shape)):
        box = tuple(
            slice(a, a + max(2, n // 8)) for a, n in zip(start, shape, strict=True)
        )
        part = image[(0, *box)]
        part.copy_(20 * torch.randn(part.shape, generator=generator))
    return image


def _run(stream, image, n_rows):
    """Push an image some rows at a time; return heads, and levels if there are any."""
    heads, depths = [], []
    for start in range(0, image.shape[1], n_rows):
        rows = image[:, start : start + n_rows].contiguous()
        heads.append(stream.push(rows, last=start + n_rows >= image.shape[1]))
        if isinstance(stream, AdaptiveStream):
            depths.append(stream.depths())
    return torch.cat(heads, 2), torch.cat(depths) if depths else None


def _streams(network, image, tolerance):
    """Return what all levels say, and what comes of stopping early."""
    every = range(1, network.config.depth + 1)
    fused = FusedNetwork(network, heads=every)
    temperatures = tuple(1 + j / 10 for j in every)
    step = fused.config.alignment()[0]
    plain, _ = _run(Stream(fused, image.shape[2:], temperatures), image, step)
    wanted = Wanted(tuple(every), temperatures, tolerance)
    early = AdaptiveStream(fused, tuple(image.shape[2:]), wanted)
    return plain, *_run(early, image, 3 * step), early


def test_a_tolerance_of_0_computes_everything(case):
    plain, heads, depths, stream = _streams(*case, 0.0)
    torch.testing.assert_close(heads, plain, rtol=0, atol=1e-6)
    assert (depths == case[0].config.depth).all()
    assert stream.work[0] >= stream.work[1]


def test_what_goes_on_is_exact_and_what_stays_repeats_its_last_answer(case):
    plain, heads, depths, stream = _streams(*case, 0.01)
    found = set(depths.unique().tolist())
    assert 1 in found, "nothing has stopped early"
    assert max(found) > 1, "nothing goes on"
    for j in range(1, len(plain) + 1):
        on = depths >= j
        torch.testing.assert_close(
            heads[j - 1][:, on], plain[j - 1][:, on], rtol=0, atol=1e-6
        )
        if j > 1:
            assert torch.equal(heads[j - 1][:, ~on], heads[j - 2][:, ~on])
    saved = 1 - stream.work[0] / stream.work[1]
    assert saved > 0 or depths.ndim == 3, "little is saved of small stacks"


def test_memory_may_hold_anything_before(case, monkeypatch):
    fresh = torch.empty

    def poisoned(*args, **kwargs):
        memory = fresh(*args, **kwargs)
        return memory.fill_(torch.nan) if memory.is_floating_point() else memory

    _, heads, depths, _ = _streams(*case, 0.01)
    monkeypatch.setattr(torch, "empty", poisoned)
    monkeypatch.setattr(
        torch.Tensor,
        "new_empty",
        lambda like, size, dtype=None: poisoned(size, dtype=dtype or like.dtype),
    )
    _, again, levels, _ = _streams(*case, 0.01)
    assert torch.equal(depths, levels)
    torch.testing.assert_close(again, heads, rtol=0, atol=1e-6)


def test_blocks_stop_as_a_whole(case):
    network, image = case
    *_, depths, _ = _streams(network, image, 0.01)
    edges = network.config.alignment()
    for at in range(0, depths.shape[0], edges[0]):
        block = depths[at : at + edges[0]]
        for axis, edge in enumerate(edges[1:], start=1):
            parts = block.unflatten(axis, (-1, edge))
            assert (parts == parts.narrow(axis + 1, 0, 1)).all()


def test_the_result_does_not_depend_on_how_rows_are_pushed(case):
    network, image = case
    every = tuple(range(1, network.config.depth + 1))
    fused = FusedNetwork(network, heads=every)
    wanted = Wanted(every, (1.0,) * len(every), 0.01)
    results = []
    for n_rows in (network.config.alignment()[0], image.shape[1]):
        stream = AdaptiveStream(fused, tuple(image.shape[2:]), wanted)
        results.append(_run(stream, image, n_rows))
    (first, levels), (second, others) = results
    assert torch.equal(levels, others)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


def test_only_wanted_heads_come_out(case):
    network, image = case
    depth = network.config.depth
    every = tuple(range(1, depth + 1))
    fused = FusedNetwork(network, heads=every)
    inner, ones = tuple(image.shape[2:]), (1.0,) * depth
    all_heads, _ = _run(
        AdaptiveStream(fused, inner, Wanted(every, ones, 0.01)), image, image.shape[1]
    )
    last, _ = _run(
        AdaptiveStream(fused, inner, Wanted((depth,), ones, 0.01)),
        image,
        image.shape[1],
    )
    assert torch.equal(last, all_heads[-1:])


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_memory_is_known_before(make_network, tolerance):
    network = make_network(NetworkConfig(widths=(4, 4, 4, 4)))
    image = torch.cat([_blobs((128, 64))] * 3, dim=1)
    *_, stream = _streams(network, image, tolerance)
    config, inner = stream.network.config, stream.inner
    step = 3 * config.alignment()[0]
    plain = stream_bytes(config, inner, torch.float32, step)
    assert stream.n_bytes <= adaptive_bytes(config, inner, torch.float32, plain)


def test_heads_that_decide_must_be_there(make_network):
    network = make_network(NetworkConfig(widths=(4, 4, 4)))
    fused = FusedNetwork(network, heads=(2,))
    with pytest.raises(SettingsError, match=r"adaptive=0\.1.*heads \(2,\).*1 to 2"):
        AdaptiveStream(fused, (32,), Wanted((2,), (1.0, 1.0), 0.1))


def test_a_unet_has_nothing_to_stop_at():
    network = UNet(NetworkConfig(architecture="unet", widths=(4, 4, 4))).eval()
    fused = FusedNetwork(network, heads=(2,))
    with pytest.raises(SettingsError, match="UNet"):
        AdaptiveStream(fused, (32,), Wanted((2,), (1.0,), 0.1))


@pytest.mark.parametrize("n_rows", [1, 7, 40])
def test_the_first_gate_looks_at_blocks_and_around_them(n_rows):
    generator = torch.Generator().manual_seed(0)
    shape, edges, tolerance = (40, 32), (8, 8), 0.25
    found = torch.ones(2, *shape)
    found[0] -= 0.3 * (torch.rand(shape, generator=generator) < 0.003)
    found[1] = 1 - found[0]
    activity = Activity((4,))
    gate = Gate(tolerance, edges, None, activity, (32,))
    for start in range(0, shape[0], n_rows):
        gate.look(found[:, start : start + n_rows], None)
        gate.decide(complete=start + n_rows >= shape[0])
    open_ = found.amax(0) < 1 - tolerance
    near = SURROUNDINGS
    for i in range(5):
        for j in range(4):
            rows = slice(max(0, 8 * i - near), 8 * i + 8 + near)
            columns = slice(max(0, 8 * j - near), 8 * j + 8 + near)
            assert activity.rows(i, i + 1)[0, j] == open_[rows, columns].any()
    assert activity.complete
    assert activity.n_known == 5


def test_a_deeper_gate_looks_at_what_the_level_has_changed():
    before, activity = Activity((2,)), Activity((2,))
    before.add(torch.tensor([[True, True], [False, True]]).numpy())
    before.complete = True
    above, found = torch.full((1, 16, 16), 0.5), torch.full((1, 16, 16), 0.55)
    found[0, 2, 3] = found[0, 10, 3] = 0.7  # of the second, the block has stopped
    gate = Gate(0.1, (8, 8), before, activity, (16,))
    gate.look(found, above)
    gate.decide(complete=True)
    assert activity.rows(0, 2).tolist() == [[True, False], [False, False]]


def test_counts_of_products_are_those_of_the_convolutions(make_network):
    network = make_network(NetworkConfig(widths=(3, 5, 6)))
    fused = FusedNetwork(network, heads=(1, 2))
    stream = AdaptiveStream(fused, (32,), Wanted((1, 2), (1.0, 1.0), 0.0))
    stream.push(torch.randn(1, 16, 32), last=True)
    products = 0
    for name, module in network.nodes.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            pixels = 16 * 32 // 4 ** int(name[0])
            products += pixels * module.in_channels * module.out_channels
    assert stream.work == (products, products)
    assert math.isfinite(products)
