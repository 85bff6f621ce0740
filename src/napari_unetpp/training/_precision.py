"""In which precision a network learns."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari_unetpp.config import TrainingConfig


def choose_precision(
    config: TrainingConfig, device: torch.device, spatial_dims: int
) -> str:
    """Return the precision of the forward pass: bfloat16 where it is hardware.

    Not in 3-D on a CPU: there bfloat16 convolutions of maps that are one or two pixels
    deep read memory that nobody has written (torch 2.13), so that the gradients of deep
    levels differ from run to run and are NaN now and then.
    """
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    trusted = device.type == "cpu" and spatial_dims == 2
    return "bfloat16" if trusted and has_bf16() else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Return the context in which a forward pass has this precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
