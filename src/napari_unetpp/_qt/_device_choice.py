"""Which device computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.inference import DeviceInfo

_GIB = 2**30


class DeviceChoice(QComboBox):  # type: ignore[misc]
    """Combo box of devices, with the memory that each has free.

    Parameters
    ----------
    device : str
        Chosen at the start, as `PredictionConfig.device` has it.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.setToolTip("What computes, and its free memory")
        self.setAccessibleName("Device")
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.addItem("Automatic", "auto")
        self.choose(device)

    @property
    def device(self) -> str:
        """What is chosen."""
        chosen: str = self.currentData()
        return chosen

    def offer(self, devices: Sequence[DeviceInfo]) -> None:
        """Offer the devices of this machine, the best first."""
        chosen = self.device
        with QSignalBlocker(self):
            self.clear()
            self.addItem(f"Automatic ({devices[0].name})", "auto")
            for device in devices:
                free = device.free_bytes / _GIB
                self.addItem(f"{device.name}, {free:.1f} GiB free", device.name)
                last = self.count() - 1
                self.setItemData(last, device.label, Qt.ItemDataRole.ToolTipRole)
            self.choose(chosen)

    def choose(self, device: str) -> None:
        """Choose a device, which is offered from now on."""
        index = self.findData(device)
        if index < 0:
            self.addItem(device, device)
            index = self.count() - 1
        self.setCurrentIndex(index)
