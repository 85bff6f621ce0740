"""Measuring the objects of an image, so that it can be read at the right size.

A network is surest of what it sees where objects are as large as those it has learnt:
shown at half or twice that size it still marks them, but hesitates; shown at four times
it breaks them up. So a few windows of the image are read at 1, 1/2, 1/4 ... or 2, 4 ...
of their size, as long as that makes the network surer, and the objects found there are
measured. Read at the size that follows from it, they are measured once more. Where that
leads far from the size at which the network was surest, what is found is pieces, or
clumps, and no size is told.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._amounts import AUTO
from napari_unetpp.arrays import Rescaling, object_diameters, working_dtype
from napari_unetpp.errors import ImageError, ImageGoneError
from napari_unetpp.inference._events import BlockDone, result_of
from napari_unetpp.inference._grid_prediction import predict_on_grid
from napari_unetpp.inference._labelling import label_on_grid
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._object_size import (
    MOST_ENLARGED,
    MOST_SHRUNK,
    NEAR,
    ObjectSize,
    given_size,
)
from napari_unetpp.inference._request import as_read
from napari_unetpp.io import image_range
from napari_unetpp.io._retry import read_again

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Canonical, Image, IntensityRange
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.inference._results import Prediction
    from napari_unetpp.nn import Model

    Window = tuple[tuple[int, ...], Box]

MEASURE = "measure objects"
"""Stage in which that happens."""

_EDGE = {2: 192, 3: 48}  # pixels of a window, as the network reads it
_FEW, _MANY = 2, 4
"""Windows that a size is looked for in, and that objects are measured in."""
_N_LOOKED_AT, _LOOK_EDGE = 32, {2: 128, 3: 32}
_MOST_TURNS = 3  # a size that follows from the last one settles at once, or never
_FEWEST = 3
"""Objects without which a size is no better: it may be sure of blurred pieces too."""
_FARTHEST = 4.0
"""Factor from the surest size: half and twice that were tried, and were worse."""
_LEAST_FOREGROUND = 1e-4
_SHOWN = 10  # steps of a pixel in which a diameter is told


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What the network makes of some windows, read at `factor` times their size.

    Attributes
    ----------
    factor : float
        How many times as large they were read.
    sureness : float
        Mean over the foreground of the likeliest class' probability; 0 without any.
    diameters : ndarray of float64
        Of the objects that no window cuts, in pixels of the image.
    steady : bool
        Whether the size that follows from them agrees with where it is surest.
    """

    factor: float
    sureness: float
    diameters: npt.NDArray[np.float64]
    steady: bool = True

    @property
    def diameter(self) -> float | None:
        """The median."""
        return float(np.median(self.diameters)) if len(self.diameters) else None


_NOTHING_SEEN = _Look(1.0, 0.0, np.zeros(0))


def object_size(
    image: Image, model: Model, settings: PredictionConfig, run_id: str
) -> Generator[BlockDone, None, ObjectSize]:
    """Return how large the objects of an image are, as given or as measured.

    Parameters
    ----------
    image, model : Image, Model
        What is segmented, and by what.
    settings : PredictionConfig
        With a diameter, which `check_diameter` has passed.
    run_id : str
        Stands in the events.

    Yields
    ------
    BlockDone
        While it is measured: after each size at which windows were read.

    Raises
    ------
    SettingsError
        If the diameter is no sensible one, as in `given_size`.
    ImageError
        If pixels cannot be read.
    """
    learnt = model.config.diameter
    if settings.diameter is None or learnt is None:
        raise ValueError("check_diameter comes first")
    if settings.diameter != AUTO:
        return given_size(as_read(image, model), model.config, settings.diameter)
    probe = _Probe(image, model, settings)
    start = time.monotonic()
    best = _NOTHING_SEEN
    for n, look in enumerate(_search(probe, learnt), start=1):
        best, seconds = look, time.monotonic() - start
        yield BlockDone(run_id, MEASURE, n, n + 1, seconds)
    if best.diameter is None or not best.steady:
        return ObjectSize(None, learnt, len(best.diameters))
    diameter = max(round(best.diameter * _SHOWN), 1) / _SHOWN
    return ObjectSize(diameter, learnt, len(best.diameters))


def _search(probe: _Probe, learnt: float) -> Iterator[_Look]:
    """Look at one size after the other; yield the best so far after each."""
    best = probe.look(1.0)
    yield best
    for step in (0.5, 2.0):
        while probe.can(best.factor * step):
            look = probe.look(best.factor * step)
            enough = len(look.diameters) >= min(_FEWEST, len(best.diameters))
            is_surer = look.sureness > best.sureness and enough
            best = look if is_surer else best
            yield best
            if not is_surer:
                break
        if best.factor != 1:
            break
    surest = best.factor
    for turn in range(_MOST_TURNS + 1):
        factor = best.factor if best.diameter is None else learnt / best.diameter
        if abs(math.log(factor / surest)) > math.log(_FARTHEST):
            yield replace(best, steady=False)
            return
        settled = abs(math.log(factor / best.factor)) < math.log1p(NEAR)
        if (settled and turn > 0) or turn == _MOST_TURNS or not probe.can(factor):
            return
        look = probe.look(factor, _MANY)
        best = best if look.diameter is None else look
        yield best


