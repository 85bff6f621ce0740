"""Looking into results on disk while they grow, as a viewer or an export does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.errors import OutputError
from napari_unetpp.io._result_layout import STEPS

if TYPE_CHECKING:
    import numpy.typing as npt

_ATTEMPTS = 12
_PAUSE = 0.02  # seconds; a shard is put in the place of another in less


class LevelView:
    """One level of a result, in the axes of the layout; read when it is sliced.

    Parameters
    ----------
    array : zarr.Array
        Where the pixels lie.
    stored_axes, axes : str
        Axes of `array`, and those to show; C is left out.
    channel : int
        Index along C, if there is one.

    Notes
    -----
    Probabilities are float32, 0...1; labels are as stored. What has not been written
    yet is 0. Values are of the moment: nothing is kept. At the moment in which a tile
    is written again, as over its preview, pieces of it may be 0 too.
    """

    def __init__(
        self, array: Any, stored_axes: str, axes: str, channel: int = 0
    ) -> None:
        self._array = array
        self._stored_axes = stored_axes
        self._axes = axes
        self._channel = channel
        self.shape = tuple(int(array.shape[stored_axes.index(a)]) for a in axes)
        self.ndim = len(axes)
        labels = array.dtype.kind == "u" and array.dtype.itemsize > 1
        self.dtype = np.dtype(array.dtype if labels else np.float32)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Edges of what is read in one piece, along each axis."""
        stored = self._array.chunks
        return tuple(int(stored[self._stored_axes.index(a)]) for a in self._axes)

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]:
        wanted = dict(zip(self._axes, self._full_key(key), strict=True))
        wanted["C"] = self._channel
        pixels = self._read(tuple(wanted[letter] for letter in self._stored_axes))
        kept = [a for a in self._stored_axes if isinstance(wanted[a], slice)]
        shown = [a for a in self._axes if a in kept]
        pixels = pixels.transpose([kept.index(a) for a in shown])
        if self._array.dtype == np.uint8:
            return np.asarray(pixels * np.float32(1 / STEPS))
        return np.asarray(pixels, self.dtype)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.asarray(self[...], dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def _full_key(self, key: Any) -> tuple[Any, ...]:
        """Return one entry for each axis."""
        key = key if isinstance(key, tuple) else (key,)
        at = next((n for n, part in enumerate(key) if part is Ellipsis), len(key))
        after = key[at + 1 :]
        filling = (slice(None),) * (self.ndim - at - len(after))
        return (*key[:at], *filling, *after)

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Read, and again if a writer has replaced the shard meanwhile.

        A shard is read in two steps, its table and what the table points to; between
        them the file may have become another. Then what is found cannot be decoded,
        or lies beyond the end, which zarr takes for a piece that is not there.
        """
        reason: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                return np.asarray(self._array[key])
            except (ValueError, RuntimeError, OSError) as error:
                reason = error
                time.sleep(_PAUSE)
        raise OutputError(
            f"{self._array.store_path}: the results cannot be read ({reason}); if they"
            " were moved or removed, start again"
        ) from reason
