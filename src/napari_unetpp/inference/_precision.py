"""In which precision a network predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_unetpp.nn._fused import supported

if TYPE_CHECKING:
    from napari_unetpp.config import NetworkConfig, Precision

_HARDWARE = ("avx512_bf16", "amx_bf16")


def resolve_precision(
    wanted: Precision, device: torch.device, network: NetworkConfig
) -> str:
    """Return the precision that `wanted` means on a device.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16"}
        ``"auto"`` is bfloat16 where the device computes with it, else float32.
    device : torch.device
        Where the network runs.
    network : NetworkConfig
        Programs that others made run in their own precision, as float32.
    """
    if not supported(network):
        return "float32"
    if wanted != "auto":
        return wanted
    return "bfloat16" if has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Say whether a device computes with bfloat16, and does not only imitate it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Not in all versions of torch that will do.
    found: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name, False) for name in _HARDWARE)


def why_precision(wanted: Precision, device: torch.device) -> str:
    """Return, in words, what a precision is used for a device and why."""
    name = "this processor" if device.type == "cpu" else "this device"
    if wanted != "auto":
        return f"{wanted}, as asked for"
    if has_bfloat16(device):
        return f"bfloat16, which {name} computes with"
    return f"float32: {name} has no bfloat16"