class _Probe:
    """Reads windows of an image at any size.

    Parameters
    ----------
    image, model, settings
        As in `object_size`.
    """

    def __init__(self, image: Image, model: Model, settings: PredictionConfig) -> None:
        self._image, self._model = image, model
        self._settings = settings.model_copy(
            update={"diameter": None, "tta": False, "link": False}
        )
        self._whole = as_read(image, model)
        self._dims = len(self._whole.spatial_axes)
        self._intensity = image_range(
            self._whole,
            model.config.intensity,
            settings.nonfinite,
            skip_bad=settings.skip_bad,
        )
        self._centres = _centres(
            self._whole, self._intensity, skip_bad=settings.skip_bad
        )

    def can(self, factor: float) -> bool:
        """Whether anything could be seen at that size."""
        largest = max(self._whole.spatial_shape[-2:])
        return MOST_SHRUNK <= factor <= MOST_ENLARGED and largest * factor >= 32

    def look(self, factor: float, n_windows: int = _FEW) -> _Look:
        """Have the network read some windows at `factor` times their size."""
        shape = self._whole.spatial_shape
        made = Rescaling.by(shape, factor)
        rescaling = None if made.target == shape else made
        sure = total = n_pixels = 0.0
        diameters = [np.zeros(0)]
        for loop, box in self._windows(made, n_windows):
            prediction = result_of(
                predict_on_grid(
                    self._image,
                    self._model,
                    self._settings,
                    "",
                    keep_heads=False,
                    region=box,
                    loop=loop,
                    intensity=self._intensity,
                    rescaling=rescaling,
                )
            )
            found = np.asarray(prediction.mean).reshape(len(prediction.mean), -1)
            foreground = 1 - found[0]
            sure += float((foreground * found.max(axis=0)).sum(dtype=np.float64))
            total += float(foreground.sum(dtype=np.float64))
            n_pixels += foreground.size
            diameters.append(self._diameters(prediction, box, made.target))
        step = math.prod(made.steps) ** (1 / self._dims)
        seen = total > _LEAST_FOREGROUND * n_pixels
        return _Look(
            factor, sure / total if seen else 0.0, np.concatenate(diameters) * step
        )

    def _windows(self, made: Rescaling, n: int) -> list[Window]:
        """Return windows around what is to be seen, in pixels of the wanted grid.

        A plane that is no larger than all windows together is one window; others do
        not meet, so that no object is measured twice.
        """
        edge = _EDGE[self._dims]
        small = math.prod(made.target) <= n * edge**self._dims
        found: list[Window] = []
        for loop, centre in self._centres:
            spans = []
            for at, size, step in zip(centre, made.target, made.steps, strict=True):
                first = min(max(round(at / step) - edge // 2, 0), max(size - edge, 0))
                whole = (0, size)
                spans.append(whole if small else (first, min(first + edge, size)))
            window = (loop, tuple(spans))
            if not any(_meet(window, other) for other in found):
                found.append(window)
            if len(found) == (1 if small else n):
                break
        return found

    def _diameters(
        self, prediction: Prediction, box: Box, shape: tuple[int, ...]
    ) -> npt.NDArray[np.float64]:
        """Return the diameters of the objects that the window does not cut."""
        config = self._model.config
        found = result_of(label_on_grid(prediction, config, "")).labels
        labels = np.array(found).reshape([stop - start for start, stop in box])
        cut = [np.zeros(1, labels.dtype)]
        for axis, ((start, stop), size) in enumerate(zip(box, shape, strict=True)):
            if start > 0:
                cut.append(labels.take(0, axis).ravel())
            if stop < size:
                cut.append(labels.take(-1, axis).ravel())
        labels[np.isin(labels, np.unique(np.concatenate(cut)))] = 0
        return object_diameters(labels)


def _meet(one: Window, other: Window) -> bool:
    """Whether two windows have pixels in common."""
    return one[0] == other[0] and all(
        a < d and c < b for (a, b), (c, d) in zip(one[1], other[1], strict=True)
    )


def _centres(
    whole: Canonical, intensity: IntensityRange, *, skip_bad: bool
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the loop index and middle of places in which there is much to see.

    They are looked for at random places, the same in every run. Of places that cannot
    be read nothing is seen, or they are refused.
    """
    edge = _LOOK_EDGE[len(whole.spatial_axes)]
    drawn = random.Random(0)
    places = []
    for _ in range(_N_LOOKED_AT):
        loop = tuple(drawn.randrange(size) for size in whole.loop_shape)
        spans = []
        for size in whole.spatial_shape:
            first = drawn.randrange(max(size - edge, 0) + 1)
            spans.append((first, min(first + edge, size)))
        centre = tuple((start + stop) // 2 for start, stop in spans)
        try:
            contrast = _contrast(whole, intensity, loop, tuple(spans))
        except ImageGoneError:
            raise
        except ImageError:
            if not skip_bad:
                raise
            contrast = 0.0
        places.append((contrast, loop, centre))
    places.sort(key=lambda place: -place[0])
    return [(loop, centre) for _, loop, centre in places]


def _contrast(
    whole: Canonical, intensity: IntensityRange, loop: tuple[int, ...], box: Box
) -> float:
    """Return how much the pixels of a place differ, against those of the image."""
    planes = tuple((at, at + 1) for at in loop)
    index = (*planes, (0, whole.n_channels), *box)
    found = read_again(lambda: read(whole.cut(index), ()), whole.image.name)
    pixels = found.astype(working_dtype(found.dtype))
    pixels = pixels.reshape(whole.n_channels, -1)
    low, high = (np.asarray(each)[:, None] for each in (intensity.low, intensity.high))
    spread = np.nanstd(np.clip((pixels - low) / (high - low), 0, 1), axis=1)
    return float(np.nan_to_num(spread).max())
