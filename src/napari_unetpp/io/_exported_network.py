"""The network that is exported: pixels in, probabilities out.

This file goes into packages for other programs, so it imports nothing but torch.
The names of its weights are those of the networks that are trained, and a test holds
both to the same answer. See Zhou et al., "UNet++", arXiv 1912.05074.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CONVOLUTION: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_BATCH_NORM: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL: dict[int, Any] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_LINEAR = {2: "bilinear", 3: "trilinear"}


def _block(dims: int, n_in: int, n_out: int, norm: str) -> nn.Sequential:
    """Return twice a convolution of edge 3, a norm if there is one, and a ReLU."""
    layers: list[nn.Module] = []
    for n_from in (n_in, n_out):
        layers.append(_CONVOLUTION[dims](n_from, n_out, 3, padding=1))
        if norm == "batch":
            layers.append(_BATCH_NORM[dims](n_out))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class _Up(nn.Module):
    """Up-sampling by a stride: learnt, linear, or by the nearest pixel."""

    def __init__(
        self, dims: int, n_in: int, n_out: int, stride: list[int], how: str
    ) -> None:
        super().__init__()
        self.factors = [float(s) for s in stride]
        self.mode = _LINEAR[dims] if how == "linear" else "nearest"
        self.transposed = None
        self.n_out = n_in
        if how == "transposed":
            self.n_out = n_out
            self.transposed = _TRANSPOSED[dims](
                n_in, n_out, tuple(stride), stride=tuple(stride)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Up-sample (N, C, *S) to (N, C', *(S * stride))."""
        if self.transposed is not None:
            return self.transposed(x)  # type: ignore[no-any-return]
        if self.mode == "nearest":
            return F.interpolate(x, scale_factor=self.factors, mode="nearest")
        return F.interpolate(
            x, scale_factor=self.factors, mode=self.mode, align_corners=False
        )


class ExportedNetwork(nn.Module):
    """UNet++ or U-Net that answers with probabilities, as a program of its own.

    Parameters
    ----------
    architecture : {"unetpp", "unet"}
        Which network.
    spatial_dims : int
        2 or 3.
    in_channels, out_channels : int
        Channels of the image; classes.
    widths : list of int
        Feature maps of each level.
    strides : list of list of int
        Pooling between the levels along each spatial axis.
    upsampling : {"transposed", "linear", "nearest"}
        How maps are brought to the size of the level above.
    norm : {"batch", "none"}
        Norm behind each convolution.
    temperatures : list of float
        What the logits of each head are divided by.
    shares : list of float
        Share of each head in the mean, 1 in sum.

    Notes
    -----
    The input has the shape (N, C, (Z,) Y, X) and sizes that are multiples of the
    product of the strides. The outputs are the mean of the heads and, if there are
    several, each head, all (N, K, (Z,) Y, X).
    """

    def __init__(
        self,
        *,
        architecture: str,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        widths: list[int],
        strides: list[list[int]],
        upsampling: str,
        norm: str,
        temperatures: list[float],
        shares: list[float],
    ) -> None:
        super().__init__()
        self.depth, self.widths = len(widths) - 1, list(widths)
        self.temperatures, self.shares = list(temperatures), list(shares)
        self._dims, self._strides = spatial_dims, [list(step) for step in strides]
        self._exclusive = out_channels > 1
        self._norm, self._upsampling = norm, upsampling
        self.pools = [_POOL[spatial_dims](tuple(step)) for step in strides]
        self.nested = architecture == "unetpp"
        if self.nested:
            self._make_nested(in_channels, out_channels)
        else:
            self._make_plain(in_channels, out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the mean of the heads, then each head if there are several."""
        logits = self._nested(x) if self.nested else self._plain(x)
        heads = [
            self._probabilities(each / t)
            for each, t in zip(logits, self.temperatures, strict=True)
        ]
        if len(heads) == 1:
            return (heads[0],)
        mean = heads[0] * self.shares[0]
        for head, share in zip(heads[1:], self.shares[1:], strict=True):
            mean = mean + head * share
        return (mean, *heads)

    def _probabilities(self, logits: Tensor) -> Tensor:
        if self._exclusive:
            return torch.softmax(logits, dim=1)
        return torch.sigmoid(logits)

    def _make_nested(self, n_in: int, n_out: int) -> None:
        """Make the nodes X[i, j] of UNet++, i + j <= depth."""
        self.nodes, self.ups = nn.ModuleDict(), nn.ModuleDict()
        for i, width in enumerate(self.widths):
            first = n_in if i == 0 else self.widths[i - 1]
            self.nodes[f"{i}_0"] = self._block(first, width)
            for j in range(1, self.depth + 1 - i):
                up = self._up(i)
                self.ups[f"{i}_{j}"] = up
                self.nodes[f"{i}_{j}"] = self._block(j * width + up.n_out, width)
        heads = {str(j): self._head(n_out) for j in range(1, self.depth + 1)}
        self.heads = nn.ModuleDict(heads)

    def _make_plain(self, n_in: int, n_out: int) -> None:
        """Make the two sides of U-Net."""
        ups = [self._up(i) for i in range(self.depth)]
        inputs = [n_in, *self.widths[:-1]]
        pairs = zip(inputs, self.widths, strict=True)
        self.encoder = nn.ModuleList([self._block(n, w) for n, w in pairs])
        self.ups = nn.ModuleList(ups)  # type: ignore[assignment]
        self.decoder = nn.ModuleList(
            [
                self._block(width + up.n_out, width)
                for width, up in zip(self.widths[:-1], ups, strict=True)
            ]
        )
        self.head = self._head(n_out)

    def _nested(self, x: Tensor) -> list[Tensor]:
        rows: list[list[Tensor]] = [[] for _ in self.widths]  # rows[i][j] = X[i, j]
        for diagonal in range(self.depth + 1):
            for j in range(diagonal + 1):
                i = diagonal - j
                if j:
                    up = self.ups[f"{i}_{j}"](rows[i + 1][j - 1])
                    read = torch.cat([*rows[i][:j], up], dim=1)
                else:
                    read = self.pools[i - 1](rows[i - 1][0]) if i else x
                rows[i].append(self.nodes[f"{i}_{j}"](read))
        return [self.heads[str(j)](rows[0][j]) for j in range(1, self.depth + 1)]

    def _plain(self, x: Tensor) -> list[Tensor]:
        skips: list[Tensor] = []
        for i, block in enumerate(self.encoder):
            x = block(self.pools[i - 1](x) if i else x)
            skips.append(x)
        for i in reversed(range(self.depth)):
            up = self.ups[i](x)  # type: ignore[index]
            x = self.decoder[i](torch.cat([skips[i], up], dim=1))
        return [self.head(x)]

    def _block(self, n_in: int, n_out: int) -> nn.Sequential:
        return _block(self._dims, n_in, n_out, self._norm)

    def _up(self, i: int) -> _Up:
        n_in, n_out = self.widths[i + 1], self.widths[i]
        return _Up(self._dims, n_in, n_out, self._strides[i], self._upsampling)

    def _head(self, n_out: int) -> nn.Module:
        head: nn.Module = _CONVOLUTION[self._dims](self.widths[0], n_out, 1)
        return head
