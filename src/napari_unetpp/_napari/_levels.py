"""Results that lie on disk, as arrays of which a layer reads only what it draws.

napari cuts a level to the screen first and then to the plane of the sliders; an array
that reads at the first of these cuts would read every plane. So a cut is noted here,
and the pixels are read when the viewer asks for them.
"""

from __future__ import annotations

import math
from operator import index as as_int
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._napari._results import Layout
    from napari_unetpp._types import LazyArray


class ShownLevel:
    """One size of a result, laid out as a layer shows it.

    Parameters
    ----------
    parts : tuple of LazyArray
        Arrays over the result axes whose sum is shown: one, or the classes that make up
        the foreground.
    layout : Layout
        Axes of the result and of the layer.
    owner : object
        Kept as long as this is: what deletes the files, for example.
    """

    def __init__(
        self, parts: tuple[LazyArray, ...], layout: Layout, owner: object = None
    ) -> None:
        self._parts, self._layout, self._owner = parts, layout, owner
        sizes = dict(zip(layout.result_axes, parts[0].shape, strict=True))
        self._window: tuple[range | int, ...] = tuple(
            range(sizes.get(letter, 1)) for letter in layout.shown_axes
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis that is left."""
        return tuple(len(w) for w in self._window if isinstance(w, range))

    @property
    def ndim(self) -> int:
        """Number of axes that are left."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return np.dtype(self._parts[0].dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels, once they are read."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, key: Any, /) -> Self:
        cuts = iter(as_tuple(key, self.ndim))
        cut = type(self).__new__(type(self))
        cut._parts, cut._layout, cut._owner = self._parts, self._layout, self._owner
        cut._window = tuple(
            w if isinstance(w, int) else _cut(w, next(cuts)) for w in self._window
        )
        return cut

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        shown, result = self._layout.shown_axes, self._layout.result_axes
        windows = dict(zip(shown, self._window, strict=True))
        index = tuple(_as_index(windows[letter]) for letter in result)
        pixels = np.asarray(self._parts[0][index])
        for part in self._parts[1:]:
            pixels = pixels + np.asarray(part[index])
        kept = [a for a in result if isinstance(windows[a], range)]
        ordered = pixels.transpose([kept.index(a) for a in shown if a in kept])
        with_added = tuple(
            slice(None) if letter in result else None
            for letter in shown
            if isinstance(windows[letter], range)
        )
        cut = tuple(slice(size) for size in self.shape)  # an added axis may be empty
        return np.asarray(ordered[with_added][cut], dtype)


def as_tuple(key: Any, ndim: int) -> tuple[Any, ...]:
    """Return an index with one entry for each axis."""
    given = key if isinstance(key, tuple) else (key,)
    if Ellipsis in given:
        at = given.index(Ellipsis)
        more = (slice(None),) * (ndim - len(given) + 1)
        given = (*given[:at], *more, *given[at + 1 :])
    if len(given) > ndim:
        raise IndexError(f"{len(given)} indices for an array of {ndim} axes")
    return (*given, *(slice(None),) * (ndim - len(given)))


def _cut(window: range, key: Any) -> range | int:
    if not isinstance(key, slice):
        return window[as_int(key)]
    if (key.step or 1) < 0:
        raise IndexError(f"step {key.step}: results are read forwards; give 1 or more")
    return window[key]


def _as_index(window: range | int) -> slice | int:
    if isinstance(window, int):
        return window
    return slice(window.start, window.stop, window.step)
