"""Reading lazy arrays in threads of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dask.local import get_sync

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import LazyArray


def read(array: LazyArray, index: tuple[Any, ...]) -> npt.NDArray[Any]:
    """Return ``array[index]`` in memory, read by the calling thread alone.

    Whoever calls has as many threads as reading needs; dask's own pool would live on
    after the run, and a dask cluster of the user would be asked for each tile. By
    its name alone dask would load ``distributed`` to find it, a quarter of a second.
    """
    part = array[index]
    if hasattr(part, "dask"):
        part = part.compute(scheduler=get_sync)
    return np.asarray(part)
