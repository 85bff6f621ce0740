"""The kernels of a stream on oneDNN, as torch carries it: nothing joined, ReLU fused.

The sum over the maps that a convolution reads is built up in place, one map after the
other, and the last one adds the bias and the ReLU. torch's compiler uses these
functions too; they are not public, so they are called here alone, and `Kernels` does
the same where they are not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from napari_unetpp.nn._kernels import Kernels, as_image, as_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_unetpp.nn._fused import Convolution

_NAMES = ("_convolution_pointwise", "_convolution_pointwise_")


def is_there() -> bool:
    """Say whether this build of torch has oneDNN and its fused convolutions."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    names = [*_NAMES, "_reorder_convolution_weight"]
    return all(hasattr(torch.ops.mkldnn, name) for name in names)


class OneDnn(Kernels):
    """The kernels of the steps, on oneDNN."""

    def __init__(self) -> None:
        self._ops: Any = torch.ops.mkldnn

    def pack(self, weight: Tensor, size: tuple[int, ...]) -> Tensor:
        """Return weights of a convolution in the layout that oneDNN likes."""
        dims = weight.ndim - 2
        ones = [1] * dims
        edge, wide = weight.shape[2], weight.shape[-1]
        padding = [0, *[edge // 2] * (dims - 1)]
        stride = [*ones[1:], max(1, wide - 2)]
        packed: Tensor = self._ops._reorder_convolution_weight(
            weight.contiguous(), padding, stride, ones, 1, [1, weight.shape[1], *size]
        )
        return packed

    def convolve(
        self, views: Sequence[Tensor], weights: Convolution, target: Tensor
    ) -> None:
        """Write relu(convolution of edge 3 over all maps + bias)."""
        stride = weights.stride
        *outer, width, _ = target.shape
        if width == stride[-1] > 1:
            self._convolve_wider(views, weights, target)
            return
        target.zero_()
        sums = as_image(target.view(*outer, width // stride[-1], -1))
        padding = [0, *[1] * (len(stride) - 1)]
        ones, last = [1] * len(stride), len(views) - 1
        for at, (view, part) in enumerate(zip(views, weights.parts, strict=True)):
            self._ops._convolution_pointwise_.binary(
                sums,
                as_image(view),
                part,
                weights.bias if at == last else None,
                padding,
                stride,
                ones,
                1,
                "add",
                1.0,
                "relu" if at == last else None,
                [],
                "",
            )

    def _convolve_wider(
        self, views: Sequence[Tensor], weights: Convolution, target: Tensor
    ) -> None:
        """Convolve maps of one group of pixels with zeros beside it.

        One channel and one group along the last axis look the same with channels first
        and last; torch 2.13 then takes the sums for what they are not.
        """
        group = weights.stride[-1]
        wide = [F.pad(view, (0, 0, 0, group)) for view in views]
        *outer, width, n_channels = target.shape
        found = target.new_empty((*outer, width + group, n_channels))
        self.convolve(wide, weights, found)
        target.copy_(found[..., :width, :])

    def spread(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return a convolution of edge 1: (n, *inner, C) to (n, *inner, C')."""
        ones = [1] * (rows.ndim - 1)
        found: Tensor = self._ops._convolution_pointwise(
            as_image(rows), weight, bias, [0] * len(ones), ones, ones, 1, "none", [], ""
        )
        return as_rows(found)
