"""Many images one after the other: one that fails does not stop the others."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from napari_unetpp.errors import SettingsError, UnetppError
from napari_unetpp.inference import (
    Finished,
    RunStarted,
    SavedSegmentation,
    check_outputs_of,
    resolve_device,
    run_job,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari_unetpp.config import PredictionConfig, WorkersConfig
    from napari_unetpp.inference import Event, JobRequest
    from napari_unetpp.nn import Model

EXPECTED = (UnetppError, ValidationError, MemoryError)
"""Errors of one image, which the others do not share; any other is a bug."""

ImageT = TypeVar("ImageT")
_ImageIn = TypeVar("_ImageIn", contravariant=True)


class BatchJob(Protocol[_ImageIn]):
    """What all images of a batch share."""

    @property
    def model(self) -> Model:
        """The model."""

    @property
    def settings(self) -> PredictionConfig:
        """How it is run."""

    @property
    def workers(self) -> WorkersConfig:
        """Who does the work."""

    def request(self, image: _ImageIn, /) -> JobRequest:
        """Return what is asked for of one image, opened but not read."""


@dataclass(frozen=True, slots=True)
class ImagesChecked:
    """Some of the images have been opened, to find mistakes before any work.

    Attributes
    ----------
    n_done, n_images : int
        Images opened, and in all.
    """

    n_done: int
    n_images: int


@dataclass(frozen=True, slots=True)
class ImageBegun:
    """The work on an image begins.

    Attributes
    ----------
    index : int
        Which image, counted from 0.
    axes : str
        One letter for each axis as stored.
    shape : tuple of int
        Pixels along each.
    """

    index: int
    axes: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ImageStep:
    """Something happened in the run of an image.

    Attributes
    ----------
    index : int
        Which image.
    event : Event
        As `segmenting_to` tells it.
    """

    index: int
    event: Event


@dataclass(frozen=True, slots=True)
class ImageDone:
    """An image is done.

    Attributes
    ----------
    index : int
        Which image.
    saved : SavedSegmentation
        Where the results are.
    started : RunStarted or None
        Tiles, device and memory; nothing is started where nothing is left to do.
    seconds : float
        Since the work on it began.
    """

    index: int
    saved: SavedSegmentation
    started: RunStarted | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """An image could not be segmented.

    Attributes
    ----------
    index : int
        Which image.
    error : Exception
        Why, without the frames that it passed: they hold the arrays of the run, which
        would fill the memory while the other images are segmented.
    """

    index: int
    error: Exception

    @classmethod
    def of(cls, index: int, error: Exception) -> ImageFailed:
        """Keep an error, but nothing of the run that it ended."""
        link: BaseException | None = error
        while link is not None:
            link.__traceback__ = None
            link = link.__cause__ or link.__context__
        return cls(index, error)


BatchEvent = ImagesChecked | ImageBegun | ImageStep | ImageDone | ImageFailed


def batching(
    images: Sequence[ImageT], job: BatchJob[ImageT]
) -> Generator[BatchEvent, None, None]:
    """Segment images into files one after the other; closing the generator stops.

    The same call again goes on: what is done is not done again.

    Parameters
    ----------
    images : sequence
        Whatever `job` opens: paths, layers.
    job : BatchJob
        Model, settings and outputs.

    Yields
    ------
    ImagesChecked
        While images are opened, to find mistakes before any work.
    ImageBegun, ImageStep, ImageDone or ImageFailed
        Of one image after the other; failures to open come first.

    Raises
    ------
    OutputError
        Before any work, if an output exists that was made in another way, or one cannot
        be written.
    SettingsError
        Before any work, if two images would write to one output, an output is one of
        the images, or the model does not have the level.
    DeviceError
        Before any work, if there is no such device.
    """
    job.model.network.check_level(job.settings.level)
    if job.workers.scheduler is None:  # else the devices are those of the cluster
        resolve_device(job.settings.device)
    planned = _Places()
    for index, image in enumerate(images):
        try:
            planned.add(index, job.request(image))
        except EXPECTED as error:
            yield ImageFailed.of(index, error)
        yield ImagesChecked(index + 1, len(images))
    planned.refuse_clashes()
    for index in planned.places:
        check_outputs_of(job.request(images[index]))  # thousands are not kept open
    for index in planned.places:
        try:
            yield from _one(index, images[index], job.request)
        except EXPECTED as error:
            yield ImageFailed.of(index, error)


def _one(
    index: int, image: ImageT, ask: Callable[[ImageT], JobRequest]
) -> Generator[BatchEvent, None, None]:
    """Segment one image and write its results."""
    start = time.monotonic()
    request = ask(image)
    yield ImageBegun(index, request.image.axes, tuple(request.image.shape))
    started: RunStarted | None = None
    saved: SavedSegmentation | None = None
    with closing(run_job(request, uuid4().hex)) as events:
        for event in events:
            if isinstance(event, RunStarted):
                started = event
            elif isinstance(event, Finished):
                result = event.result
                saved = result if isinstance(result, SavedSegmentation) else None
            yield ImageStep(index, event)
    if saved is not None:
        yield ImageDone(index, saved, started, time.monotonic() - start)


class _Places:
    """What a batch reads and writes."""

    def __init__(self) -> None:
        self.places: dict[int, list[Path]] = {}
        self._names: dict[int, str] = {}
        self._inputs: set[Path] = set()

    def add(self, index: int, request: JobRequest) -> None:
        """Keep what a request reads and writes, the results first."""
        written = [*dict.fromkeys(request.paths.values()), request.job_folder]
        self.places[index], self._names[index] = written, request.image.name
        if isinstance(request.source, (str, os.PathLike)):
            path = Path(request.source)
            self._names[index] = str(path)
            self._inputs.add(path.resolve())

    def refuse_clashes(self) -> None:
        """Refuse two images of one name, whose results would have one name too.

        And results in the place of an image: not even --overwrite may destroy the
        input.
        """
        owners: dict[Path, int] = {}
        for index, places in self.places.items():
            for path in places:
                owner = owners.setdefault(path, index)
                if owner != index:
                    raise SettingsError(
                        f"{self._names[owner]} and {self._names[index]} would both"
                        f" write {path}; segment them into different folders"
                    )
                if path.resolve() in self._inputs:
                    raise SettingsError(
                        f"{path} is one of the images, and the results of"
                        f" {self._names[index]} would replace it; choose another folder"
                        " for the results"
                    )
