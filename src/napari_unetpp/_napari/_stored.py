"""What layers show of results that lie in a folder: levels of a pyramid, no copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_unetpp._napari._layers import HEADS, MEAN, UNCERTAINTY
from napari_unetpp._napari._levels import ShownLevel
from napari_unetpp._napari._results import LARGE_PLANE, SMALL_EDGE, Layout
from napari_unetpp.io import LevelView, read_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._napari._messages import ShownLabels
    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Image
    from napari_unetpp.config import OutputKind
    from napari_unetpp.io import ResultStore

    Views = list[LevelView]
    Look = Callable[[str], list[Views]]

IN_MEMORY = 256 * 2**20
"""Bytes up to which labels are loaded, so that they can be painted on."""


class StoredArrays:
    """The shown arrays of a job: levels on disk that are read when they are drawn.

    napari keeps the coarsest level of a picture (two axes) in memory and never looks at
    the disk again. So here it is in memory from the start, and `update` fills it. It is
    small, also where tiles own only the finer levels while a job goes on.

    Parameters
    ----------
    names : tuple of str
        One for each result, the main one first: "mean", "head 1", ...
    layout : Layout
        How the results lie in a layer.
    look : callable
        Returns what makes up the result of a name: levels of one channel, or of each of
        those whose sum it is.
    owner : object
        Kept as long as any of the arrays is.
    multiscale : bool
        Whether there are to be several sizes, also of a small result: another, larger
        one is to be shown in the same layers.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        layout: Layout,
        look: Look,
        owner: object,
        *,
        multiscale: bool = False,
    ) -> None:
        self.names = names
        self.layout = layout
        self._look, self._owner = look, owner
        large = max(layout.rows_and_columns) > SMALL_EDGE  # as on disk
        self.multiscale = large or multiscale
        self._levels = {name: self._open(name) for name in names}
        self._coarsest: dict[str, npt.NDArray[Any]] = {}
        if self.multiscale and len(layout.shown_axes) == 2:
            for name, levels in self._levels.items():
                levels.extend(_thinner(levels[-1]))
                self._coarsest[name] = np.asarray(levels[-1])

    def data(self, name: str) -> Any:
        """Return what a layer shows: one array, or a list of sizes, (*shown axes)."""
        levels = self._levels[name]
        if name in self._coarsest:
            return [*levels[:-1], self._coarsest[name]]
        return levels if self.multiscale else levels[0]

    def update(self, box: Box) -> None:
        """Read again what lies in memory of a part of the result, in any thread."""
        spans = dict(zip(self.layout.result_axes, box, strict=True))
        for name, coarsest in self._coarsest.items():
            whole = zip(self.layout.shown_axes, self.layout.shown_shape, strict=True)
            part = []
            for (letter, size), n in zip(whole, coarsest.shape, strict=True):
                start, stop = spans[letter]
                step = -(-size // n)
                part.append(slice(start // step, -(-stop // step)))
            coarsest[tuple(part)] = self._levels[name][-1][tuple(part)]

    def _open(self, name: str) -> list[ShownLevel]:
        views = zip(*self._look(name), strict=True)
        return [ShownLevel(view, self.layout, self._owner) for view in views]


def _thinner(level: ShownLevel) -> list[ShownLevel]:
    """Return a smaller size of a picture whose coarsest size is large."""
    step = 1
    while max(level.shape) > step * SMALL_EDGE:
        step *= 2
    return [level[::step, ::step]] if step > 1 else []


def growing(names: tuple[str, ...], store: ResultStore) -> Look:
    """Return how to look into the store of a job that goes on."""
    stored = store.layout

    def levels(kind: OutputKind, index: tuple[int, ...]) -> Views:
        views = store.levels(kind, index, growing=True)
        rows, columns = views[-1].shape[-2:]
        # Where tiles own too few levels, the viewer would have to draw a huge plane.
        few = rows * columns > LARGE_PLANE and len(stored.axes) > 2
        return store.levels(kind, index) if few else views

    def look(name: str) -> list[Views]:
        kind, head = place_of(name, names)
        leading = () if head is None else (head,)
        classes = stored.leading(kind)[len(leading) :]
        shown = _foreground(len(classes[0])) if classes else [None]
        return [levels(kind, leading if k is None else (*leading, k)) for k in shown]

    return look


def published(names: tuple[str, ...], folder: Path, axes: str) -> Look:
    """Return how to look into results that are complete; `axes` without channels."""

    def look(name: str) -> list[Views]:
        kind, head = place_of(name, names)
        place = folder / kind
        if head is None or not (place / "0").exists():  # channels are classes
            place = place if head is None else place / str(head + 1)
            shown = _foreground(read_image(place).n_channels)
        else:
            shown = [head]
        return [open_levels(place, channel, axes)[1] for channel in shown]

    return look


def place_of(name: str, names: tuple[str, ...]) -> tuple[OutputKind, int | None]:
    """Return which stored result is shown under a name, and which head of it."""
    if name == names[0]:
        return MEAN, None
    if name == UNCERTAINTY:
        return UNCERTAINTY, None
    return HEADS, [n for n in names if n not in (MEAN, UNCERTAINTY)].index(name)


def _foreground(n_classes: int) -> list[int]:
    """Return the classes whose sum is shown: all but the first, the background.

    What is not yet done, 0 in all of them, must not look like foreground.
    """
    return list(range(1, n_classes)) or [0]


def open_levels(
    folder: Path, channel: int, axes: str | None = None
) -> tuple[Image, Views]:
    """Return an image of an OME-Zarr folder and the levels of one of its channels.

    Parameters
    ----------
    folder : Path
        Folder of the image.
    channel : int
        Index along C, if there is one.
    axes : str, optional
        Axes of the levels; those of the image but C by default.

    Raises
    ------
    ImageError
        If the folder is damaged.
    """
    image = read_image(folder)
    group: Any = zarr.open_group(folder, mode="r")
    attributes: dict[str, Any] = dict(group.attrs)
    multiscale = attributes.get("ome", attributes)["multiscales"][0]
    shown = axes or image.axes.replace("C", "")
    return image, [
        LevelView(group[level["path"]], image.axes, shown, channel)
        for level in multiscale["datasets"]
    ]


def shown_labels(views: Views, layout: Layout, owner: object = None) -> ShownLabels:
    """Return labels as a layer shows them: in memory if they are small, to paint on."""
    sizes = [ShownLevel((view,), layout, owner) for view in views]
    if sizes[0].nbytes > IN_MEMORY:
        return sizes if len(sizes) > 1 else sizes[0]
    return paintable(np.asarray(sizes[0]))


def paintable(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return labels in an array that is drawn fast and that painting can go on with."""
    if labels.dtype.itemsize == 4 and labels.max(initial=0) <= np.iinfo(np.uint16).max:
        labels = labels.astype(np.uint16)  # drawn much faster than 32 bits
    return np.ascontiguousarray(labels)
