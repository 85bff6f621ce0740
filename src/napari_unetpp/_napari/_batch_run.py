"""Segmenting many images into a folder, told to a panel row by row."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari._background import behind_the_viewer
from napari_unetpp._napari._batch import (
    RowBegun,
    RowDone,
    RowFailed,
    RowNote,
    RowProgress,
)
from napari_unetpp._napari._messages import Note
from napari_unetpp._napari._source import Source
from napari_unetpp.config import OutputConfig, WorkersConfig, wrong_settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from napari_unetpp._napari._batch import BatchItem, BatchRequest
    from napari_unetpp.api._batch import BatchEvent
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.inference import JobRequest, SavedSegmentation
    from napari_unetpp.nn import Model

_TELL_SECONDS = 0.2
"""Least time between two words about images that are only looked at."""


def segment_batch(request: BatchRequest) -> Generator[Any, None, None]:
    """Segment images one after the other; one that fails does not stop the others.

    Yields
    ------
    Note
        While images are opened, to find mistakes before any work.
    RowBegun, RowNote, RowProgress, RowDone, RowFailed
        Of one image after the other.

    Raises
    ------
    UnetppError
        Before any work, if results would be in the way of others, or model or device
        are not there.
    """
    from napari_unetpp import api
    from napari_unetpp.api._batch import batching
    from napari_unetpp.inference import result_kinds

    model = api.load_model(request.model)
    outputs = OutputConfig(kinds=result_kinds(model, request.settings, request.kinds))
    job = _Job(request, model, outputs)
    rows = _Rows(request)
    with (
        behind_the_viewer(request.spare_cores),
        closing(batching(request.items, job)) as events,
    ):
        for event in events:
            yield from rows.tell(event)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A batch, as the core takes it."""

    asked: BatchRequest
    model: Model
    outputs: OutputConfig
    workers: WorkersConfig = field(default_factory=WorkersConfig)

    @property
    def settings(self) -> PredictionConfig:
        """How the model is run."""
        return self.asked.settings

    def request(self, item: BatchItem, /) -> JobRequest:
        """Return what is asked for of one image, opened but not read."""
        from napari_unetpp import api
        from napari_unetpp._napari._saved import with_file_name
        from napari_unetpp.api._recipe_inputs import open_mask

        asked, own, image = self.asked, item.own, item.image
        axes = asked.axes if own is None else own.axes
        if isinstance(image, Source):
            image, axes = with_file_name(image), axes or image.axes
        return api.job_request(
            image,
            asked.folder,
            self.model,
            asked.settings,
            self.outputs,
            self.workers,
            form=asked.form,
            axes=axes,
            channel=asked.channel if own is None else own.channel,
            mask=None if own is None else open_mask(own),
            overwrite=asked.overwrite,
        )


class _Rows:
    """The core's events, told of the rows of a table, no faster than it can listen."""

    def __init__(self, request: BatchRequest) -> None:
        from napari_unetpp._napari._telling import Teller

        self._request = request
        self._teller = Teller(0)
        self._not_before = 0.0
        self._notes: list[str] = []
        self._n_planes = 1

    def tell(self, event: BatchEvent) -> Iterable[Any]:
        """Yield what there is to tell of an event."""
        from napari_unetpp.api._batch import ImageBegun, ImagesChecked, ImageStep

        if isinstance(event, ImagesChecked):
            yield from self._checked(event.n_done, event.n_images)
        elif isinstance(event, ImageBegun):
            yield self._begun(event.index, event.axes, event.shape)
        elif isinstance(event, ImageStep):
            yield from self._step(event.index, event.event)
        else:
            yield self._ended(event)

    def _checked(self, n_done: int, n_all: int) -> Iterable[Note]:
        now = time.monotonic()
        if now >= self._not_before:
            self._not_before = now + _TELL_SECONDS
            yield Note(f"Looking at image {n_done:,} of {n_all:,}…")

    def _begun(self, index: int, axes: str, shape: tuple[int, ...]) -> RowBegun:
        from napari_unetpp._napari._telling import Teller

        sizes = dict(zip(axes, shape, strict=True))
        n_pixels = math.prod(size for letter, size in sizes.items() if letter != "C")
        self._teller, self._notes = Teller(n_pixels), []
        return RowBegun(index, n_pixels)

    def _step(self, index: int, event: Any) -> Iterable[RowNote | RowProgress]:
        from napari_unetpp._napari._telling import sentence
        from napari_unetpp.inference import RunStarted

        if isinstance(event, RunStarted):
            yield RowNote(index, sentence(self._teller.started(event)))
            return
        for told in self._teller.tell(event):
            if isinstance(told, Note):
                self._notes.append(told.text)
                yield RowNote(index, told.text)
            else:
                yield RowProgress(index, told)

    def _ended(self, event: Any) -> RowDone | RowFailed:
        from napari_unetpp.api._batch import ImageFailed

        if isinstance(event, ImageFailed):
            item = self._request.items[event.index]
            return RowFailed(event.index, reason(event.error, item))
        saved: SavedSegmentation = event.saved
        return RowDone(
            event.index,
            _found(saved),
            saved.outputs,
            event.seconds,
            tuple(dict.fromkeys(self._notes)),
            saved.up_to_date,
        )


def _found(saved: SavedSegmentation) -> str:
    """Return what was found in words."""
    if saved.up_to_date:
        return "up to date"
    if saved.n_objects is None:
        return "classes"
    return f"{saved.n_objects:,} object{'s' * (saved.n_objects != 1)}"


def reason(error: Exception, item: BatchItem) -> str:
    """Return why an image failed, by its name, which stands in the table."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return wrong_settings(error, "; ")
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); set Memory, or a smaller Tile"
    if not isinstance(item.image, Source):
        return str(error).replace(str(item.image), item.name)
    return str(error).removeprefix(f"{item.name}: ")
