"""Noticing new files in a folder that need not exist yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal, Slot

if TYPE_CHECKING:
    from pathlib import Path

_QUIET_MS = 300
"""A file is written beside its place and renamed: two changes in a row."""


class FolderWatch(QObject):  # type: ignore[misc]
    """Tells when something in a folder has changed.

    While the folder is not there, the nearest folder above it is watched.

    Parameters
    ----------
    folder : Path
        The folder.
    parent : QObject
        The widget with which the watch goes.
    """

    changed = Signal()

    def __init__(self, folder: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._folder = folder
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._seen)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_QUIET_MS)
        self._rest.timeout.connect(self._tell)
        self._watch()

    def _watch(self) -> bool:
        """Watch the folder, or what is there of its path; return whether it is."""
        there = next(
            (p for p in (self._folder, *self._folder.parents) if p.is_dir()), None
        )
        watched = self._watcher.directories()
        if there is not None and watched != [str(there)]:
            if watched:
                self._watcher.removePaths(watched)
            self._watcher.addPath(str(there))
        return there == self._folder

    @Slot(str)  # type: ignore[untyped-decorator]
    def _seen(self, _: str) -> None:
        self._rest.start()

    @Slot()  # type: ignore[untyped-decorator]
    def _tell(self) -> None:
        if self._watch():
            self.changed.emit()
