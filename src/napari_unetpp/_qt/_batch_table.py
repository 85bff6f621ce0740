"""The images of a batch in a table: state, speed, time, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QColor, QFont
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableView,
)

from napari_unetpp._qt._run_bar import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import (
        QDragEnterEvent,
        QDragMoveEvent,
        QDropEvent,
        QKeyEvent,
    )

    from napari_unetpp._napari import BatchItem, Progress, RowDone

State = Literal["waiting", "running", "done", "failed", "stopped"]

COLUMNS = ("Image", "State", "Mpx/s", "Time", "")
IMAGE, STATE, SPEED, TIME, RESULT = range(len(COLUMNS))

_TIPS = (
    "Name of the file or layer",
    "What is done of the image, or what came of it",
    "Millions of pixels of the result a second: while tiles are predicted those of the"
    "\npresent, behind them those of the whole run on this image",
    "Minutes and seconds: while it runs those that the present stage still takes, then"
    "\nthose that the image took",
    "Click to see the image and its results",
)
_WIDEST = ("1,000 objects", "Mpx/s", "00:00", "Open")
_OPEN = "Open"
_ROWS = 4
"""Lines that are seen without scrolling, at least."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchRow:
    """One image, as the table shows it.

    Attributes
    ----------
    item : BatchItem
        The image.
    state : State
        How far it is.
    text : str
        The same in words.
    n_pixels : int
        Of the result; 0 while it is not known.
    speed : float
        Pixels a second; 0 while it is not known.
    seconds : float or None
        Left while it runs, then taken.
    done : RowDone or None
        What came of it.
    detail : str
        What else there is to say: why it failed, what was out of the ordinary.
    """

    item: BatchItem
    state: State = "waiting"
    text: str = "waiting"
    n_pixels: int = 0
    speed: float = 0.0
    seconds: float | None = None
    done: RowDone | None = None
    detail: str = ""

    def waiting(self) -> BatchRow:
        """Return the row of an image that waits for its turn."""
        return BatchRow(self.item)

    def noted(self, text: str) -> BatchRow:
        """Return the row with something more to say."""
        return replace(self, detail="\n".join(filter(None, (self.detail, text))))

    def begun(self, n_pixels: int) -> BatchRow:
        """Return the row of an image whose run has begun."""
        return BatchRow(self.item, "running", "starting…", n_pixels, done=self.done)

    def at(self, progress: Progress) -> BatchRow:
        """Return the row of an image that is so far."""
        share = progress.n_done / max(progress.n_all, 1)
        n_done = progress.n_done - progress.n_before
        speed, left = 0.0, None
        if n_done > 0 and progress.seconds > 0:
            rate = n_done / progress.seconds
            left = (progress.n_all - progress.n_done) / rate
            speed = rate * progress.n_pixels / max(progress.n_all, 1)
        text = f"{progress.what} {share:.0%}"
        return replace(
            self, text=text, speed=speed or self.speed, seconds=left, state="running"
        )

    def ended(self, done: RowDone) -> BatchRow:
        """Return the row of an image that is done; what a first run told stays."""
        detail = "\n".join(
            [*done.notes, *map(str, dict.fromkeys(done.outputs.values()))]
        )
        before = self.done
        if done.up_to_date and before is not None:
            done = replace(before, outputs=done.outputs)
            speed = self.n_pixels / before.seconds if before.seconds else 0.0
            return BatchRow(
                self.item,
                "done",
                before.found,
                self.n_pixels,
                speed,
                before.seconds,
                done,
                detail,
            )
        if done.up_to_date:
            return BatchRow(
                self.item, "done", done.found, self.n_pixels, done=done, detail=detail
            )
        speed = self.n_pixels / done.seconds if done.seconds else 0.0
        return BatchRow(
            self.item,
            "done",
            done.found,
            self.n_pixels,
            speed,
            done.seconds,
            done,
            detail,
        )

    def failed(self, reason: str) -> BatchRow:
        """Return the row of an image that could not be segmented."""
        return BatchRow(self.item, "failed", "failed", detail=reason)

    def stopped(self) -> BatchRow:
        """Return the row of an image whose run was stopped."""
        far = f" at {self.text}" if self.speed else ""
        return replace(self, state="stopped", text=f"stopped{far}", seconds=None)


