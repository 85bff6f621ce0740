"""Where the next label helps most: regions in which the network is least sure.

::

    tiles, evenly spread   --network-->   doubt of each pixel
    regions of each tile   --mean-->      score;  those with labels go to the end
    all regions            --best of each image in turn, none near another-->   places

What is kept of a tile is a few numbers for each region.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_unetpp._types import slices
from napari_unetpp.arrays import entropy_of_mean, mean_of_heads
from napari_unetpp.inference._events import BlockDone
from napari_unetpp.inference._lazy import read
from napari_unetpp.inference._live import EDGES, Cut
from napari_unetpp.tiling import TileGrid, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, FloatArray, LazyArray
    from napari_unetpp.arrays import Canonical
    from napari_unetpp.inference._live import LiveImage, LivePredictor
    from napari_unetpp.tiling import Tile

    Doubt = Callable[[FloatArray], FloatArray]

MAX_PIXELS = {2: 2_000_000, 3: 2_000_000}
"""Pixels that are looked at, at most; a single tile may have more."""
N_PLACES = 10
STAGE = "look for places"

_EDGE = {2: 96, 3: 32}
"""Edge of a region in pixels, before it is made a multiple of the alignment."""
_APART = 1.5
"""Least distance between the middles of two places of one image, in regions."""
_SMALLEST = 0.5
"""Share of a whole region that one cut at the image's end has at least."""
_FULL = 0.5
"""Share of labelled pixels from which a region is done."""


@dataclass(frozen=True, slots=True)
class Place:
    """A region that is worth labelling.

    Attributes
    ----------
    image : int
        Which image, counted from 0.
    box : Box
        The region, one interval in pixels for each loop and spatial axis.
    centre : tuple of int
        The pixel in it around which the network is least sure, one index for each loop
        and spatial axis.
    score : float
        How unsure the network is there; only the order of scores means something.
    """

    image: int
    box: Box
    centre: tuple[int, ...]
    score: float


@dataclass(frozen=True, slots=True)
class PlacesFound:
    """A search has ended.

    Attributes
    ----------
    run_id : str
        The run.
    places : tuple of Place
        The best of each image in turn, apart from each other; empty if nothing is left
        to label.
    """

    run_id: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """An image in which places are looked for.

    Attributes
    ----------
    image : LiveImage
        The image.
    labels : LazyArray of int
        Of the shape of its results; what is labelled is left out.
    """

    image: LiveImage
    labels: LazyArray


@dataclass(frozen=True, slots=True)
class _Region:
    """What is kept of a region."""

    place: Place
    is_begun: bool  # somebody has labelled in it


class PlaceSearch:
    """A search, tile by tile, so that it can be left at any time.

    Parameters
    ----------
    searched : sequence of Searched
        The images, in order.
    predictor : LivePredictor
        The network; the one that `look` is given has the same shape.
    n : int
        Places wanted.
    unlabelled : int
        Label value of pixels that nobody has labelled.
    doubt : callable, optional
        Says how unsure a network is of each pixel (*S), from the probabilities of its
        heads (H, K, *S); the entropy of their mean by default.
    """

    def __init__(
        self,
        searched: Sequence[Searched],
        predictor: LivePredictor,
        *,
        n: int = N_PLACES,
        unlabelled: int = 0,
        doubt: Doubt | None = None,
    ) -> None:
        self._searched, self._n, self._unlabelled = searched, n, unlabelled
        self._doubt = doubt or partial(_unsure, searched[0].image.finds_objects)
        alignment = predictor.config.alignment()
        dims = len(alignment)
        self._edges = tuple(round_up(_EDGE[dims], a) for a in alignment)
        self._grids = [
            _grid(predictor, one.image.canonical, self._edges) for one in searched
        ]
        self._waiting = list(_evenly(self._grids, MAX_PIXELS[dims]))
        self._regions: list[_Region] = []
        self.n_tiles = len(self._waiting)

    @property
    def n_done(self) -> int:
        """Tiles that have been looked at, or had nothing left to label."""
        return self.n_tiles - len(self._waiting)

    @property
    def finished(self) -> bool:
        """Whether all tiles have been looked at."""
        return not self._waiting

    def look(self, predictor: LivePredictor) -> None:
        """Look at the next tile.

        Raises
        ------
        ImageError
            If pixels of the image or its labels cannot be read.
        TileTooLargeError
            If the device has no memory for the tile.
        """
        which, index = self._waiting.pop()
        one, grid = self._searched[which], self._grids[which]
        tile = grid[index]
        labelled = self._labelled(one.labels, tile)
        if labelled.all():
            return
        unsure = self._doubt(predictor.heads(one.image.pixels(tile), tile.crop))
        edges = tuple(map(min, self._edges, grid.shape))
        self._regions += _regions(which, tile, unsure, labelled, edges)

    def places(self) -> tuple[Place, ...]:
        """Return the best places among what has been looked at.

        Each is the least sure region of the image of which the smallest share is
        labelled or taken: without that, all would lie in the image that looks oddest.
        """
        total = Counter(region.place.image for region in self._regions)
        used = Counter(r.place.image for r in self._regions if r.is_begun)

        def order(region: _Region) -> tuple[bool, float, float]:
            place = region.place
            share = used[place.image] / total[place.image]
            return region.is_begun, share, -place.score

        waiting = self._regions
        taken: list[Place] = []
        while waiting and len(taken) < self._n:
            best = min(waiting, key=order).place
            taken.append(best)
            used[best.image] += 1
            waiting = [r for r in waiting if _is_apart(r.place, best, self._edges)]
        return tuple(taken)

    def _labelled(self, labels: LazyArray, tile: Tile) -> npt.NDArray[np.bool_]:
        """Return where the core of a tile is labelled."""
        planes = tuple((at, at + 1) for at in tile.loop)
        found = read(labels, slices((*planes, *tile.core)))
        shape = found.shape[len(tile.loop) :]
        return np.asarray(found.reshape(shape) != self._unlabelled)


