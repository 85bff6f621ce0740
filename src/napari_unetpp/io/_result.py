"""One array that is written, with all that a file can say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

OutputKind = Literal["labels", "mean", "heads", "uncertainty"]


@dataclass(frozen=True, slots=True)
class Result:
    """One array that is written.

    Attributes
    ----------
    kind : str
        ``"labels"``, ``"mean"``, ``"heads"`` or ``"uncertainty"``.
    data : LazyArray
        Its pixels, usually a dask array; read piece by piece.
    axes : str
        One letter for each axis, Y and X last; heads or classes are C.
    scale, translate : tuple of float
        World units a pixel, and position of the first one, for each axis.
    units : tuple of str
        Of each axis.
    channel_names : tuple of str
        Names along C, if there is one.
    """

    kind: OutputKind
    data: Any
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    translate: tuple[float, ...]
    channel_names: tuple[str, ...] = ()
