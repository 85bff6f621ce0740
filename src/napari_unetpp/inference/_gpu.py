"""The network for whole tiles, as graphics cards like it, and the way there and back.

On a card the arithmetic of a U-Net is soon done and moving maps is what takes time: so
batch norm is folded into the convolutions, weights and maps are bfloat16 where that is
asked for, channels lie last, and pixels come and go through page-locked memory, which
the card copies by itself. The same code runs on any device; there it is only slower.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_unetpp.nn._blocks import Block
from napari_unetpp.nn._fused import supported

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor

    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn import Network

MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


class TileNetwork(nn.Module):
    """A network on its device that answers for whole tiles.

    Parameters
    ----------
    network : Network
        It is copied, and stays as it is.
    device : torch.device
        Where to compute.
    precision : str
        ``"float32"`` or ``"bfloat16"``, of weights and maps.

    Attributes
    ----------
    config : NetworkConfig
        Of the network.
    n_bytes : int
        Size of its weights.
    """

    def __init__(
        self, network: Network, device: torch.device, precision: str = "float32"
    ) -> None:
        super().__init__()
        self.config = network.config
        self._device, self._low = device, precision == "bfloat16"
        self._ours = supported(network.config)
        made: Any = folded(network) if self._ours else copy.deepcopy(network).eval()
        self._layout = MEMORY_FORMAT[self.config.spatial_dims]
        self._dtype = torch.float32
        if self._low and self._ours:
            self._dtype = torch.bfloat16
        self._network = made.to(
            device=device, dtype=self._dtype, memory_format=self._layout
        )
        parameters = self._network.parameters()
        self.n_bytes = sum(p.numel() * p.element_size() for p in parameters)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the heads, float32 (N, K, *S), of pixels (N, C, *S)."""
        with self._tuned(), self._mixed():
            found = self._network(x.to(self._dtype, memory_format=self._layout))
        return tuple(head.float() for head in found)

    def _mixed(self) -> AbstractContextManager[Any]:
        """Return the context in which networks of others use low precision."""
        if self._low and not self._ours:
            return torch.autocast(self._device.type, torch.bfloat16)
        return nullcontext()

    def _tuned(self) -> AbstractContextManager[Any]:
        """Return the context in which convolutions are as fast as they can be.

        Tiles of a run have few sizes, so that trying kernels pays. Ten bits of mantissa
        (TF32) are not float32, which is what was asked for.
        """
        if self._device.type != "cuda":
            return nullcontext()
        return torch.backends.cudnn.flags(
            enabled=True, benchmark=True, deterministic=False, allow_tf32=False
        )


def folded(network: Network) -> Network:
    """Return a copy in evaluation mode whose convolutions do the batch norm too.

    Parameters
    ----------
    network : Network
        One of ours; others have no blocks, and are only copied.
    """
    made = copy.deepcopy(network).eval()
    for name, block in list(made.named_modules()):
        if isinstance(block, Block):
            parent = made.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], _folded_block(block))
    return made


def _folded_block(block: Block) -> nn.Sequential:
    """Return a block without its batch norms."""
    layers: list[nn.Module] = []
    for layer in block:
        if isinstance(layer, _NORMS):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)  # type: ignore[type-var]
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def upload(pixels: FloatArray, device: torch.device) -> Tensor:
    """Return pixels on a device; a card copies them while the processor goes on."""
    found = torch.from_numpy(pixels)
    if device.type != "cuda":
        return found.to(device)
    return found.pin_memory().to(device, non_blocking=True)


def download(values: Tensor) -> FloatArray:
    """Return values of a device in main memory, once they are all there."""
    values = values.contiguous()
    if values.device.type != "cuda":
        return values.cpu().numpy()
    found = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    found.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return found.numpy()
