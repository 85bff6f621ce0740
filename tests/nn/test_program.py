"""Programs of others: what their answers mean, and what they may call."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import packages
from napari_unetpp.config import NetworkConfig, ProgramConfig
from napari_unetpp.errors import ModelFileError, SettingsError
from napari_unetpp.nn import build_network
from napari_unetpp.nn._losses import probabilities
from napari_unetpp.nn._program import check_torchscript, in_order, logits_of


def how(**settings: object) -> ProgramConfig:
    return ProgramConfig(
        **{
            "kind": "torchscript",
            "n_bytes": 1,
            "n_channels": 2,
            "halo": (4, 4),
            "least": (4, 4),
            **settings,
        }
    )


RAW = torch.randn(1, 2, 3, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("activation", ["softmax", "none"])
def test_classes_that_exclude_each_other_keep_their_chances(activation) -> None:
    chances = RAW.softmax(1)
    raw = RAW if activation == "softmax" else chances
    logits = logits_of(how(activation=activation, meaning="exclusive"), raw)
    assert torch.allclose(probabilities(logits), chances, atol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", "none"])
def test_one_channel_is_a_class_against_the_background(activation) -> None:
    raw = RAW[:, :1] if activation == "sigmoid" else RAW[:, :1].sigmoid()
    found = how(activation=activation, meaning="independent", n_channels=1)
    chances = probabilities(logits_of(found, raw))
    assert chances.shape[1] == found.n_classes == 2
    assert torch.allclose(chances[:, 1:], RAW[:, :1].sigmoid(), atol=1e-5)


def test_foreground_with_outlines_becomes_objects() -> None:
    found = how(activation="sigmoid", meaning="outlined")
    chances = probabilities(logits_of(found, RAW))
    inside, outline = RAW.sigmoid()[:, 0], RAW.sigmoid()[:, 1]
    assert found.n_classes == 3
    assert torch.allclose(chances[:, 0], 1 - inside, atol=1e-5)
    assert torch.allclose(chances[:, 1], inside * (1 - outline), atol=1e-5)


def test_axes_come_in_any_order() -> None:
    x = torch.arange(2 * 3 * 5 * 7).reshape(2, 3, 5, 7)
    assert torch.equal(in_order(x, "bcyx", "byxc"), x.permute(0, 2, 3, 1))
    assert torch.equal(in_order(x[:1], "bcyx", "cyx"), x[0])
    assert torch.equal(in_order(x[0, 0], "yx", "bcyx"), x[:1, :1])


class LastChannel(nn.Module):
    """A program that wants its channels last, and one image at once."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x, 2 * x]


def test_a_program_is_run_in_its_own_order_and_size() -> None:
    content = packages.scripted(LastChannel(), torch.zeros(4, 4, 2))
    program = how(
        n_bytes=len(content),
        input_axes="yxc",
        output_axes="yxc",
        output=1,
        least=(8, 8),
        activation="softmax",
    )
    config = NetworkConfig(
        architecture="program",
        in_channels=2,
        out_channels=2,
        widths=(8, 8),
        strides=((4, 4),),
        program=program,
    )
    network = build_network(config)
    network.program.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    x = torch.rand(3, 2, 4, 8)
    (found,) = network(x)
    assert torch.allclose(found, 2 * x)
    assert torch.equal(copy.deepcopy(network)(x)[0], found)
    assert network.receptive_field() == (4, 4)
    with pytest.raises(SettingsError, match="level 2 does not exist"):
        network(x, level=2)


class Harmless(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 1:
            x = torch.cat([x, x.mean(0, keepdim=True)])
        return torch.nn.functional.interpolate(x.relu(), scale_factor=2.0)


def test_networks_are_let_through_and_readers_of_files_are_not() -> None:
    for network, pixels in (
        (packages.network(2, 1, 2), torch.rand(1, 1, 16, 16)),
        (packages.network(3, 1, 2), None),
        (Harmless(), None),
    ):
        check_torchscript(packages.scripted(network, pixels))
    with pytest.raises(ModelFileError, match="from_file"):
        check_torchscript(packages.scripted(packages.ReadsAFile(), None))
    with pytest.raises(ModelFileError, match="not TorchScript"):
        check_torchscript(b"something else")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"torch.relu", b"torch .  save"),
        (b"torch.relu", b'getattr(torch, "save")'),
        (b"torch.relu(", b"(x).save("),
    ],
)
def test_other_ways_to_say_it_are_seen_too(old: bytes, new: bytes) -> None:
    import io
    import zipfile

    content = packages.scripted(packages.network(2, 1, 2), torch.rand(1, 1, 16, 16))
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(changed, "w") as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(old, new))
    with pytest.raises(ModelFileError, match="which is not among"):
        check_torchscript(changed.getvalue())


def test_a_program_and_what_it_means_go_together() -> None:
    with pytest.raises(ValueError, match="do not go together"):
        NetworkConfig(architecture="program")
    with pytest.raises(ValueError, match="needs 2 channels"):
        how(meaning="outlined", n_channels=3)
    with pytest.raises(ValueError, match="y and x are needed"):
        how(input_axes="bcx")