def search_places(
    search: PlaceSearch, predictor: LivePredictor, run_id: str
) -> Generator[BlockDone | PlacesFound, None, tuple[Place, ...]]:
    """Go through with a search, telling of each tile.

    Yields
    ------
    BlockDone
        After each tile.
    PlacesFound
        At last, with the places, which are also returned.
    """
    start = time.monotonic()
    while not search.finished:
        search.look(predictor)
        seconds = time.monotonic() - start
        yield BlockDone(run_id, STAGE, search.n_done, search.n_tiles, seconds)
    places = search.places()
    yield PlacesFound(run_id, places)
    return places


def _unsure(objects: bool, heads: FloatArray) -> FloatArray:
    """Return the entropy (*S) of the mean of the heads (H, K, *S)."""
    return entropy_of_mean(mean_of_heads(heads), objects=objects)


def _grid(
    predictor: LivePredictor, image: Canonical, edges: tuple[int, ...]
) -> TileGrid:
    """Return tiles over an image whose cores are made of whole regions."""
    shape = image.spatial_shape
    cut = Cut.fitting(predictor, shape, EDGES[len(shape)])
    core = tuple(max(c // e, 1) * e for c, e in zip(cut.core, edges, strict=True))
    return TileGrid(shape, core, cut.halo, cut.alignment, image.loop_shape)


def _evenly(grids: Sequence[TileGrid], max_pixels: int) -> Iterator[tuple[int, int]]:
    """Yield tiles (image, index) spread evenly, in an order that is spread evenly.

    Of each of equal parts of all tiles one is drawn, the same in every run.
    """
    rng = np.random.default_rng(0)
    counts = np.array([len(grid) for grid in grids])
    pixels = sum(
        len(grid) * math.prod(grid.shape) / grid.tiles_a_plane for grid in grids
    )
    total = int(counts.sum())
    n = min(total, max(int(total * max_pixels / pixels), 1))
    drawn = ((np.arange(n) + rng.random(n)) * total / n).astype(np.int64)
    ends = np.cumsum(counts)
    for at in rng.permutation(drawn):
        which = int(np.searchsorted(ends, at, side="right"))
        yield which, int(at - ends[which] + counts[which])


def _regions(
    which: int,
    tile: Tile,
    unsure: FloatArray,
    labelled: npt.NDArray[np.bool_],
    edges: tuple[int, ...],
) -> Iterator[_Region]:
    """Yield the regions of a tile that are not done."""
    shape = unsure.shape
    counts = [-(-n // edge) for n, edge in zip(shape, edges, strict=True)]
    around = ndimage.uniform_filter(unsure, [max(e // 4, 1) for e in edges])
    for at in np.ndindex(*counts):
        box = tuple(
            (k * edge, min((k + 1) * edge, n))
            for k, edge, n in zip(at, edges, shape, strict=True)
        )
        share = labelled[slices(box)].mean()
        size = math.prod(stop - start for start, stop in box) / math.prod(edges)
        if share > _FULL or size < _SMALLEST:
            continue
        yield _Region(
            _place(which, tile, box, unsure[slices(box)], around[slices(box)]),
            bool(share),
        )


def _place(
    which: int, tile: Tile, box: Box, unsure: FloatArray, around: FloatArray
) -> Place:
    """Return a region of a tile as a place of its image."""
    peak = np.unravel_index(int(around.argmax()), around.shape)
    origin = [start for start, _ in tile.core]
    inside = zip(origin, box, strict=True)
    region = tuple((first + a, first + b) for first, (a, b) in inside)
    centre = tuple(a + int(k) for (a, _), k in zip(region, peak, strict=True))
    return Place(
        which,
        (*((at, at + 1) for at in tile.loop), *region),
        (*tile.loop, *centre),
        float(unsure.mean()),
    )


def _is_apart(one: Place, other: Place, edges: tuple[int, ...]) -> bool:
    """Whether two places are of different images or planes, or far from each other."""
    n = len(one.box) - len(edges)
    if one.image != other.image:
        return True
    loops = zip(one.box[:n], other.box[:n], strict=True)
    if any(abs(a - b) > 1 for (a, _), (b, _) in loops):
        return True
    steps = [
        (sum(a) - sum(b)) / 2 / edge
        for a, b, edge in zip(one.box[n:], other.box[n:], edges, strict=True)
    ]
    return math.hypot(*steps) >= _APART
