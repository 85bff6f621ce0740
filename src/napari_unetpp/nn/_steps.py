"""Steps of a stream: each reads the rows of some maps and writes those of its own.

How many rows a step can compute, and from which row on it reads, is all that makes one
kind of step differ from another; the kernels are in `_kernels`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_unetpp.config import Upsampling
    from napari_unetpp.nn._fused import Convolution
    from napari_unetpp.nn._kernels import Kernels
    from napari_unetpp.nn._rows import Rows


class Step(ABC):
    """What computes the rows of `target` from those of `sources`."""

    def __init__(self, sources: Sequence[Rows], target: Rows) -> None:
        self.sources = tuple(sources)
        self.target = target
        self._readers = [source.reader() for source in sources]
        self._unit = 1  # rows that come together

    def advance(self, most: int) -> bool:
        """Compute up to `most` rows of what can be; say whether there were any.

        What is read no more is let go of.
        """
        start = self.target.stop
        most = max(most // self._unit, 1) * self._unit
        stop = min(start + most, *map(self.reach, self.sources))
        if stop > start:
            self.compute(start, stop)
            for source, reader in zip(self.sources, self._readers, strict=True):
                source.release(reader, self.first_read(stop))
        if self.target.total is None and all(
            source.total is not None and self.reach(source) == stop
            for source in self.sources
        ):
            self.target.close()
        return stop > start

    @abstractmethod
    def reach(self, source: Rows) -> int:
        """Return how many rows can be computed from what a source has so far."""

    @abstractmethod
    def first_read(self, row: int) -> int:
        """Return the first row of the sources that is read for `row`."""

    @abstractmethod
    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""


class Convolve(Step):
    """A convolution of edge 3 over the maps of all sources, and a ReLU."""

    def __init__(
        self,
        kernels: Kernels,
        sources: Sequence[Rows],
        target: Rows,
        weights: Convolution,
    ) -> None:
        super().__init__(sources, target)
        self._kernels, self._weights = kernels, weights

    def reach(self, source: Rows) -> int:
        """Return how many rows can be computed: the row after each is read too."""
        return source.stop - (source.total is None)

    def first_read(self, row: int) -> int:
        """Return the row before."""
        return row - 1

    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""
        views = [source.view(start - 1, stop + 1) for source in self.sources]
        self._kernels.convolve(views, self._weights, self.target.extend(stop - start))


class Pool(Step):
    """The largest of every block of pixels."""

    def __init__(
        self, kernels: Kernels, source: Rows, target: Rows, stride: tuple[int, ...]
    ) -> None:
        super().__init__([source], target)
        self._kernels, self._stride = kernels, stride

    def reach(self, source: Rows) -> int:
        """Return how many blocks are whole."""
        return source.stop // self._stride[0]

    def first_read(self, row: int) -> int:
        """Return the first row of a block."""
        return row * self._stride[0]

    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""
        step = self._stride[0]
        view = self.sources[0].view(start * step, stop * step)
        self._kernels.pool(view, self._stride, self.target.extend(stop - start))


class Transposed(Step):
    """A transposed convolution as wide as its stride."""

    def __init__(
        self,
        kernels: Kernels,
        source: Rows,
        target: Rows,
        weights: tuple[Tensor, Tensor],
        stride: tuple[int, ...],
    ) -> None:
        super().__init__([source], target)
        self._kernels, self._weights, self._stride = kernels, weights, stride
        self._unit = stride[0]

    def reach(self, source: Rows) -> int:
        """Return how many rows come of what is there."""
        return source.stop * self._stride[0]

    def first_read(self, row: int) -> int:
        """Return the row that a row comes of."""
        return row // self._stride[0]

    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""
        step = self._stride[0]
        view = self.sources[0].view(start // step, stop // step)
        target = self.target.extend(stop - start)
        self._kernels.transposed(view, self._weights, self._stride, target)


class Interpolate(Step):
    """Up-sampling that learns nothing: linear, or the nearest pixel."""

    def __init__(
        self,
        kernels: Kernels,
        source: Rows,
        target: Rows,
        stride: tuple[int, ...],
        mode: Upsampling,
    ) -> None:
        super().__init__([source], target)
        self._kernels = kernels
        self._stride, self._linear = stride, mode == "linear"
        self._unit = 1 if self._linear else stride[0]

    def reach(self, source: Rows) -> int:
        """Return how many rows can be computed; half a row before the last is known."""
        step = self._stride[0]
        if source.total is not None or not self._linear or step == 1:
            return source.stop * step
        # Row f lies at (2 f + 1 - step) / (2 step), which must not pass the last row.
        return max(0, ((source.stop - 1) * 2 * step + step - 1) // 2 + 1)

    def first_read(self, row: int) -> int:
        """Return the first row that is read; rows lie at the middle of their pixels."""
        step = self._stride[0]
        if not self._linear or step == 1:
            return row // step
        return (2 * row + 1 - step) // (2 * step)

    def compute(self, start: int, stop: int) -> None:
        """Write the next rows of the target."""
        step, (source,) = self._stride[0], self.sources
        target = self.target.extend(stop - start)
        if not self._linear:
            view = source.view(start // step, stop // step)
            self._kernels.nearest(view, self._stride, target)
            return
        first = max(0, self.first_read(start))
        last = min(source.stop, self.first_read(stop - 1) + 2)
        self._kernels.linear(
            source.view(first, last), self._stride, start - first * step, target
        )
