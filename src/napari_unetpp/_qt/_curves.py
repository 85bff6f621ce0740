"""Curves of a training: the loss of every step, the validation IoU of every head."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Slot
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton

from napari_unetpp._qt._history import History
from napari_unetpp._qt._plots import SYMBOLS, Look, PlotPanel, dress_axes
from napari_unetpp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_unetpp.training import EpochDone

REDRAW_MS = 500
"""Least time between two drawings."""
HEIGHT = 330
FEW = 20
"""Epochs up to which each is marked."""

_NOTHING_HELD_OUT = (
    "Nothing is held out to validate on: the curve of the IoU stays empty."
)


class Curves(PlotPanel):
    """Loss and validation of a training, drawn while it goes on.

    The upper plot shows the loss of the steps and its running mean, the lower one the
    IoU of each head, and of their mean, on what is held out. A dashed line marks the
    model that is kept.
    """

    def __init__(self) -> None:
        super().__init__(HEIGHT)
        self._history = History()
        self._lines: dict[int | None, Any] = {}
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REDRAW_MS)
        self._rest.timeout.connect(self._draw_if_seen)
        self.csv_button = QPushButton("Save as CSV…")
        self.csv_button.setToolTip("Write all numbers of the curves as a table")
        self.csv_button.clicked.connect(self._ask_csv)
        self.png_button = QPushButton("Save as PNG…")
        self.png_button.setToolTip("Write the curves as a picture on white ground")
        self.png_button.clicked.connect(self._ask_png)
        buttons = QHBoxLayout()
        buttons.addWidget(self.csv_button)
        buttons.addWidget(self.png_button)
        self.column.addLayout(buttons)
        self.setToolTip(
            "Above: loss of each step (thin) and its running mean (thick)."
            "\nBelow: IoU of each head, and of their mean, on what is held out."
            "\nThe dashed line marks the model that is kept."
        )
        self._enable()

    def begin(self, n_heads: int) -> None:
        """Forget the last run; a new one of `n_heads` heads begins."""
        self._history = History(n_heads)
        for line in self._lines.values():
            line.clear()
        self.say("")
        self._enable()
        self._draw_if_seen()

    def add_step(self, step: int, loss: float, seconds: float) -> None:
        """Take a step of the training.

        Parameters
        ----------
        step : int
            Steps done.
        loss : float
            Of this step.
        seconds : float
            Spent training so far.
        """
        self._history.add_step(step, loss, seconds)
        self._changed()

    def add_epoch(self, event: EpochDone) -> None:
        """Take the end of an epoch, after the step that ended it."""
        self._history.add_epoch(event)
        self.say("" if event.validation else _NOTHING_HELD_OUT)
        self._changed()

    def rows(self) -> list[dict[str, Any]]:
        """Return what the curves show, a row for each step and each epoch.

        Returns
        -------
        list of dict
            step, epoch, seconds, loss, mean_loss_of_epoch, iou_head_1, ...,
            iou_all_heads, best; ``None`` where a row has nothing.
        """
        return self._history.rows()

    def save_csv(self, path: Path) -> None:
        """Write what the curves show as a table.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        rows = self.rows()
        try:
            with Path(path).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]) if rows else ["step"])
                writer.writeheader()
                writer.writerows(rows)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written ({error.strerror}); choose another folder"
            ) from error

    def make(self) -> None:
        """Put both plots into place."""
        import pyqtgraph

        self._legend = pyqtgraph.LabelItem(justify="left", size="8pt")
        self._upper = self.plain_plot(0)
        self._upper.setLabel("left", "loss")
        self._upper.getAxis("bottom").setStyle(showValues=False)
        self._lower = self.plain_plot(1)
        self._lower.setLabel("left", "IoU")
        self._lower.setLimits(yMin=-0.05, yMax=1.05)
        self._lower.setLabel("bottom", "step")
        self._lower.setXLink(self._upper)
        self.plots.addItem(self._legend, row=2, col=0)
        for row, share in ((0, 4), (1, 5)):
            self.plots.ci.layout.setRowStretchFactor(row, share)
        self._loss = self._upper.plot()
        self._smooth = self._upper.plot()
        self._best = pyqtgraph.InfiniteLine(angle=90)
        self._lower.addItem(self._best, ignoreBounds=True)

    def dress(self, look: Look) -> None:
        """Give the plots their colours."""
        import pyqtgraph

        self._shown_look = look
        for plot in (self._upper, self._lower):
            dress_axes(plot, look)
        self._loss.setPen(pyqtgraph.mkPen(look.faint, width=1))
        self._smooth.setPen(pyqtgraph.mkPen(look.text, width=2))
        self._best.setPen(pyqtgraph.mkPen(look.faint, width=1, style=_dashes()))
        for head in self._lines:
            self._dress_line(head)
        self._write_legend()

    def draw(self) -> None:
        """Draw the curves as they are now."""
        if self.plots is None:
            return
        at, loss, smooth = self._history.loss()
        self._loss.setData(at, loss)
        self._smooth.setData(at, smooth)
        for head in (*range(self._history.n_heads), None):
            if head not in self._lines:
                self._lines[head] = self._lower.plot()
                self._dress_line(head)
            steps, iou = self._history.validation(head)
            self._lines[head].setData(steps, iou, symbol=self._symbol(head))
        best = self._history.best
        self._best.setVisible(best is not None and bool(best[1].validation))
        if best is not None:
            self._best.setValue(best[0])
        self._write_legend()

    def _symbol(self, head: int | None) -> str | None:
        """Return the mark of each epoch, while there are few."""
        if len(self._history.epochs) > FEW:
            return None
        return None if head is None else SYMBOLS[head % len(SYMBOLS)]

    def _dress_line(self, head: int | None) -> None:
        import pyqtgraph

        look, line = self._shown_look, self._lines[head]
        colour = look.text if head is None else look.colour(head)
        line.setPen(pyqtgraph.mkPen(colour, width=2.5 if head is None else 1.5))
        line.setSymbolBrush(colour)
        line.setSymbolPen(colour)
        line.setSymbolSize(5)

    def _write_legend(self) -> None:
        """Tell the lines apart, with the newest numbers."""
        look = self._shown_look
        parts = []
        for head in (*range(self._history.n_heads), None):
            _, iou = self._history.validation(head)
            colour = look.text if head is None else look.colour(head)
            name = "all heads" if head is None else f"head {head + 1}"
            value = f" {iou[-1]:.3f}" if len(iou) else ""
            parts.append(f'<span style="color: {colour.name()}">■ {name}{value}</span>')
        lines = [parts[i : i + 3] for i in range(0, len(parts), 3)]
        between = "&nbsp;&nbsp; "
        self._legend.setText("<br>".join(between.join(line) for line in lines))

    def _changed(self) -> None:
        self._enable()
        if self.isVisible() and not self._rest.isActive():
            self._rest.start()

    @Slot()  # type: ignore[untyped-decorator]
    def _draw_if_seen(self) -> None:
        if self.isVisible():
            self.draw()

    def _enable(self) -> None:
        """Offer to save what there is."""
        some = bool(self._history.n_steps or self._history.epochs)
        self.csv_button.setEnabled(some)
        self.png_button.setEnabled(some)

    @Slot()  # type: ignore[untyped-decorator]
    def _ask_csv(self) -> None:
        self._ask("training.csv", "Tables (*.csv)", self.save_csv)

    @Slot()  # type: ignore[untyped-decorator]
    def _ask_png(self) -> None:
        self._ask("training.png", "Pictures (*.png)", self.save_png)

    def _ask(self, name: str, kinds: str, save: Callable[[Path], None]) -> None:
        """Have the user choose a file, and write it."""
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the curves", name, kinds)
        if not chosen:
            return
        path = Path(chosen)
        path = path if path.suffix else path.with_suffix(Path(name).suffix)
        try:
            save(path)
        except OutputError as error:
            self.say(str(error))
        else:
            self.say(f"Saved {path}")


def _dashes() -> Any:
    from qtpy.QtCore import Qt

    return Qt.PenStyle.DashLine
