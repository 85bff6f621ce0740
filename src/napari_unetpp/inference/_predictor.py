"""The network on its device: a batch of tiles in, the probabilities of all heads out.

Only this module touches a device. A batch that does not fit into its memory is halved
here; a single tile that does not fit is for the caller to halve (`TileTooLargeError`).
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from napari_unetpp._types import slices
from napari_unetpp.errors import SettingsError, UnetppError
from napari_unetpp.inference._gpu import MEMORY_FORMAT, TileNetwork, download, upload
from napari_unetpp.inference._probability_stream import ProbabilityStream, stream_of
from napari_unetpp.inference._turns import AS_IT_IS, turns_of
from napari_unetpp.nn import UNet, UNetPlusPlus
from napari_unetpp.nn._adaptive import Wanted
from napari_unetpp.nn._fused import FusedNetwork, supported
from napari_unetpp.nn._losses import probabilities
from napari_unetpp.nn._stream import stream_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.config import Mode, NetworkConfig
    from napari_unetpp.nn import Model, Network


class TileTooLargeError(UnetppError, RuntimeError):
    """A single tile did not fit into the memory of the device."""


class Predictor:
    """A model ready to predict on a device, down to one level.

    Parameters
    ----------
    model : Model
        It is copied: neither its device nor its mode change.
    device : torch.device
        Where to compute.
    level : int, optional
        Deepest level computed; what lies deeper is not even on the device.
    mode : {"accurate", "fast"}
        All heads down to `level`, or only the last.
    tta : bool
        Whether the answer is the mean over the flips and right-angle turns of a tile.
    precision : {"float32", "bfloat16"}
        Of weights and feature maps.
    adaptive : float, optional
        What another level may still change where it is left out; see `Gate`.

    Attributes
    ----------
    level : int
        The level in use.
    head_names : tuple of str
        Names of the heads that come out, ("head 1", ...).
    head_weights : tuple of float
        Shares of these heads in their mean.
    config : NetworkConfig
        That of the pruned network.
    n_bytes : int
        Size of its weights.
    precision : str
        As given.
    turns : tuple of Turn
        How tiles are turned; as they are, unless with `tta`.
    fused : FusedNetwork, optional
        The network where it runs on the CPU and is one of ours: then its rows can be
        streamed.

    Raises
    ------
    SettingsError
        If the model has no such level.
    """

    fused: FusedNetwork | None = None
    precision: str = "float32"

    def __init__(
        self,
        model: Model,
        device: torch.device,
        level: int | None = None,
        mode: Mode = "accurate",
        *,
        tta: bool = False,
        precision: str = "float32",
        adaptive: float | None = None,
    ) -> None:
        self.device = device
        self.level = model.network.check_level(level)
        heads = range(1, self.level + 1)
        if mode == "fast" or not isinstance(model.network, UNetPlusPlus):
            heads = range(self.level, self.level + 1)
        self.head_names = tuple(f"head {j}" for j in heads)
        self._temperatures = temperatures_of(model, heads)
        self.head_weights: tuple[float, ...] = (1.0,)
        if mode == "accurate":
            self.head_weights = model.head_weights(self.level)
        self.precision = precision
        if adaptive is not None:
            _check_adaptive(model.network, device, adaptive, tta=tta)
        self._network: nn.Module | None = None
        is_ours = type(model.network) in (UNet, UNetPlusPlus)  # with their forward
        if device.type == "cpu" and is_ours and supported(model.network.config):
            self.fused = FusedNetwork(
                model.network,
                heads=heads if adaptive is None else range(1, self.level + 1),
                dtype=getattr(torch, precision),
            )
            self.config: NetworkConfig = self.fused.config
            self.n_bytes = self.fused.n_bytes
        else:
            network = model.network
            if self.level < network.config.depth:
                network = model.prune(self.level).network
            self._network = on_device = TileNetwork(network, device, precision)
            self.config, self.n_bytes = on_device.config, on_device.n_bytes
        self.turns = turns_of(self.config) if tta else (AS_IT_IS,)
        self.adaptive = adaptive
        self._how: tuple[float, ...] | Wanted = self._temperatures
        if adaptive is not None:
            every = temperatures_of(model, range(1, self.level + 1))
            self._how = Wanted(tuple(heads), every, adaptive)
        self._largest_batch: int | None = None
        self._lock = threading.Lock()

    def predict_batch(self, x: FloatArray, crop: Box | None = None) -> FloatArray:
        """Return the probabilities of the heads for a batch of tiles.

        Parameters
        ----------
        x : ndarray of float32, (N, C, (Z,) Y, X)
            Normalised tiles; sizes are multiples of ``config.alignment()``.
        crop : Box, optional
            The part of the tiles that is returned; what is not wanted does not even
            leave the device. All of it by default.

        Returns
        -------
        ndarray of float32, (N, H, K, (Z,) Y, X)
            Probabilities of K classes by the H heads of `head_names`.

        Raises
        ------
        TileTooLargeError
            If a single tile does not fit into the memory of the device.
        """
        size = min(len(x), self._largest_batch or len(x))
        parts: list[FloatArray] = []
        start = 0
        while start < len(x):
            part = self._try(x[start : start + size], crop)
            if part is not None:
                parts.append(part)
                start += size
            elif size > 1:
                size = self._largest_batch = size // 2
            else:
                raise TileTooLargeError(
                    f"a tile of {' x '.join(map(str, x.shape[2:]))} pixels does not fit"
                    f" into the memory of {self.device}; use smaller tiles"
                )
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def stream(
        self, inner: tuple[int, ...], n_rows: int | None = None
    ) -> ProbabilityStream:
        """Return a pass over a region whose rows are pushed in one after the other.

        Parameters
        ----------
        inner : tuple of int
            Sizes of the region along all spatial axes but the first, in pixels;
            multiples of ``config.alignment()[1:]``.
        n_rows : int, optional
            Rows of the region, where they are known before; a short region then takes
            less memory.

        Raises
        ------
        RuntimeError
            If the predictor is closed, or on a GPU, where tiles are faster.
        """
        if self.fused is None:
            raise RuntimeError("only a predictor on the CPU that is open has streams")
        return ProbabilityStream(self.fused, inner, self._how, n_rows)

    def tile_bytes(self, size: tuple[int, ...]) -> int:
        """Return the memory that a tile takes at most in a forward pass, in bytes.

        Parameters
        ----------
        size : tuple of int
            Of the tile, in pixels.
        """
        turned = len(self.turns) > 1
        if self.fused is None:
            return math.ceil(math.prod(size) * bytes_per_pixel(self.config, tta=turned))
        return max(self._streamed_bytes(turn.size(size)) for turn in self.turns)

    def _streamed_bytes(self, size: tuple[int, ...]) -> int:
        """Return the memory that a tile takes as a stream, with what comes out."""
        network, config = cast("FusedNetwork", self.fused), self.config
        turned = len(self.turns) > 1
        dtype, heads, n_rows = network.dtype, network.heads, size[0]
        maps = stream_bytes(config, size[1:], dtype, n_rows, heads, n_rows)
        moved = (1 + 3 * turned) * len(network.heads) * config.out_channels
        moved += (1 + turned) * config.in_channels
        return maps + 4 * moved * math.prod(size)

    def close(self) -> None:
        """Take the network off the device and free the memory there."""
        with self._lock:
            self._network = self.fused = None
            self._empty_cache()

    def _try(self, x: FloatArray, crop: Box | None) -> FloatArray | None:
        """Predict, or return ``None`` if the device has too little memory."""
        with self._lock:
            try:
                return self._forward(x, crop)
            except torch.OutOfMemoryError:
                pass  # only after this block are the tensors of the failed pass freed
            self._empty_cache()
        return None

    @torch.inference_mode()
    def _forward(self, x: FloatArray, crop: Box | None) -> FloatArray:
        if self._network is None and self.fused is None:
            raise RuntimeError("this predictor is closed; make a new one")
        pixels = upload(x, self.device)
        size = tuple(x.shape[2:])
        crop = crop or tuple((0, n) for n in size)
        found = (
            turn.back(self._heads(turn.there(pixels), turn.box(crop, size)))
            for turn in self.turns
        )
        total = next(found)
        for more in found:
            total = total + more
        if len(self.turns) > 1:
            total = total / len(self.turns)
        return download(total)

    def _heads(self, x: Tensor, part: Box) -> Tensor:
        """Return the probabilities (N, H, K, *part) of pixels (N, C, *S)."""
        if self.fused is not None:
            return torch.stack([self._streamed(self.fused, each, part) for each in x])
        layout = MEMORY_FORMAT[self.config.spatial_dims]
        logits = cast("nn.Module", self._network)(x.contiguous(memory_format=layout))
        wanted = logits[-len(self.head_names) :]
        # Single exponentials round differently at the ends of vectors, whose places
        # depend on the tile; double ones are the same once they are rounded.
        exact = torch.float64 if self.device.type == "cpu" else torch.float32
        cut = (head[(..., *slices(part))].to(exact) for head in wanted)
        return torch.stack(
            [
                probabilities(head if t == 1 else head / t).float()
                for head, t in zip(cut, self._temperatures, strict=True)
            ],
            dim=1,
        )

    def _streamed(self, network: FusedNetwork, x: Tensor, part: Box) -> Tensor:
        """Return the probabilities (H, K, *part) of a tile (C, *S)."""
        stream = stream_of(network, tuple(x.shape[2:]), self._how, x.shape[1])
        index: Any = (..., *slices(part))
        return stream.push(x, last=True)[index]

    def _empty_cache(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def _check_adaptive(
    network: Network, device: torch.device, adaptive: float, *, tta: bool
) -> None:
    """Refuse to stop early where that cannot be."""
    if not isinstance(network, UNetPlusPlus):
        reason = "this model has one head only, so that no level answers first"
    elif device.type != "cpu":
        reason = f"on {device} whole tiles are computed at once"
    elif tta:
        reason = "with tta every turn of the image would stop elsewhere"
    else:
        return
    raise SettingsError(
        f"adaptive={adaptive}: {reason}; leave adaptive out, or use a UNet++ model on"
        " the CPU without tta"
    )


def temperatures_of(model: Model, heads: Iterable[int]) -> tuple[float, ...]:
    """Return what the logits of some heads are divided by; a U-Net has one for all."""
    found = model.temperatures
    return tuple(found[j - 1] if len(found) > 1 else found[0] for j in heads)


def bytes_per_pixel(config: NetworkConfig, *, tta: bool = False) -> float:
    """Estimate the memory that one pixel of a tile takes in a forward pass, in bytes.

    Parameters
    ----------
    config : NetworkConfig
        The network.
    tta : bool
        Whether tiles are turned: beside a pass lie the turned pixels, and the sum of
        the passes before it with what it becomes.

    Notes
    -----
    Counted are the maps that wait for a later node, the largest concatenation and the
    two maps of the convolution that reads it, the probabilities on their way out and
    the pixels on their way in, all float32; measured use lies up to 1.4 times higher
    because memory is handed out in large pieces.
    """
    widths, depth = config.widths, config.depth
    kept, area = 0.0, 1
    for i, width in enumerate(widths):
        kept += width * (depth + 1 - i) / area
        if i < depth:
            area *= math.prod(config.level_strides[i])
    joined = depth * widths[0] + max(widths[0], widths[1])
    moved = (6 + 2 * tta) * config.n_heads * config.out_channels
    moved += (4 + tta) * config.in_channels
    return 1.4 * 4 * (kept + joined + 2 * widths[0] + moved)
