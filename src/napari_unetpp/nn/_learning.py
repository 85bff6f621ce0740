"""How the maps of a network meet while it learns: the same sums, kinder to memory.

What is computed is what the plain operators compute. Maps lie channels last here, that
is all channels of a pixel together, and what counts is how gradients lie: those that
come out of a concatenation are parts of a whole, and to add up parts whose pixels lie
apart costs as much as a convolution.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def learnt(block: nn.Module, *maps: Tensor) -> Tensor:
    """Return what a block makes of maps (N, C, *S), joined along their channels."""
    joined: Any = maps[0]
    if len(maps) > 1:
        joined = _Join.apply(*maps)  # type: ignore[no-untyped-call]
    found: Tensor = block(joined)
    return found


class _Join(torch.autograd.Function):
    """A concatenation whose gradients are whole, each with its pixels together."""

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        ctx.widths = [each.shape[1] for each in maps]
        return torch.cat(maps, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        layout = _CHANNELS_LAST[gradient.ndim]
        parts: Any = torch.split(gradient, ctx.widths, dim=1)
        return tuple(part.contiguous(memory_format=layout) for part in parts)


def spread(x: Tensor, up: nn.Module, stride: tuple[int, ...]) -> Tensor:
    """Apply a transposed convolution as wide as its stride: a product of matrices.

    Every pixel becomes a box of pixels, and boxes do not touch, so that a product of
    the channels of a pixel with all weights gives the box::

        (N, *S, C) x (C, *stride, C') -> (N, *S, *stride, C') -> (N, C', *(S * stride))

    Parameters
    ----------
    x : Tensor
        Shape (N, C, *S).
    up : Module
        The transposed convolution, weight (C, C', *stride).
    stride : tuple of int
        How many pixels a pixel becomes along each axis.
    """
    n = len(stride)
    weight: Any = up.weight
    n_out = weight.shape[1]
    matrix = weight.permute(*range(2, 2 + n), 1, 0).reshape(-1, weight.shape[0])
    boxes = F.linear(x.movedim(1, -1), matrix)  # (N, *S, prod(stride) * C')
    boxes = boxes.reshape(*boxes.shape[:-1], *stride, n_out)
    order = [axis for k in range(n) for axis in (1 + k, 1 + n + k)]
    sizes = [size * by for size, by in zip(x.shape[2:], stride, strict=True)]
    pixels = boxes.permute(0, *order, 1 + 2 * n).reshape(len(x), *sizes, n_out)
    bias: Any = up.bias
    found: Tensor = (pixels + bias).movedim(-1, 1)
    return found


def computed_again(block: nn.Module, *maps: Tensor) -> Tensor:
    """Return what `learnt` does, without keeping what lies between for the gradient.

    It is computed once more when the gradient is wanted: a third more time, for much
    less memory. Batch norm counts every batch once nevertheless.

    References
    ----------
    Chen et al., "Training deep nets with sublinear memory cost", arXiv 1604.06174.
    """
    found: Tensor = checkpoint(
        learnt,
        block,
        *maps,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _uncounted(block)),
    )
    return found


@contextmanager
def _uncounted(block: nn.Module) -> Iterator[None]:
    """Keep batch norm from counting what it has seen already."""
    norms = [each for each in block.modules() if isinstance(each, _NORMS)]
    counted = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, n) in zip(norms, counted, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, n
