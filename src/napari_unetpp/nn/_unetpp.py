r"""UNet++ with a head on every full-resolution node, and U-Net as its baseline.

Node X[i, j] stands at level i (0 is full resolution) and place j of the skip path::

    X[0,0] ── X[0,1] ── X[0,2] ── X[0,3] ── X[0,4]     heads 1, 2, 3, 4
         \   /     \   /     \   /     \   /
         X[1,0] ── X[1,1] ── X[1,2] ── X[1,3]
              \   /     \   /     \   /
              X[2,0] ── X[2,1] ── X[2,2]
                   \   /     \   /
                   X[3,0] ── X[3,1]
                        \   /
                        X[4,0]

Zhou et al., DLMIA 2018 (arXiv 1807.10165) and IEEE TMI 39(6), 2020 (arXiv 1912.05074):
``X[i,0] = H(pool(X[i-1,0]))`` and
``X[i,j] = H(concat(X[i,0], ..., X[i,j-1], U(X[i+1,j-1])))``.
Level d needs the nodes with i + j <= d alone; so head d is a network of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from napari_unetpp.errors import InputError, SettingsError
from napari_unetpp.nn._blocks import Block, Up, down, head
from napari_unetpp.nn._learning import computed_again, learnt
from napari_unetpp.nn._receptive_field import receptive_field

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.config import NetworkConfig


class Network(nn.Module):
    """What UNet++ and U-Net share: a config, heads and checks of the input."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.saves_memory = False
        """Whether it learns without keeping the maps within its nodes."""

    def forward(self, x: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Return the logits of the heads; see the network's own class."""
        raise TypeError(f"{type(self).__name__} has no forward pass of its own")

    def receptive_field(self, level: int | None = None) -> tuple[int, ...]:
        """Return how far, along each axis, a pixel of head `level` looks.

        Parameters
        ----------
        level : int, optional
            Head whose reach is asked for, 1...L; the deepest by default.

        Returns
        -------
        tuple of int
            Radius in pixels along each spatial axis, exact over all phases of the
            pooling grid: no input further away changes the pixel, and one that far
            away does.
        """
        return receptive_field(self.config, self.check_level(level))

    def _node(self, block: nn.Module, *maps: Tensor) -> Tensor:
        """Return what a node makes of the maps that it reads."""
        if not self.training:
            return cast("Tensor", block(torch.cat(maps, 1) if maps[1:] else maps[0]))
        if self.saves_memory:
            return computed_again(block, *maps)
        return learnt(block, *maps)

    def check_level(self, level: int | None) -> int:
        """Return `level`, or the depth for ``None``; refuse what is not there."""
        if level is None:
            return self.config.depth
        if not 1 <= level <= self.config.depth:
            raise SettingsError(
                f"level {level} does not exist: this network has the levels 1 to"
                f" {self.config.depth}; choose one of them"
            )
        return level

    def check_input(self, x: Tensor, level: int) -> None:
        """Refuse a batch whose shape the network cannot take."""
        config = self.config
        if x.ndim != config.spatial_dims + 2 or x.shape[1] != config.in_channels:
            raise InputError(
                f"input of shape {tuple(x.shape)}: this network takes (N,"
                f" {config.in_channels}, {'Z, ' * (config.spatial_dims - 2)}Y, X)"
            )
        multiple = config.alignment(level)
        if any(n % m or n == 0 for n, m in zip(x.shape[2:], multiple, strict=True)):
            raise InputError(
                f"input of size {tuple(x.shape[2:])}: level {level} needs multiples of"
                f" {multiple}; pad the image, or use napari_unetpp.predict, which does"
            )


class UNetPlusPlus(Network):
    """UNet++ (nested U-Net) with deep supervision, in two or three dimensions.

    Parameters
    ----------
    config : NetworkConfig
        Dimensions, channels, widths, strides, up-sampling and norm.

    References
    ----------
    Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
    DLMIA 2018; "UNet++: Redesigning Skip Connections to Exploit Multiscale Features in
    Image Segmentation", IEEE TMI 39(6):1856-1867, 2020.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        widths, depth = config.widths, config.depth
        self.nodes = nn.ModuleDict()
        self.ups = nn.ModuleDict()
        for i in range(depth + 1):
            n_in = config.in_channels if i == 0 else widths[i - 1]
            self.nodes[f"{i}_0"] = Block(config, n_in, widths[i])
            for j in range(1, depth + 1 - i):
                up = Up(config, i)
                self.ups[f"{i}_{j}"] = up
                self.nodes[f"{i}_{j}"] = Block(
                    config, j * widths[i] + up.n_out, widths[i]
                )
        self.heads = nn.ModuleDict({str(j): head(config) for j in range(1, depth + 1)})

    def forward(self, x: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Compute the heads 1...`level` in one pass.

        Parameters
        ----------
        x : Tensor
            Normalised image of shape (N, in_channels, (Z,) Y, X); sizes are multiples
            of ``config.alignment(level)``.
        level : int, optional
            Only the nodes with i + j <= level are computed; all by default.

        Returns
        -------
        tuple of Tensor
            Logits of the heads 1...level, each (N, out_channels, (Z,) Y, X).

        Raises
        ------
        InputError
            If the shape does not fit.
        SettingsError
            If there is no such level.
        """
        level = self.check_level(level)
        self.check_input(x, level)
        rows: list[list[Tensor]] = [[] for _ in range(level + 1)]  # rows[i][j] = X[i,j]
        for diagonal in range(level + 1):
            for j in range(diagonal + 1):
                i = diagonal - j
                block = self.nodes[f"{i}_{j}"]
                rows[i].append(self._node(block, *self._inputs(x, rows, i, j)))
        return tuple(self.heads[str(j)](rows[0][j]) for j in range(1, level + 1))

    def prune(self, level: int) -> UNetPlusPlus:
        """Return the smaller network that ends at head `level`.

        It has only the nodes with i + j <= level, shares no memory with this one, and
        its heads are bit-identical to the same heads here.
        """
        level = self.check_level(level)
        config = self.config.model_copy(
            update={
                "widths": self.config.widths[: level + 1],
                "strides": self.config.strides[:level],
            }
        )
        pruned = UNetPlusPlus(config)
        state = self.state_dict()
        pruned.load_state_dict({key: state[key] for key in pruned.state_dict()})
        parameter = next(self.parameters())
        pruned.to(parameter.device, parameter.dtype)
        return pruned.train(self.training)

    def _inputs(
        self, x: Tensor, rows: list[list[Tensor]], i: int, j: int
    ) -> list[Tensor]:
        """Gather what node X[i,j] reads."""
        if j == 0:
            return [x if i == 0 else down(self.config, i - 1, rows[i - 1][0])]
        return [*rows[i][:j], self.ups[f"{i}_{j}"](rows[i + 1][j - 1])]


class UNet(Network):
    """U-Net built from the same blocks; its one head answers as head L of UNet++."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        widths, depth = config.widths, config.depth
        ups = [Up(config, i) for i in range(depth)]
        inputs = [config.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            [Block(config, n, w) for n, w in zip(inputs, widths, strict=True)]
        )
        self.ups = nn.ModuleList(ups)
        self.decoder = nn.ModuleList(
            [Block(config, widths[i] + ups[i].n_out, widths[i]) for i in range(depth)]
        )
        self.head = head(config)

    def check_level(self, level: int | None) -> int:
        """Return the depth, the only level there is; refuse any other."""
        if super().check_level(level) != self.config.depth:
            raise SettingsError(
                f"level {level}: a U-Net has no heads but the last; use a UNet++ model"
                " for fast mode at a shallower level"
            )
        return self.config.depth

    def forward(self, x: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Return the logits of the only head as a tuple of one.

        Parameters
        ----------
        x : Tensor
            Normalised image of shape (N, in_channels, (Z,) Y, X).
        level : int, optional
            A U-Net has no shallower answer: only its depth is taken.

        Returns
        -------
        tuple of Tensor
            One tensor (N, out_channels, (Z,) Y, X).
        """
        self.check_input(x, self.check_level(level))
        skips: list[Tensor] = []
        for i, block in enumerate(self.encoder):
            x = self._node(block, x if i == 0 else down(self.config, i - 1, x))
            skips.append(x)
        for i in reversed(range(self.config.depth)):
            x = self._node(self.decoder[i], skips[i], self.ups[i](x))
        return (cast("Tensor", self.head(x)),)


def build_network(config: NetworkConfig) -> Network:
    """Return a new, randomly initialised network of the shape that `config` names."""
    if config.architecture == "program":  # which imports this module
        from napari_unetpp.nn._program import ProgramNetwork

        return ProgramNetwork(config)
    return {"unetpp": UNetPlusPlus, "unet": UNet}[config.architecture](config)
