"""Labels in stages: pieces of work that can be stopped, killed and gone on with.

A piece is one stage at one block. It reads what the stages before it left, writes its
own block of an array that its stage does not read elsewhere, and leaves a record, a
few bytes for those who lead the run. So it gives the same whenever, wherever and
however often it is done::

                    planes     nodes     grown 0, 1     labels     record
    find            reads      writes                              nodes and faces
    grow 0          reads      reads     writes                    sizes
    grow 1, 2 ...   reads                reads, writes             sizes
    compare                              reads                     shared pixels
    number                               reads          writes

A block that is grown again writes the one of the two arrays that nobody reads just
then. Which pieces are done stands in a ledger; what is decided in between (what joins
what, which objects are too small) follows from the records and is not stored.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_unetpp.inference._events import BlockDone
from napari_unetpp.tiling import TileGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    import numpy.typing as npt

    from napari_unetpp.io import Ledger
    from napari_unetpp.tiling import Tile

    Bytes = npt.NDArray[np.uint8]
    Integers = npt.NDArray[np.int64]
    State = Mapping[str, npt.NDArray[Any]]
    Work = Callable[[str, int, State], bytes]

FIND, COMPARE, NUMBER = "find", "compare", "number"
"""Stages that happen once; those that grow objects are named by `grow_stage`."""

_SAID = {FIND: "find objects", COMPARE: "compare planes", NUMBER: "number objects"}
_WINDOW_BYTES = 72  # a pixel, at the peak of the watershed, with all seeds beside gaps


@dataclass(frozen=True, slots=True)
class Blocks:
    """How large blocks are.

    Attributes
    ----------
    edges : tuple of int
        Edges of a block in pixels, one for each spatial axis.
    halos : tuple of int
        Context on each side in pixels; the next is taken where one proves too small.
    """

    edges: tuple[int, ...]
    halos: tuple[int, ...]

    def grid(self, shape: tuple[int, ...], halo: int = 0) -> TileGrid:
        """Return the blocks of labels of `shape`, (*loops, *spatial), with a halo."""
        n = len(self.edges)
        loops, spatial = shape[:-n], shape[-n:]
        return TileGrid(spatial, self.edges, (halo,) * n, (1,) * n, loops)


BLOCKS = {
    2: (
        Blocks((1024, 1024), (16, 64, 512)),
        Blocks((512, 512), (16, 64, 512)),
        Blocks((256, 256), (16, 64, 256)),
        Blocks((128, 128), (16, 64, 128)),
    ),
    3: (
        Blocks((64, 192, 192), (8, 32, 64)),
        Blocks((64, 128, 128), (8, 32, 64)),
        Blocks((64, 64, 64), (8, 32, 64)),
        Blocks((32, 64, 64), (8, 16, 32)),
    ),
}
"""Blocks for 2-D and 3-D: the usual ones, and smaller ones for less memory."""


def blocks_for(spatial_dims: int, memory: int | None = None) -> Blocks:
    """Return the largest blocks whose windows fit.

    Parameters
    ----------
    spatial_dims : int
        2 or 3.
    memory : int, optional
        Bytes that a window may take (see `window_bytes`); without it the usual blocks.

    Returns
    -------
    Blocks
        The smallest there are where not even they fit.
    """
    choice = BLOCKS[spatial_dims]
    if memory is None:
        return choice[0]
    fitting = (blocks for blocks in choice if window_bytes(blocks) <= memory)
    return next(fitting, choice[-1])


def window_bytes(blocks: Blocks) -> int:
    """Return what the largest window of a block takes at most, in bytes."""
    context = 2 * max(blocks.halos)
    return _WINDOW_BYTES * math.prod(edge + context for edge in blocks.edges)


class LabelStore(Protocol):
    """A NumPy or zarr array of uint32, (*loops, *spatial), zeros at first."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...

    def __setitem__(self, key: Any, value: Any, /) -> None: ...


class LabelArrays(Protocol):
    """What the stages read and write; every array has the shape of the labels."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along the loop and spatial axes in pixels."""

    @property
    def nodes(self) -> LabelStore:
        """Numbers of seeds and pieces within each block."""

    @property
    def grown(self) -> tuple[LabelStore, LabelStore]:
        """Ids of objects, the last two versions of each block."""

    def planes(self, index: tuple[int | slice, ...]) -> tuple[Bytes, Bytes]:
        """Return interior and foreground (uint8, in steps of 1/255) at `index`."""

    def write(self, tile: Tile, labels: npt.NDArray[np.uint32]) -> None:
        """Keep the final labels of the core of a block."""