class BatchRows(QAbstractTableModel):  # type: ignore[misc]
    """The rows behind the table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[BatchRow] = []

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of images."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        """Return the name of a column, and what it says."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return _TIPS[section]
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row, column)
        if role == Qt.ItemDataRole.FontRole and column == RESULT:
            font = QFont()
            font.setUnderline(True)
            return font
        if role == Qt.ItemDataRole.ForegroundRole and row.state == "failed":
            return QColor("#d9534f") if column == STATE else None
        return None

    def add(self, items: Sequence[BatchItem]) -> int:
        """Add images, but none twice; return how many there were new."""
        known = {_key(row.item) for row in self.rows}
        new = []
        for item in items:
            if _key(item) not in known:
                known.add(_key(item))
                new.append(BatchRow(item))
        if new:
            first = len(self.rows)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self.rows += new
            self.endInsertRows()
        return len(new)

    def remove(self, indices: Sequence[int]) -> None:
        """Take images out."""
        for index in sorted(set(indices), reverse=True):
            self.beginRemoveRows(QModelIndex(), index, index)
            del self.rows[index]
            self.endRemoveRows()

    def put(self, index: int, row: BatchRow) -> None:
        """Show another state of an image."""
        self.rows[index] = row
        self.dataChanged.emit(self.index(index, 0), self.index(index, RESULT))


class BatchTable(QTableView):  # type: ignore[misc]
    """Table of images; files and folders can be dropped on it.

    `opened` carries the number of an image whose result is wanted, `dropped` a list of
    paths, `removed` the numbers of images that are to go, `selected` nothing.
    """

    opened = Signal(int)
    dropped = Signal(object)
    removed = Signal(object)
    selected = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.model_rows = BatchRows()
        self.setModel(self.model_rows)
        self.setAccessibleName("Images of the batch")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAcceptDrops(True)
        self.setTabKeyNavigation(False)  # Tab leaves the table
        self.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Expanding)
        self.verticalHeader().hide()
        line = self.fontMetrics().height()
        self.verticalHeader().setDefaultSectionSize(line + 6)
        self.setMinimumHeight((line + 6) * (_ROWS + 1))
        self._set_widths()
        self.clicked.connect(self._clicked)
        self.activated.connect(self._activated)
        self.selectionModel().selectionChanged.connect(self._tell_selected)

    @property
    def chosen(self) -> list[int]:
        """Numbers of the selected images."""
        return sorted(index.row() for index in self.selectionModel().selectedRows())

    def row_at(self, index: int) -> BatchRow:
        """Return what is shown of an image."""
        return self.model_rows.rows[index]

    def scroll_to_row(self, index: int) -> None:
        """Bring an image into view, unless the user looks at another one."""
        if not self.chosen:
            self.scrollTo(self.model_rows.index(index, IMAGE))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes the selected images out."""
        if event.key() == Qt.Key.Key_Delete and self.chosen:
            self.removed.emit(self.chosen)
            return
        super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take files and folders."""
        urls = [url for url in event.mimeData().urls() if url.isLocalFile()]
        if urls:
            event.acceptProposedAction()
            self.dropped.emit([Path(url.toLocalFile()) for url in urls])

    def _set_widths(self) -> None:
        header = self.horizontalHeader()
        header.setSectionResizeMode(IMAGE, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(30)
        width = self.fontMetrics().horizontalAdvance
        for column, widest in enumerate(_WIDEST, STATE):
            interactive = QHeaderView.ResizeMode.Interactive
            header.setSectionResizeMode(column, interactive)
            header.resizeSection(column, width(widest) + 12)

    def _clicked(self, index: QModelIndex) -> None:
        if index.column() == RESULT:
            self._activated(index)

    def _activated(self, index: QModelIndex) -> None:
        if self.row_at(index.row()).done is not None:
            self.opened.emit(index.row())

    def _tell_selected(self, *_: object) -> None:
        self.selected.emit()


def _key(item: BatchItem) -> object:
    """Return what tells an image from others: its path, or the name of its layer."""
    return item.image if isinstance(item.image, Path) else item.name


def _text(row: BatchRow, column: int) -> str:
    """Return what stands in a cell."""
    if column == SPEED:
        return f"{row.speed / 1e6:.2g}" if row.speed else ""
    if column == TIME:
        return "" if row.seconds is None else clock(row.seconds)
    if column == RESULT:
        return _OPEN if row.done is not None and row.state == "done" else ""
    return row.text if column == STATE else row.item.short_name


def _tip(row: BatchRow, column: int) -> str:
    """Return the tool tip of a cell."""
    if column == RESULT:
        return _TIPS[RESULT]
    if column == STATE:
        return "\n".join(filter(None, (row.text, row.detail)))
    return str(row.item.file or row.item.name)
