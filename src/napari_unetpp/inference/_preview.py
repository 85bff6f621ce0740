"""Predictions of what is looked at, by a network that is still learning."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.arrays import entropy_of_mean, mean_of_heads
from napari_unetpp.inference._live import EDGES, Cut

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_unetpp._types import Box
    from napari_unetpp.inference._live import LiveImages, LivePredictor
    from napari_unetpp.inference._view_focus import LookedAt, ViewFocus
    from napari_unetpp.tiling import Tile

_PAUSE = 3.0
"""Seconds from the begin of a pass to that of the next over the same view."""
_SHARE = 0.2
_SHARE_FRESH = 0.5
"""Share of the time that previews take; the second until a new view is complete."""
_TILE_SECONDS = 0.8
"""Time of a tile that is aimed at, so that a stop is heard soon."""
_WIDEST = {2: 2048, 3: 160}
"""Longest edge of what is predicted of a view, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class PreviewTile:
    """A part of a view, predicted by the network as it was after `step` steps.

    Attributes
    ----------
    run_id : str
        The training.
    image : int
        Which of its images, counted from 0.
    region, loop : Box, tuple of int
        The view as it was given to `ViewFocus.look_at`, cut at the image's end; of a
        view of more than 2048 pixels along an axis (160 in 3-D) the middle.
    pass_number : int
        Counted from 1; tiles of one pass are of one view.
    box : Box
        What the tile covers, one interval in pixels for each loop and spatial axis.
    mean : ndarray of float16, (K, *S)
        Mean of the heads' probabilities over the spatial axes.
    uncertainty : ndarray of float16, (*S)
        Spread of the heads, 0...0.5; 0 of a network with one head.
    step : int
        Steps that the network had learnt.
    done : bool
        Whether this is the last tile of the pass.
    """

    run_id: str
    image: int
    region: Box
    loop: tuple[int, ...]
    pass_number: int
    box: Box
    mean: npt.NDArray[np.float16]
    uncertainty: npt.NDArray[np.float16]
    step: int
    done: bool


@dataclass(slots=True)
class _Pass:
    """Tiles of a view that are still to be predicted."""

    seen: LookedAt
    number: int
    tiles: list[Tile]


class Previewer:
    """Predicts a view again and again while a network learns, tile by tile.

    Whoever trains calls `tile` between two steps; it answers at once with ``None`` when
    no tile is due. After a tile it rests in proportion to the time that it took.

    Parameters
    ----------
    focus : ViewFocus
        What is looked at.
    run_id : str
        Stands in the tiles.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        focus: ViewFocus,
        run_id: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._focus, self._run_id, self._clock = focus, run_id, clock
        self._version, self._seen = -1, focus.seen[1]
        self._pass: _Pass | None = None
        self._n_passes = 0
        self._fresh = True  # this view has not been predicted to its end yet
        self._learnt = -1  # steps at the begin of the last pass
        self._began = self._rested = -math.inf
        self._seconds_a_pixel = 0.0

    def tile(
        self, predictor: LivePredictor, images: LiveImages, step: int
    ) -> PreviewTile | None:
        """Predict the next tile, if one is due.

        Parameters
        ----------
        predictor : LivePredictor
            The network as it is now.
        images : LiveImages
            The images of the training.
        step : int
            Steps that it has learnt.

        Raises
        ------
        ImageError, AxesError
            If the image cannot be read as the network wants it.
        TileTooLargeError
            If the device has no memory for the smallest tile.
        """
        self._follow()
        if not self._is_due(step):
            return None
        if self._pass is None:
            self._pass = self._begin(predictor, images, step)
        if self._pass is None:
            return None
        start = self._clock()
        found = self._predicted(self._pass, predictor, images, step)
        took = self._clock() - start
        self._rested = start + took / (_SHARE_FRESH if self._fresh else _SHARE)
        if found.done:
            self._pass, self._fresh = None, False
        return found

    def begin_anew(self) -> None:
        """Predict the view from its middle again, as if it had moved."""
        self._pass, self._fresh = None, True

    def _follow(self) -> None:
        """Begin anew if the view has moved."""
        version, seen = self._focus.seen
        if version != self._version:
            self._version, self._seen = version, seen
            self.begin_anew()

    def _is_due(self, step: int) -> bool:
        """Whether there is something to predict and time for it."""
        if self._seen is None or self._clock() < self._rested:
            return False
        if self._pass is not None or self._fresh:
            return True
        return step != self._learnt and self._clock() >= self._began + _PAUSE

    def _begin(
        self, predictor: LivePredictor, images: LiveImages, step: int
    ) -> _Pass | None:
        """Return a new pass over the view; ``None`` if no pixel of it is there."""
        self._learnt, self._began = step, self._clock()
        seen = self._seen
        if seen is None or not 0 <= seen.image < len(images):
            return None
        image = images[seen.image].canonical
        region = _middle(seen.region, image.spatial_shape)
        inside = len(seen.loop) == len(image.loop_shape) and all(
            0 <= at < n for at, n in zip(seen.loop, image.loop_shape, strict=True)
        )
        if not inside or not all(start < stop for start, stop in region):
            self._fresh = False
            return None
        cut = self._cut(predictor, image.spatial_shape)
        self._n_passes += 1
        return _Pass(
            replace(seen, region=region),
            self._n_passes,
            cut.tiles(region, seen.loop, image.spatial_shape),
        )

    def _cut(self, predictor: LivePredictor, shape: tuple[int, ...]) -> Cut:
        """Return tiles as large as there is time for; small ones as long as unknown."""
        edges = EDGES[len(shape)]
        if not self._seconds_a_pixel:
            return Cut.fitting(predictor, shape, edges[1:])
        return Cut.fitting(
            predictor, shape, edges, _TILE_SECONDS / self._seconds_a_pixel
        )

    def _predicted(
        self, current: _Pass, predictor: LivePredictor, images: LiveImages, step: int
    ) -> PreviewTile:
        """Predict the next tile of a pass."""
        tile, seen = current.tiles.pop(0), current.seen
        pixels = images[seen.image].pixels(tile)
        start = self._clock()
        heads = predictor.heads(pixels, tile.crop)
        self._seconds_a_pixel = (self._clock() - start) / math.prod(pixels.shape[1:])
        mean = mean_of_heads(heads, predictor.head_weights)
        unsure = entropy_of_mean(mean, objects=images[seen.image].finds_objects)
        return PreviewTile(
            run_id=self._run_id,
            image=seen.image,
            region=seen.region,
            loop=seen.loop,
            pass_number=current.number,
            box=(*((at, at + 1) for at in tile.loop), *tile.core),
            mean=mean.astype(np.float16),
            uncertainty=unsure.astype(np.float16),
            step=step,
            done=not current.tiles,
        )


def _middle(region: Box, shape: tuple[int, ...]) -> Box:
    """Return what there is of a region in an image, its middle if it is wide."""
    if len(region) != len(shape):
        return ((0, 0),)
    widest, found = _WIDEST[len(shape)], []
    for (start, stop), size in zip(region, shape, strict=True):
        low, high = max(start, 0), min(stop, size)
        first = low + max(high - low - widest, 0) // 2
        found.append((first, min(high, first + widest)))
    return tuple(found)
