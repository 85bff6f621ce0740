"""What the heads of an adaptive stream say, and which blocks go on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_unetpp.nn._gated import Packing
from napari_unetpp.nn._gates import Kept
from napari_unetpp.nn._heads import steady_probabilities

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.nn._activity import Region
    from napari_unetpp.nn._gates import Gate
    from napari_unetpp.nn._kernels import Kernels
    from napari_unetpp.nn._rows import Rows


class Answer:
    """The probabilities of a head where blocks have come to it, else those above it.

    Parameters
    ----------
    kernels, source, weights, temperature
        As of `HeadStep`.
    shape : tuple of int
        Of a row of an answer, (K, *inner).
    above : Answer, optional
        That of the head above; head 1 has none.
    region : Region, optional
        Where blocks have come to this head; everywhere by default.
    gate : Gate, optional
        Decides where they go on.

    Attributes
    ----------
    kept : Kept
        The probabilities, (K, n, *inner).
    """

    def __init__(
        self,
        kernels: Kernels,
        source: Rows,
        weights: tuple[Tensor, Tensor],
        temperature: float,
        shape: tuple[int, ...],
        above: Answer | None,
        region: Region | None,
        gate: Gate | None,
    ) -> None:
        self._kernels, self._source, self._weights = kernels, source, weights
        self._temperature = temperature
        self._above, self._region, self._gate = above, region, gate
        self._reader = source.reader()
        self._n_classes = shape[0]
        self.kept = Kept(shape[0], shape[1:], torch.float32)

    def advance(self) -> None:
        """Answer for all rows that are there, and decide which blocks go on."""
        start, stop = self.kept.stop, self._source.stop
        n_rows = stop if self._region is None else self._region.edges[0]
        while start < stop:
            end = min(stop, start - start % n_rows + n_rows)
            found = self.kept.extend(end - start)
            self._answer(start, end, found)
            if self._gate is not None:
                above = self._above
                shown = None if above is None else above.kept.rows(start, end)
                self._gate.look(found, shown)
            start = end
        self._source.release(self._reader, stop)
        if self._gate is not None:
            self._gate.decide(complete=self._source.total is not None)

    def _answer(self, start: int, stop: int, found: Tensor) -> None:
        """Write the probabilities (K, n, *inner) of some rows."""
        rows, region = self._source.view(start, stop), self._region
        if self._above is None or region is None:
            found.copy_(self._probabilities(rows))
            return
        found.copy_(self._above.kept.rows(start, stop))
        boxes = region.boxes(start, stop)
        if boxes is None:
            here = self._probabilities(rows)
        elif boxes:
            here = torch.zeros_like(found)
            packing = Packing(boxes, region.inner, 0)
            made = self._probabilities(packing.pack(rows)).movedim(0, -1)
            packing.unpack(made, here.movedim(0, -1))
        else:
            return
        torch.where(_mask(region, start), here, found, out=found)

    def _probabilities(self, rows: Tensor) -> Tensor:
        """Return (K, n, *inner) of rows (n, *inner, C)."""
        found = self._kernels.spread(rows.float(), *self._weights)
        logits = found[..., : self._n_classes].movedim(-1, 0)
        return steady_probabilities(logits, self._temperature)


def _mask(region: Region, start: int) -> Tensor:
    """Return which pixels of a row come to a head, (1, *inner)."""
    row = start // region.edges[0]
    found = torch.from_numpy(region.activity.rows(row, row + 1))
    for axis, edge in enumerate(region.edges[1:], start=1):
        found = found.repeat_interleave(edge, dim=axis)
    return found[(slice(None), *(slice(n) for n in region.inner))]