class Stages(Protocol):
    """Whoever has pieces done: this thread, or workers somewhere."""

    def run(
        self, stage: str, indices: npt.NDArray[np.int64], state: State
    ) -> Generator[BlockDone, None, None]:
        """Do a stage at the blocks `indices`, rising, but for what is done already.

        A piece counts as done once its record is kept. Yields after each of them.
        """

    def records(self, stage: str) -> Iterator[tuple[int, bytes]]:
        """Yield block and record of each piece of a stage, blocks rising."""


class LocalStages:
    """Stages in the thread that iterates.

    Parameters
    ----------
    ledger : Ledger
        Takes the marks and records.
    work : callable
        ``work(stage, index, state)`` does a piece and returns its record.
    run_id : str
        Stands in the events.
    """

    def __init__(self, ledger: Ledger, work: Work, run_id: str) -> None:
        self._ledger, self._work, self._run_id = ledger, work, run_id

    def run(
        self, stage: str, indices: npt.NDArray[np.int64], state: State
    ) -> Generator[BlockDone, None, None]:
        """Do the pieces of a stage one by one; see `Stages`."""
        start, n = time.monotonic(), len(indices)
        left = pending(self._ledger, stage, indices)
        for n_done, index in enumerate(left, start=n - len(left) + 1):
            record = self._work(stage, int(index), state)
            self._ledger.mark(stage, int(index), record)
            seconds = time.monotonic() - start
            yield BlockDone(self._run_id, stage_name(stage), n_done, n, seconds)

    def records(self, stage: str) -> Iterator[tuple[int, bytes]]:
        """Yield block and record of each piece of a stage, blocks rising."""
        return self._ledger.records(stage)


def pending(ledger: Ledger, stage: str, indices: npt.NDArray[np.int64]) -> Integers:
    """Return those of the rising `indices` that a ledger does not have yet."""
    if not len(indices):
        return indices
    done = ledger.done(stage, int(indices[-1]) + 1)
    return indices[~done[indices]]


def grow_stage(turn: int) -> str:
    """Return the stage in which objects are grown for the `turn`-th time, from 0."""
    return f"grow {turn}"


def stage_name(stage: str) -> str:
    """Return what a stage is called in events."""
    if stage in _SAID:
        return _SAID[stage]
    return "grow objects" if stage == grow_stage(0) else "grow large objects"


def pack(**values: npt.ArrayLike) -> bytes:
    """Return arrays as compressed bytes, without pickles."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    head = json.dumps({name: (a.dtype.str, a.shape) for name, a in arrays.items()})
    body = b"".join(a.tobytes() for a in arrays.values())
    return zlib.compress(head.encode() + b"\n" + body, 1)


def unpack(record: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of `pack`, by name."""
    head, body = zlib.decompress(record).split(b"\n", 1)
    arrays, start = {}, 0
    for name, (dtype, shape) in json.loads(head).items():
        n = math.prod(shape)
        found = np.frombuffer(body, dtype, n, start)
        arrays[name] = found.reshape(shape)
        start += found.nbytes
    return arrays


class Rows:
    """Rows of integers from many blocks, in one piece of memory.

    Parameters
    ----------
    width : int
        Integers in a row.
    """

    def __init__(self, width: int) -> None:
        self._width, self._values = width, array("q")

    def add(self, *columns: npt.NDArray[np.integer[Any]]) -> None:
        """Add rows, given column by column."""
        self._values.frombytes(np.stack(columns, axis=1).astype(np.int64).tobytes())

    def columns(self) -> Integers:
        """Return (width, n): all rows."""
        return np.frombuffer(self._values, np.int64).reshape(-1, self._width).T


def counted(
    values: npt.NDArray[np.integer[Any]],
) -> tuple[npt.NDArray[np.integer[Any]], Integers]:
    """Return the values that occur, rising, and how often each does.

    The same as ``np.unique`` with counts, which sorts all pixels; only the runs of
    equal values are sorted here, and labels are made of long runs.
    """
    flat = values.ravel()
    if not flat.size:
        return flat, np.zeros(0, np.int64)
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    runs = np.diff(starts, append=flat.size)
    found, which = np.unique(flat[starts], return_inverse=True)
    counts = np.zeros(len(found), np.int64)
    np.add.at(counts, which, runs)
    return found, counts


def counted_pairs(
    first: npt.NDArray[Any], second: npt.NDArray[Any]
) -> tuple[Integers, Integers, Integers]:
    """Return pairs of ids that lie over each other, and in how many pixels.

    Parameters
    ----------
    first, second : ndarray of int, of one shape
        Ids from 1 up, below 2**31; pixels where one of them is 0 are left out.
    """
    both = (first > 0) & (second > 0)
    keys = (first[both].astype(np.int64) << 32) | second[both].astype(np.int64)
    found, counts = counted(keys)
    return found >> 32, found & 0xFFFFFFFF, counts
