"""Names for the shapes of values that several floors share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.integer[Any]]
TargetArray = npt.NDArray[np.int64 | np.float32]
"""What a network learns at every pixel: class indices, or shares of the interior."""
Box = tuple[tuple[int, int], ...]
"""A region: one half-open interval (start, stop) in pixels for each axis."""


class LazyArray(Protocol):
    """What we need of an array that may lie on disk: a dask, zarr or NumPy array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def ndim(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


def slices(box: Box) -> tuple[slice, ...]:
    """Return the index that cuts `box` out of an array."""
    return tuple(slice(start, stop) for start, stop in box)
