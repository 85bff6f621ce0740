"""A network made ready for inference: batch norm folded, weights laid out for kernels.

Only what the wanted heads need is kept. A convolution over joined maps is the sum of
convolutions over each, so its weights are cut into one part for every map it reads and
nothing is ever joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from napari_unetpp.nn._graph import graph_of
from napari_unetpp.nn._kernels import LANES, Kernels, NoKernels, group_of, grouped
from napari_unetpp.nn._onednn import OneDnn, is_there
from napari_unetpp.nn._unetpp import UNet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_unetpp.config import NetworkConfig
    from napari_unetpp.nn._blocks import Block
    from napari_unetpp.nn._graph import Node, Place
    from napari_unetpp.nn._unetpp import Network


_USUAL_EDGE = {2: 256, 3: 48}


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution of edge 3 over maps that are not joined.

    Attributes
    ----------
    parts : tuple of Tensor
        Weights (n_out, n_in, 3, 3(, 3)) for each of the maps that are read.
    bias : Tensor
        (n_out,).
    stride : tuple of int
        1 along each axis, but along the last as many pixels as are computed as one
        (see `group_of`); the weights are so much wider.
    """

    parts: tuple[Tensor, ...]
    bias: Tensor
    stride: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodeWeights:
    """Weights of a node: two convolutions, and the up-sampling of what lies below.

    Attributes
    ----------
    first, second : Convolution
        What the node computes, each followed by a ReLU.
    up : tuple of Tensor, optional
        Weights and biases of the transposed convolution, as `Kernels.transposed` reads
        them.
    """

    first: Convolution
    second: Convolution
    up: tuple[Tensor, Tensor] | None = None


