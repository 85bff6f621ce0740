"""The network on its device: a batch of tiles in, the probabilities of all heads out.

Only this module touches a device. A batch that does not fit into its memory is halved
here; a single tile that does not fit is for the caller to halve (`TileTooLargeError`).
"""

from __future__ import annotations

import copy
import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from napari_unetpp._types import slices
from napari_unetpp.errors import UnetppError
from napari_unetpp.inference._turns import AS_IT_IS, turns_of
from napari_unetpp.nn import UNetPlusPlus
from napari_unetpp.nn._losses import probabilities
from napari_unetpp.tiling import round_up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.config import Mode, NetworkConfig
    from napari_unetpp.nn import Model

_STEADY = 16  # output channels from which a convolution sums in a steady order
_MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}


class TileTooLargeError(UnetppError, RuntimeError):
    """A single tile did not fit into the memory of the device."""


class _SteadyHead(nn.Module):
    """A head whose sums do not depend on the number of threads.

    On CPUs a convolution to a few channels takes another kernel than one to many, and
    rounds differently with one thread and with two; so channels of zeros are added.
    """

    def __init__(self, head: Any) -> None:
        super().__init__()
        self._n, n_in = head.weight.shape[:2]
        self.conv = type(head)(n_in, round_up(self._n, _STEADY), kernel_size=1)
        for wide, narrow in zip(self.conv.parameters(), head.parameters(), strict=True):
            wide.data.zero_()
            wide.data[: self._n] = narrow.data

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, K, ...) of the features (N, F, ...)."""
        wide: Tensor = self.conv(x)
        return wide[:, : self._n].clone()


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

    Attributes
    ----------
    level : int
        The level in use.
    head_names : tuple of str
        Names of the heads that come out, ("head 1", ...).
    config : NetworkConfig
        That of the pruned network.
    n_bytes : int
        Size of its weights.
    turns : tuple of Turn
        How tiles are turned; as they are, unless with `tta`.

    Raises
    ------
    SettingsError
        If the model has no such level.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        level: int | None = None,
        mode: Mode = "accurate",
        *,
        tta: bool = False,
    ) -> None:
        self.device = device
        self.level = model.network.check_level(level)
        heads = range(1, self.level + 1)
        if mode == "fast" or not isinstance(model.network, UNetPlusPlus):
            heads = range(self.level, self.level + 1)
        self.head_names = tuple(f"head {j}" for j in heads)
        self._temperatures = temperatures_of(model, heads)
        network = model.network
        if self.level < network.config.depth:
            network = model.prune(self.level).network
        else:
            network = copy.deepcopy(network)
        self.config: NetworkConfig = network.config
        self.turns = turns_of(self.config) if tta else (AS_IT_IS,)
        self._format = _MEMORY_FORMAT[self.config.spatial_dims]
        if device.type == "cpu" and isinstance(network, UNetPlusPlus):
            for name, head in network.heads.items():
                network.heads[name] = _SteadyHead(head)
        network.eval().to(device=device, memory_format=self._format)  # type: ignore[call-overload]
        self._network: torch.nn.Module | None = network
        self.n_bytes = sum(p.numel() * p.element_size() for p in network.parameters())
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

    def close(self) -> None:
        """Take the network off the device and free the memory there."""
        with self._lock:
            self._network = None
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
        if self._network is None:
            raise RuntimeError("this predictor is closed; make a new one")
        network, pixels = self._network, torch.from_numpy(x).to(self.device)
        size = tuple(x.shape[2:])
        crop = crop or tuple((0, n) for n in size)
        found = (
            turn.back(self._heads(network, turn.there(pixels), turn.box(crop, size)))
            for turn in self.turns
        )
        total = next(found)
        for more in found:
            total = total + more
        if len(self.turns) > 1:
            total = total / len(self.turns)
        return total.contiguous().cpu().numpy()

    def _heads(self, network: nn.Module, x: Tensor, part: Box) -> Tensor:
        """Return the probabilities (N, H, K, *part) of pixels (N, C, *S)."""
        logits = network(x.contiguous(memory_format=self._format))
        wanted = logits[-len(self.head_names) :]
        # Single exponentials round differently at the ends of vectors, whose places
        # depend on tile and threads; double ones are the same once they are rounded.
        exact = torch.float64 if self.device.type == "cpu" else torch.float32
        cut = (head[(..., *slices(part))].to(exact) for head in wanted)
        return torch.stack(
            [
                probabilities(head if t == 1 else head / t).float()
                for head, t in zip(cut, self._temperatures, strict=True)
            ],
            dim=1,
        )

    def _empty_cache(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


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
