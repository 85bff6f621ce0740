"""What a training does about numbers that are not finite and memory that is short."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_unetpp.errors import SettingsError, UnetppError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unetpp.config import NetworkConfig, TrainingConfig

MAX_SETBACKS = 5
"""How often training steps back before it gives up."""

_SMALLEST_PATCH = 16
_SHORT_OF_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "alloc_failed",
    "could not create a primitive",
    "could not create a memory object",
)
"""What torch and its libraries say, in small letters, where memory is short.

Main memory has no exception of its own in torch: it is a plain ``RuntimeError``. The
last two are of oneDNN, whose convolutions need memory for their code and their weights.
"""


class NotFiniteError(UnetppError, ArithmeticError):
    """A loss, a gradient or weights that hold NaN or infinite numbers."""


def given_up(
    error: NotFiniteError, rate: float, checkpoint: Path | None, best: int | None
) -> str:
    """Return what is said when stepping back has not helped.

    Parameters
    ----------
    error : NotFiniteError
        The last one.
    rate : float
        Learning rate that was asked for.
    checkpoint : Path, optional
        Where the best model may be.
    best : int, optional
        Its epoch, if there is one.
    """
    words = (
        f"{error}, after {MAX_SETBACKS} setbacks: look for extreme values in the"
        f" images, and train anew with a lower learning rate (now {rate})"
    )
    if best is not None and checkpoint is not None and checkpoint.exists():
        words += f"; the best model, of epoch {best}, is in {checkpoint}"
    return words


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the device or the computer is out of memory."""
    if isinstance(error, UnetppError):
        return False
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in said for words in _SHORT_OF_MEMORY
    )


def free_memory(device: torch.device) -> None:
    """Give back what the device holds in reserve."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def patch_size(network: NetworkConfig, config: TrainingConfig) -> tuple[int, ...]:
    """Return the size of a patch along each axis, in multiples of the alignment."""
    return tuple(-(-config.patch // m) * m for m in network.alignment())


def check_batch(network: NetworkConfig, config: TrainingConfig) -> None:
    """Refuse a batch of which batch norm would see one pixel at the deepest level."""
    if not _suits_batch_norm(network, config):
        raise SettingsError(
            f"batch={config.batch} of patches of {patch_size(network, config)} leaves"
            f" one pixel at level {network.depth}, and batch norm needs two; take"
            " larger patches or more"
        )


def smaller(network: NetworkConfig, config: TrainingConfig) -> TrainingConfig | None:
    """Return settings that need less memory: half the batch, then half the patch.

    ``None`` if there are none: the batch is one patch, or two where batch norm needs
    them, as small as the network takes it.
    """
    step = max(network.alignment())
    halved = -(-(config.patch // 2) // step) * step
    patch = max(halved, step, _SMALLEST_PATCH)
    tries: list[dict[str, int]] = []
    if config.batch > 1:
        tries.append({"batch": config.batch // 2})
    if patch < config.patch:
        tries.append({"patch": patch})
    for changes in tries:
        less = config.model_copy(update=changes)
        if _suits_batch_norm(network, less):
            return less
    return None


def check_finite(network: torch.nn.Module, where: str) -> None:
    """Refuse a network whose weights or running means are not finite."""
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise NotFiniteError(f"{name} holds numbers that are not finite {where}")


def _suits_batch_norm(network: NetworkConfig, config: TrainingConfig) -> bool:
    size = patch_size(network, config)
    deepest = [n // m for n, m in zip(size, network.alignment(), strict=True)]
    return network.norm != "batch" or config.batch * math.prod(deepest) >= 2
