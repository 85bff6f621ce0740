"""The grid of nodes: what is computed, what is kept, what learns."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from napari_unetpp.config import ModelConfig, NetworkConfig
from napari_unetpp.errors import InputError, SettingsError
from napari_unetpp.nn import Model, UNet, UNetPlusPlus, build_network


def nodes_of_level(level):
    return {f"{i}_{j}" for i in range(level + 1) for j in range(level + 1 - i)}


def test_heads_have_the_size_of_the_image(config, network, image):
    logits = network(image)

    assert type(logits) is tuple
    assert [each.shape for each in logits] == [
        (len(image), config.out_channels, *image.shape[2:])
    ] * config.depth


def test_forward_returns_a_tuple_of_the_level_in_any_mode(config, network, image):
    for training in (True, False):
        network.train(training)
        for level in range(1, config.depth + 1):
            logits = network(image, level=level)
            assert type(logits) is tuple
            assert len(logits) == level


def test_heads_are_those_of_the_papers_formula(config, network, image):
    """X[i,j] = H(concat(X[i,0], ..., X[i,j-1], U(X[i+1,j-1]))), by plain recursion."""

    def node(i, j):
        if j:
            skips = [node(i, q) for q in range(j)]
            x = torch.cat([*skips, up(i, j, node(i + 1, j - 1))], 1)
        elif i:
            pool = F.max_pool2d if config.spatial_dims == 2 else F.max_pool3d
            x = pool(node(i - 1, 0), config.level_strides[i - 1])
        else:
            x = image
        return network.nodes[f"{i}_{j}"](x)

    def up(i, j, x):
        if config.upsampling == "transposed":
            return network.ups[f"{i}_{j}"].transposed(x)
        mode = {"nearest": "nearest", "linear": "bilinear"}[config.upsampling]
        stride = tuple(float(s) for s in config.level_strides[i])
        return F.interpolate(x, scale_factor=stride, mode=mode)

    with torch.inference_mode():
        for j, logits in enumerate(network(image), start=1):
            assert torch.equal(logits, network.heads[str(j)](node(0, j)))


def test_a_block_is_two_convolutions_each_with_norm_and_relu():
    block = build_network(NetworkConfig(widths=(3, 4))).nodes["1_0"]
    plain = build_network(NetworkConfig(widths=(3, 4), norm="none")).nodes["1_0"]

    convolution = [nn.Conv2d, nn.ReLU]
    assert [type(m) for m in plain] == convolution * 2
    assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2
    assert all(m.bias is not None for m in block if isinstance(m, nn.Conv2d))


def test_a_level_calls_only_its_own_blocks(config, network, image):
    called = []
    for part in (*network.nodes.items(), *network.ups.items(), *network.heads.items()):
        name, module = part
        module.register_forward_hook(
            lambda module, _inputs, _output, name=name: called.append(
                (type(module).__name__, name)
            )
        )

    for level in range(1, config.depth + 1):
        called.clear()
        network(image, level=level)

        blocks = [name for kind, name in called if kind == "Block"]
        ups = {name for kind, name in called if kind == "Up"}
        heads = {name for kind, name in called if kind not in {"Block", "Up"}}
        wanted = nodes_of_level(level)
        assert sorted(blocks) == sorted(wanted)
        assert ups == {name for name in wanted if not name.endswith("_0")}
        assert heads == {str(j) for j in range(1, level + 1)}


def test_a_level_gives_the_same_bits_as_the_whole_network(config, network, image):
    with torch.inference_mode():
        whole = network(image)
        for level in range(1, config.depth + 1):
            for ours, theirs in zip(network(image, level=level), whole, strict=False):
                assert torch.equal(ours, theirs)


def test_pruned_is_bit_identical_to_its_head(config, network, image):
    with torch.inference_mode():
        whole = network(image)
        for level in range(1, config.depth + 1):
            pruned = network.prune(level)(image)
            assert len(pruned) == level
            for ours, theirs in zip(pruned, whole, strict=False):
                assert torch.equal(ours, theirs)


def test_pruned_has_only_the_nodes_it_needs(config, network):
    sizes = []
    for level in range(1, config.depth + 1):
        pruned = network.prune(level)
        assert set(pruned.nodes) == nodes_of_level(level)
        assert set(pruned.ups) == {
            name for name in nodes_of_level(level) if not name.endswith("_0")
        }
        assert set(pruned.heads) == {str(j) for j in range(1, level + 1)}
        assert pruned.config.depth == level
        assert pruned.receptive_field() == network.receptive_field(level)
        assert pruned.config.alignment() == config.alignment(level)
        sizes.append(sum(p.numel() for p in pruned.parameters()))
    assert sizes == sorted(set(sizes))


def test_pruned_shares_no_memory_and_keeps_type_and_mode(network, image):
    network = network.double()
    before = network.prune(1)(image.double())[0]

    pruned = network.prune(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()

    assert not pruned.training
    assert network.train().prune(1).training
    assert torch.equal(pruned(image.double())[0], before)


def test_every_head_and_node_learns(config, network, image):
    network.train()

    sum(logits.square().mean() for logits in network(image)).backward()

    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    for parts in (network.nodes, network.ups, network.heads):
        for name, part in parts.items():
            gradients = [p.grad.abs().sum() for p in part.parameters()]
            assert not gradients or max(gradients) > 0, name


def test_a_head_teaches_the_nodes_of_its_level_and_no_other(network, image):
    for level in range(1, network.config.depth + 1):
        network.zero_grad(set_to_none=True)
        network(image)[level - 1].square().mean().backward()
        learning = {
            name
            for name, block in network.nodes.items()
            if any(p.grad is not None for p in block.parameters())
        }
        assert learning == nodes_of_level(level)


@pytest.mark.parametrize("architecture", ["unetpp", "unet"])
def test_other_sizes_and_channels_are_refused_with_the_cure(architecture):
    config = NetworkConfig(architecture=architecture, widths=(3, 4, 5), in_channels=2)
    network = build_network(config)

    with pytest.raises(InputError, match=r"\(10, 12\).*multiples of \(4, 4\); pad"):
        network(torch.zeros(1, 2, 10, 12))
    with pytest.raises(InputError, match=r"\(0, 4\)"):
        network(torch.zeros(1, 2, 0, 4))
    for shape in [(1, 1, 8, 8), (2, 8, 8), (1, 2, 8, 8, 8)]:
        with pytest.raises(InputError, match=r"this network takes \(N, 2, Y, X\)"):
            network(torch.zeros(shape))


def test_3d_shapes_are_named_with_z():
    network = build_network(NetworkConfig(spatial_dims=3, widths=(3, 4)))

    with pytest.raises(InputError, match=r"takes \(N, 1, Z, Y, X\)"):
        network(torch.zeros(1, 1, 8, 8))


def test_a_shallower_level_takes_smaller_multiples():
    network = build_network(NetworkConfig(widths=(3, 4, 5)))

    assert network(torch.zeros(1, 1, 6, 2), level=1)[0].shape == (1, 1, 6, 2)


@pytest.mark.parametrize("level", [0, -1, 5])
def test_a_level_that_is_not_there_is_refused(level):
    network = build_network(NetworkConfig(widths=(3, 4, 5)))
    rule = f"level {level} does not exist.*levels 1 to 2"

    with pytest.raises(SettingsError, match=rule):
        network(torch.zeros(1, 1, 4, 4), level=level)
    with pytest.raises(SettingsError, match=rule):
        network.prune(level)
    with pytest.raises(SettingsError, match=rule):
        network.receptive_field(level)


def test_unet_has_the_same_interface_with_one_head(config, image):
    unet = build_network(config.model_copy(update={"architecture": "unet"})).eval()

    logits = unet(image)

    assert type(unet) is UNet
    assert type(logits) is tuple
    assert len(logits) == unet.config.n_heads == 1
    assert logits[0].shape == (len(image), config.out_channels, *image.shape[2:])
    assert torch.equal(unet(image, level=config.depth)[0], logits[0])
    logits[0].square().mean().backward()
    assert all(p.grad is not None for p in unet.parameters())


def test_unet_refuses_a_shallower_level():
    unet = build_network(NetworkConfig(architecture="unet", widths=(3, 4, 5)))

    with pytest.raises(SettingsError, match="level 1: a U-Net has no heads but"):
        unet(torch.zeros(1, 1, 4, 4), level=1)


def instance_model(architecture="unetpp"):
    network = NetworkConfig(
        architecture=architecture, widths=(3, 4, 5), out_channels=3, strides=()
    )
    return Model.new(
        ModelConfig(
            name="small",
            network=network,
            task="instances",
            class_names=("background", "interior", "boundary"),
            class_values=(0, 1, 2),
        )
    )


def test_a_model_prunes_its_network_and_config_together():
    model = instance_model()

    pruned = model.prune(1)

    assert isinstance(pruned.network, UNetPlusPlus)
    assert pruned.config.network == pruned.network.config
    assert pruned.config.network.widths == (3, 4)
    assert pruned.config.class_names == model.config.class_names
    assert pruned.n_parameters < model.n_parameters


def test_repr_of_a_model_says_what_it_is():
    model = instance_model()

    assert re.fullmatch(
        r"Model\('small': 2-D instances, classes background, interior, boundary;"
        r" UNetPlusPlus of widths \(3, 4, 5\), [\d,]+ parameters\)",
        repr(model),
    )


def test_a_unet_model_stays_whole_at_its_depth_and_refuses_the_rest():
    model = instance_model("unet")

    assert model.prune(2) is model
    with pytest.raises(SettingsError):
        model.prune(3)
    with pytest.raises(SettingsError, match="no heads but the last"):
        model.prune(1)
