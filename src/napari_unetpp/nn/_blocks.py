"""Parts that UNet++ and U-Net are built from, for two and three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

from napari_unetpp.nn._learning import spread

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.config import NetworkConfig

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.Module]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}
_LINEAR = {2: "bilinear", 3: "trilinear"}


class Block(nn.Sequential):
    """The unit H of the papers: twice a convolution of edge 3 and a ReLU."""

    def __init__(self, config: NetworkConfig, n_in: int, n_out: int) -> None:
        layers: list[nn.Module] = []
        for n_from in (n_in, n_out):
            layers.append(self._convolution(config, n_from, n_out))
            if config.norm == "batch":
                layers.append(_BATCH_NORM[config.spatial_dims](n_out))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)

    @staticmethod
    def _convolution(config: NetworkConfig, n_in: int, n_out: int) -> nn.Module:
        conv = _CONVOLUTION[config.spatial_dims](n_in, n_out, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        return conv


class Up(nn.Module):
    """The up-sampling U from level i + 1 to level i.

    ``transposed`` learns a convolution as wide as its stride and gives the width of
    level i; ``linear`` and ``nearest`` learn nothing and keep the width of level i + 1.
    """

    def __init__(self, config: NetworkConfig, level: int) -> None:
        super().__init__()
        n_in, n_out = config.widths[level + 1], config.widths[level]
        self.stride = config.level_strides[level]
        self.mode = _LINEAR[config.spatial_dims]
        if config.upsampling == "nearest":
            self.mode = "nearest"
        self.transposed: nn.Module | None = None
        self.n_out = n_in
        if config.upsampling == "transposed":
            self.n_out = n_out
            self.transposed = _TRANSPOSED[config.spatial_dims](
                n_in, n_out, self.stride, stride=self.stride
            )

    def forward(self, x: Tensor) -> Tensor:
        """Up-sample (N, C, *S) to (N, C', *(S * stride))."""
        if self.transposed is not None:
            if self.training and x.device.type == "cpu":
                return spread(x, self.transposed, self.stride)
            return self.transposed(x)  # type: ignore[no-any-return]
        size = [n * s for n, s in zip(x.shape[2:], self.stride, strict=True)]
        if self.mode == "nearest":
            return F.interpolate(x, size=size, mode="nearest")
        return F.interpolate(x, size=size, mode=self.mode, align_corners=False)


def down(config: NetworkConfig, level: int, x: Tensor) -> Tensor:
    """Max-pool the maps of `level` to the size of the level below it."""
    return _MAX_POOL[config.spatial_dims](x, config.level_strides[level])


def head(config: NetworkConfig) -> nn.Module:
    """Return a 1x1 convolution from full-resolution maps to logits."""
    return _CONVOLUTION[config.spatial_dims](config.widths[0], config.out_channels, 1)
