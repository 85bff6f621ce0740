"""Rows of normalised pixels in, rows of probabilities out: a stream for whole runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_unetpp.nn._adaptive import AdaptiveStream, Wanted
from napari_unetpp.nn._stream import Stream

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.nn._fused import FusedNetwork


class ProbabilityStream:
    """One pass over one region of an image, whose rows come one after the other.

    Parameters
    ----------
    network : FusedNetwork
        The network.
    inner : tuple of int
        Sizes of the region along all spatial axes but the first, in pixels; multiples
        of ``network.config.alignment()[1:]``.
    temperatures : tuple of float, or Wanted
        What the logits of each head are divided by; or of a pass that stops early
        where it may, which heads, how sure.
    n_rows : int, optional
        Rows of the region, where they are known before.

    Attributes
    ----------
    depths : ndarray of uint8, (m, *inner), optional
        Of a pass that stops early: the deepest level computed for each pixel of what
        came out last.
    """

    def __init__(
        self,
        network: FusedNetwork,
        inner: tuple[int, ...],
        temperatures: tuple[float, ...] | Wanted,
        n_rows: int | None = None,
    ) -> None:
        self.depths: npt.NDArray[np.uint8] | None = None
        self._stream = stream_of(network, inner, temperatures, n_rows)

    @property
    def work(self) -> tuple[int, int]:
        """Products that were computed so far, and those of all levels everywhere.

        Both are 0 where everything is computed.
        """
        return self._stream.work if isinstance(self._stream, AdaptiveStream) else (0, 0)

    def push(self, rows: FloatArray, *, last: bool = False) -> FloatArray:
        """Take the next rows in and return those that are complete.

        Parameters
        ----------
        rows : ndarray of float32, (C, k, *inner)
            The next rows; k is a multiple of the alignment along that axis, or 0.
        last : bool
            Whether no more rows come.

        Returns
        -------
        ndarray of float32, (H, K, m, *inner)
            Probabilities of K classes by H heads of the next m rows; all rows of the
            region have come out after the last.
        """
        found: FloatArray = self._stream.push(torch.from_numpy(rows), last=last).numpy()
        if isinstance(self._stream, AdaptiveStream):
            self.depths = self._stream.depths().numpy()
        return found


def stream_of(
    network: FusedNetwork,
    inner: tuple[int, ...],
    temperatures: tuple[float, ...] | Wanted,
    n_rows: int | None = None,
) -> Stream:
    """Return a stream; see `ProbabilityStream`."""
    if isinstance(temperatures, Wanted):
        return AdaptiveStream(network, inner, temperatures, n_rows)
    return Stream(network, inner, temperatures, n_rows)
