"""Which device the network runs on, and how much memory it has left."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from napari_unetpp.errors import DeviceError

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_MEMORY_INFO = Path("/proc/meminfo")
_UNKNOWN_MEMORY = 4 * 2**30  # a small laptop, where the system does not tell


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that can be asked for, and its memory.

    Attributes
    ----------
    name : str
        What ``device=`` takes: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    label : str
        What the maker calls it.
    free_bytes, total_bytes : int
        Memory, in bytes; on the CPU that of the whole machine.
    """

    name: str
    label: str
    free_bytes: int
    total_bytes: int


def devices() -> list[DeviceInfo]:
    """Return the devices of this machine, the one that "auto" takes first."""
    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        label = torch.cuda.get_device_name(index)
        found.append(DeviceInfo(f"cuda:{index}", label, free, total))
    if torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        free = max(0, total - torch.mps.driver_allocated_memory())
        found.append(DeviceInfo("mps", "Apple GPU", free, total))
    label = f"CPU, {os.cpu_count() or 1} cores"
    found.append(DeviceInfo("cpu", label, *_machine_memory(_MEMORY_INFO)))
    return found


def resolve_device(device: str) -> torch.device:
    """Return the device that `device` names.

    Parameters
    ----------
    device : str
        ``"auto"`` (the first NVIDIA or Apple GPU, else the CPU), ``"cpu"``,
        ``"cuda"``, ``"cuda:N"`` or ``"mps"``.

    Raises
    ------
    DeviceError
        If there is no such device here.
    """
    names = [info.name for info in devices()]
    wanted = {"auto": names[0], "cuda": "cuda:0"}.get(device, device)
    if wanted in names:
        return torch.device(wanted)
    hint = cuda_hint()
    cure = hint if wanted.startswith("cuda") and hint else "take one of these"
    raise DeviceError(
        f"device {device!r} is not there: this machine has auto, {', '.join(names)};"
        f" {cure}"
    )


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on `device`."""
    name = f"cuda:{device.index or 0}" if device.type == "cuda" else device.type
    return next(info.free_bytes for info in devices() if info.name == name)


def cuda_hint(driver: Path = _NVIDIA_DRIVER) -> str | None:
    """Say how to use an NVIDIA card that is in the machine and lies idle.

    Parameters
    ----------
    driver : Path
        File that the NVIDIA driver shows while it is loaded.

    Returns
    -------
    str or None
        What is wrong and the cure; ``None`` if there is no card or torch uses it.
    """
    has_card = driver.exists() or shutil.which("nvidia-smi") is not None
    if not has_card or torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return (
            "this machine has an NVIDIA card, but the installed torch"
            f" ({torch.__version__}) is built for the CPU only; install a CUDA build"
            " as https://pytorch.org/get-started/locally shows"
        )
    return (
        f"this machine has an NVIDIA card, but torch (built for CUDA"
        f" {torch.version.cuda}) cannot use it; update the NVIDIA driver"
    )


def _machine_memory(info: Path) -> tuple[int, int]:
    """Return (available, total) bytes of main memory."""
    if info.exists():
        rows = (line.split() for line in info.read_text().splitlines())
        kilobytes = {row[0]: int(row[1]) for row in rows if len(row) > 1}
        if "MemAvailable:" in kilobytes:
            return kilobytes["MemAvailable:"] * 1024, kilobytes["MemTotal:"] * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total // 2, total
    return _UNKNOWN_MEMORY // 2, _UNKNOWN_MEMORY
