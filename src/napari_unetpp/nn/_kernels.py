"""What the steps of a stream compute: rows (n, *inner, C) in, rows written in place.

Rows with their channels last are, to torch, one image in its channels-last layout, so
nothing is copied on the way to a kernel. `Kernels` is made of torch's public functions
and runs anywhere; `OneDnn` in `_onednn` does the same in less time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_unetpp.nn._fused import Convolution

_CONVOLUTION = {2: F.conv2d, 3: F.conv3d}
_LINEAR = {1: "linear", 2: "bilinear"}


def as_image(rows: Tensor) -> Tensor:
    """View rows (n, *inner, C) as an image (1, C, n, *inner)."""
    return rows.unsqueeze(0).movedim(-1, 1)


def as_rows(image: Tensor) -> Tensor:
    """View an image (1, C, n, *inner) as rows (n, *inner, C)."""
    return image.movedim(1, -1)[0]


class Kernels:
    """The kernels of the steps, in torch's public functions."""

    def pack(self, weight: Tensor, size: tuple[int, ...]) -> Tensor:
        """Return weights of a convolution in the layout that the kernels like.

        Parameters
        ----------
        weight : Tensor
            (n_out, n_in, *edges), contiguous.
        size : tuple of int
            Usual size of what it is used on, (n, *inner).
        """
        del size
        return weight

    def convolve(
        self, views: Sequence[Tensor], weights: Convolution, target: Tensor
    ) -> None:
        """Write relu(convolution of edge 3 over all maps + bias).

        Parameters
        ----------
        views : sequence of Tensor
            (n + 2, *inner, C) each: one row before and one after those that are
            written.
        weights : Convolution
            One part for each view.
        target : Tensor
            (n, *inner, C').
        """
        image = as_image(torch.cat(list(views), dim=-1))
        whole = torch.cat(weights.parts, dim=1)
        found = _CONVOLUTION[image.ndim - 2](
            image,
            whole,
            weights.bias,
            stride=weights.stride,
            padding=(0,) + (1,) * (image.ndim - 3),
        )
        target.copy_(as_rows(found.relu_()).reshape(target.shape))

    def spread(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return a convolution of edge 1: (n, *inner, C) to (n, *inner, C')."""
        return F.linear(rows, weight.flatten(1), bias)

    def transposed(
        self,
        rows: Tensor,
        weights: tuple[Tensor, Tensor],
        stride: tuple[int, ...],
        target: Tensor,
    ) -> None:
        """Write the transposed convolution, as wide as its stride.

        Parameters
        ----------
        rows : Tensor
            (n, *inner, C).
        weights : tuple of Tensor
            Weights (prod(stride) * C', C, 1, 1(, 1)), in which the fine pixels of a
            coarse one follow each other, and as many biases.
        stride : tuple of int
            Factor along each axis.
        target : Tensor
            (n * stride, ..., C').
        """
        fine = self.spread(rows, *weights)  # (n, *inner, prod(stride) * C')
        shape = fine.shape[:-1]
        split = [part for pair in zip(shape, stride, strict=True) for part in pair]
        n = len(shape)
        fine = fine.reshape(*shape, *stride, -1)
        order = [axis for at in range(n) for axis in (at, n + at)]
        target.view(*split, -1).copy_(fine.permute(*order, 2 * n))

    def pool(self, rows: Tensor, stride: tuple[int, ...], target: Tensor) -> None:
        """Write the largest of every block of pixels."""
        for axis, step in enumerate(stride):
            if step > 1:
                shape = rows.shape
                blocks = rows.reshape(
                    *shape[:axis], shape[axis] // step, step, *shape[axis + 1 :]
                )
                rows = blocks.select(axis + 1, 0)
                for at in range(1, step):
                    rows = torch.maximum(rows, blocks.select(axis + 1, at))
        target.copy_(rows)

    def nearest(self, rows: Tensor, stride: tuple[int, ...], target: Tensor) -> None:
        """Write every pixel as often as the stride says."""
        for axis, step in enumerate(stride):
            if step > 1:
                rows = rows.repeat_interleave(step, dim=axis)
        target.copy_(rows)

    def linear(
        self, rows: Tensor, stride: tuple[int, ...], start: int, target: Tensor
    ) -> None:
        """Write rows up-sampled linearly, pixels meant at their middles.

        Parameters
        ----------
        rows : Tensor
            (n, *inner, C): all that the wanted rows read; before the first and after
            the last of them lies the border, or nothing is read there.
        stride : tuple of int
            Factor along each axis.
        start : int
            First row that is written, counted in fine rows from the first of `rows`.
        target : Tensor
            (m, *fine inner, C).
        """
        step, *others = stride
        inner = [n * s for n, s in zip(rows.shape[1:-1], others, strict=True)]
        wide = F.interpolate(rows.movedim(-1, 1), size=inner, mode=_LINEAR[len(inner)])
        wide = wide.movedim(1, -1)
        if step == 1:
            target.copy_(wide[start : start + len(target)])
            return
        fine = torch.arange(start, start + len(target))
        place = ((2 * fine + 1 - step).double() / (2 * step)).clamp(0, len(rows) - 1)
        low = place.floor().long()
        weight = (place - low).to(rows.dtype).reshape(-1, *[1] * (rows.ndim - 1))
        high = (low + 1).clamp(max=len(rows) - 1)
        target.copy_(torch.lerp(wide[low], wide[high], weight))


class NoKernels(Kernels):
    """Kernels that compute nothing, where rows are only counted."""

    def convolve(
        self, views: Sequence[Tensor], weights: Convolution, target: Tensor
    ) -> None:
        """Do nothing."""

    def transposed(
        self,
        rows: Tensor,
        weights: tuple[Tensor, Tensor],
        stride: tuple[int, ...],
        target: Tensor,
    ) -> None:
        """Do nothing."""

    def pool(self, rows: Tensor, stride: tuple[int, ...], target: Tensor) -> None:
        """Do nothing."""

    def nearest(self, rows: Tensor, stride: tuple[int, ...], target: Tensor) -> None:
        """Do nothing."""

    def linear(
        self, rows: Tensor, stride: tuple[int, ...], start: int, target: Tensor
    ) -> None:
        """Do nothing."""


LANES = 16
"""Channels that vector units of 512 bits sum at a time."""


def group_of(n_out: int, multiple: int) -> int:
    """Return how many neighbouring pixels of few channels a convolution takes as one.

    Vector units work on 16 channels at a time, so that a convolution to 8 leaves half
    of each idle. Taken as one pixel of 16 channels, two neighbours fill it; the kernel
    is wider by one for that, with weights of zero, so the sums stay the same.

    Parameters
    ----------
    n_out : int
        Channels that are computed.
    multiple : int
        What the size of the last axis is a multiple of.
    """

    def speed(group: int) -> float:
        lanes = group * n_out / (math.ceil(group * n_out / LANES) * LANES)
        return lanes * 3 / (group + 2)

    return max((g for g in (1, 2, 4, 8) if multiple % g == 0), key=speed)


def grouped(weight: Tensor, group: int) -> Tensor:
    """Return the weights that compute `group` neighbours along the last axis as one.

    From (n_out, n_in, ..., 3) to (group * n_out, n_in, ..., group + 2); the stride
    along the last axis is then `group`.
    """
    n_out, edge = len(weight), weight.shape[-1]
    wide = weight.new_zeros((group * n_out, *weight.shape[1:-1], edge + group - 1))
    for at in range(group):
        wide[at * n_out : (at + 1) * n_out, ..., at : at + edge] = weight
    return wide