class FusedNetwork:
    """A network ready for inference on a CPU; it does not change and may be shared.

    Parameters
    ----------
    network : Network
        Trained; it is copied.
    heads : sequence of int
        Numbers of the heads that are wanted, in rising order (a U-Net has only L).
    dtype : torch.dtype
        Of weights and feature maps: ``torch.float32``, or ``torch.bfloat16``, of which
        products are still summed in float32.
    kernels : Kernels, optional
        What computes; the fastest that is there by default.

    Attributes
    ----------
    config : NetworkConfig
        That of the network pruned to the deepest of the heads.
    heads : tuple of int
        As given.
    dtype : torch.dtype
        As given.
    nodes : tuple of Node
        What is computed, in order.
    weights : dict
        `NodeWeights` of every node, by its place.
    head_weights : dict
        Weights and bias of each head, by its number, as `HeadStep` reads them.
    n_bytes : int
        Size of all weights.

    Raises
    ------
    SettingsError
        If there is no such head.
    """

    def __init__(
        self,
        network: Network,
        *,
        heads: Sequence[int],
        dtype: torch.dtype = torch.float32,
        kernels: Kernels | None = None,
    ) -> None:
        self.kernels = kernels or (OneDnn() if is_there() else Kernels())
        self.nodes = graph_of(network.config, heads)
        self.config = _pruned(network.config, max(heads))
        self.heads = tuple(heads)
        self.dtype = dtype
        self.weights: dict[Place, NodeWeights] = {
            node.place: self._node_weights(network, node) for node in self.nodes
        }
        self.head_weights = {j: self._head_weights(network, j) for j in self.heads}
        self.n_bytes = sum(each.numel() * each.element_size() for each in self._all())

    def _node_weights(self, network: Network, node: Node) -> NodeWeights:
        block, up = _modules(network, node)
        (first, bias), second = folded(block)
        widths = self.config.widths
        reads = [widths[node.level]] * len(node.skips)
        reads.append(first.shape[1] - sum(reads))
        return NodeWeights(
            self._convolution(node.level, torch.split(first, reads, dim=1), bias),
            self._convolution(node.level, second[:1], second[1]),
            None if up is None else self._up(node.level, up),
        )

    def _convolution(
        self, level: int, parts: Sequence[Tensor], bias: Tensor
    ) -> Convolution:
        """Lay out the weights of a convolution of edge 3."""
        multiple = self.config.alignment()[-1]
        for strides in self.config.level_strides[:level]:
            multiple //= strides[-1]
        group = group_of(len(bias), multiple)
        wide = (grouped(part, group).to(self.dtype) for part in parts)
        size = self._usual_size(level)
        return Convolution(
            tuple(self.kernels.pack(part, size) for part in wide),
            bias.repeat(group).to(self.dtype),
            (1,) * (self.config.spatial_dims - 1) + (group,),
        )

    def _up(self, level: int, up: Any) -> tuple[Tensor, Tensor] | None:
        """Lay out the weights of a transposed convolution."""
        if up.transposed is None:
            return None
        weight, bias = _pair(up.transposed, self.dtype)  # (n_in, n_out, *stride)
        fine = weight.flatten(2).permute(2, 1, 0)  # (prod(stride), n_out, n_in)
        n_fine = len(fine)
        dims = self.config.spatial_dims
        spread = fine.reshape(-1, fine.shape[-1], *[1] * dims).contiguous()
        packed = self.kernels.pack(spread, self._usual_size(level + 1))
        return packed, bias.repeat(n_fine)

    def _head_weights(self, network: Network, j: int) -> tuple[Tensor, Tensor]:
        """Lay out a head, with channels of zeros to fill the vector units."""
        parts = cast("Any", network)
        head = parts.head if isinstance(network, UNet) else parts.heads[str(j)]
        weight, bias = _pair(head, torch.float32)
        more = -len(weight) % LANES
        weight = torch.cat([weight, weight.new_zeros((more, *weight.shape[1:]))])
        packed = self.kernels.pack(weight, self._usual_size(0))
        return packed, torch.cat([bias, bias.new_zeros(more)])

    def _usual_size(self, level: int) -> tuple[int, ...]:
        """Return the size of the rows that kernels work on together at a level."""
        edge = _USUAL_EDGE[self.config.spatial_dims]
        shrink = [1] * self.config.spatial_dims
        for strides in self.config.level_strides[:level]:
            shrink = [a * b for a, b in zip(shrink, strides, strict=True)]
        return tuple(max(edge // each, 4) for each in shrink)

    def _all(self) -> list[Tensor]:
        found = [tensor for pair in self.head_weights.values() for tensor in pair]
        for node in self.weights.values():
            for convolution in (node.first, node.second):
                found += [*convolution.parts, convolution.bias]
            found += node.up or ()
        return found


class NetworkOutline(FusedNetwork):
    """A network without weights, through which rows are only counted.

    Parameters
    ----------
    config, heads, dtype
        As of `FusedNetwork`, the config that of the pruned network.
    """

    def __init__(
        self, config: NetworkConfig, heads: tuple[int, ...], dtype: torch.dtype
    ) -> None:
        self.kernels = NoKernels()
        self.nodes = graph_of(config, heads)
        self.config, self.heads, self.dtype = config, heads, dtype
        nothing = torch.empty(0)
        no_weights = Convolution((), nothing, ())
        up = (nothing, nothing) if config.upsampling == "transposed" else None
        self.weights = {
            node.place: NodeWeights(no_weights, no_weights, up if node.lower else None)
            for node in self.nodes
        }
        self.head_weights = dict.fromkeys(heads, (nothing, nothing))
        self.n_bytes = 0


def supported(config: NetworkConfig) -> bool:
    """Say whether a network can be made ready: all that are built of our own blocks."""
    return config.architecture in ("unetpp", "unet")


def _pruned(config: NetworkConfig, level: int) -> NetworkConfig:
    widths, strides = config.widths[: level + 1], config.strides[:level]
    return config.model_copy(update={"widths": widths, "strides": strides})


def _modules(network: Network, node: Node) -> tuple[Block, Any]:
    """Return the block of a node and, unless it is of the encoder, its up-sampling."""
    i, j = node.place
    if isinstance(network, UNet):
        if j == 0:
            return cast("Block", network.encoder[i]), None
        return cast("Block", network.decoder[i]), network.ups[i]
    nodes, ups = cast("Any", network).nodes, cast("Any", network).ups
    return nodes[f"{i}_{j}"], ups[f"{i}_{j}"] if j else None


def folded(block: Block) -> list[tuple[Tensor, Tensor]]:
    """Return weights and bias of a block's convolutions, each with its batch norm.

    They are computed in float64, and are float64.
    """
    found: list[tuple[Tensor, Tensor]] = []
    for layer in block:
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            found.append(_pair(layer, torch.float64))
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            weight, bias = found.pop()
            mean, var = (
                cast("Tensor", layer.running_mean),
                cast("Any", layer.running_var),
            )
            scale = layer.weight.detach().double() / (var.double() + layer.eps).sqrt()
            shift = layer.bias.detach().double() - mean.double() * scale
            shape = (-1, *[1] * (weight.ndim - 1))
            found.append((weight * scale.reshape(shape), bias * scale + shift))
    return found


def _pair(layer: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return copies of weight and bias."""
    return (
        layer.weight.detach().to(device="cpu", dtype=dtype, copy=True),
        layer.bias.detach().to(device="cpu", dtype=dtype, copy=True),
    )
