"""What is done beside a training, between two of its events: previews, searches, times.

It all happens in the thread that trains, with the network that learns, which is not
changed: the weights are the same with and without.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_unetpp.arrays import align_labels
from napari_unetpp.errors import InputError
from napari_unetpp.inference import (
    LevelsMeasured,
    LiveImages,
    LivePredictor,
    PlaceSearch,
    PlacesFound,
    Previewer,
    PreviewTile,
    Searched,
    TileTooLargeError,
    measure_levels,
)
from napari_unetpp.io import as_image, read_labels
from napari_unetpp.training import (
    EpochDone,
    Notice,
    Paused,
    StepDone,
    TrainingFinished,
    TrainingStarted,
    Validating,
)
from napari_unetpp.training._recovery import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from napari_unetpp._types import LabelArray
    from napari_unetpp.arrays import Image
    from napari_unetpp.config import Nonfinite
    from napari_unetpp.inference import ViewFocus
    from napari_unetpp.inference._view_focus import PlacesWanted
    from napari_unetpp.nn import Model
    from napari_unetpp.training import TrainingControl, TrainingEvent

WatchEvent = PreviewTile | PlacesFound | LevelsMeasured
"""What is told beside the events of a training."""

_FIRST_STEPS = 10
_FIRST_SECONDS = 5.0
"""Steps or seconds of training before the first preview, whichever comes first."""
_FAILURES = (InputError, MemoryError, RuntimeError)
"""What may end a preview or a search, but not the training."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """The images of a training and their labels, as they were given.

    Attributes
    ----------
    images, labels : sequence of paths, arrays, layers or Images
        One of the labels for each of the images.
    unlabelled : int, optional
        Label value of pixels that nobody has labelled.
    axes, channel, nonfinite
        As in `train`.
    """

    images: Sequence[object]
    labels: Sequence[object]
    unlabelled: int | None = None
    axes: str | None = None
    channel: int | None = None
    nonfinite: Nonfinite = "error"

    def open_images(self) -> list[Image]:
        """Return the images; nothing of them is read yet."""
        return [as_image(image, self.axes, self.channel) for image in self.images]

    def searched(
        self, images: LiveImages, labels: Sequence[LabelArray] | None = None
    ) -> list[Searched]:
        """Return images with labels that lie as their results do.

        Parameters
        ----------
        images : LiveImages
            The images, open.
        labels : sequence of ndarray of int, optional
            Newer labels, of the shapes that they had at the start.

        Raises
        ------
        LabelsError
            If labels do not fit their image.
        """
        axes = self.axes and self.axes.upper().replace("C", "")
        found = [read_labels(each, axes) for each in self.labels]
        if labels is not None:
            newer = zip(found, labels, strict=True)
            found = [replace(old, data=new) for old, new in newer]
        return [
            Searched(images[k], align_labels(each, images[k].canonical))
            for k, each in enumerate(found)
        ]


def watched(
    events: Generator[TrainingEvent, None, Model],
    labelling: Labelling,
    focus: ViewFocus,
    control: TrainingControl | None,
) -> Generator[TrainingEvent | WatchEvent, None, Model]:
    """Yield the events of a training and, between them, what is seen of it.

    `TrainingFinished` stays the last event.
    """
    watcher = _Watcher(labelling, focus, control)
    model: Model | None = None
    with closing(events):
        for event in events:
            if isinstance(event, TrainingFinished):
                model = event.model
                yield from watcher.at_end(event)
            yield event
            yield from watcher.after(event)
    if model is None:
        raise RuntimeError("a training ends with TrainingFinished, this one did not")
    return model


@dataclass(slots=True)
class _Live:
    """The network that learns, and the images it learns from."""

    model: Model
    predictor: LivePredictor
    images: LiveImages
    previewer: Previewer
    step: int = 0


class _Watcher:
    """Does what is due between two events, and never much at a time."""

    def __init__(
        self,
        labelling: Labelling,
        focus: ViewFocus,
        control: TrainingControl | None,
    ) -> None:
        self._labelling, self._focus, self._control = labelling, focus, control
        self._live: _Live | None = None
        self._search: PlaceSearch | None = None
        self._wanted: PlacesWanted | None = None  # a search without an answer yet
        self._is_measured = False
        self._failed = -1  # version of a view that could not be predicted
        self._n_steps = 0  # of this session, a resumed run has more
        self._began = time.monotonic()

    def after(self, event: TrainingEvent) -> Iterator[WatchEvent | Notice]:
        """Yield what is seen after an event."""
        if isinstance(event, TrainingStarted):
            self._begin(event)
        elif isinstance(event, StepDone) and self._live is not None:
            self._n_steps += 1
            self._live.step = event.step
        elif isinstance(event, EpochDone) and not self._is_measured:
            yield from self._levels(event.run_id)
        elif not isinstance(event, Paused | Validating):
            return
        if self._n_steps and not self._stopping and self._live is not None:
            yield from self._searching(self._live, event.run_id)
            yield from self._previewing(self._live, event.run_id)

    def at_end(self, event: TrainingFinished) -> Iterator[WatchEvent]:
        """Yield what is seen before the last event; a stop does not wait for it."""
        if self._live is not None and not (self._is_measured and self._stopping):
            yield from self._levels(event.run_id)

    @property
    def _stopping(self) -> bool:
        return self._control is not None and self._control.stopping

    def _begin(self, event: TrainingStarted) -> None:
        """Look at the network that learns; again when it had to be rebuilt.

        Then it has other classes: a pass or a search with the old one begins anew.
        """
        predictor = LivePredictor(event.live, event.precision)
        self._search = None
        if self._live is not None:
            self._live.model, self._live.predictor = event.live, predictor
            self._live.previewer.begin_anew()
            return
        self._began = time.monotonic()
        labelling = self._labelling
        self._live = _Live(
            event.live,
            predictor,
            LiveImages(labelling.open_images(), event.live.config, labelling.nonfinite),
            Previewer(self._focus, event.run_id),
        )

    def _levels(self, run_id: str) -> Iterator[WatchEvent]:
        """Measure the time of each level; without memory the chart stays as it is."""
        self._is_measured = True
        if self._live is None:
            return
        try:
            device = self._live.predictor.device
            measured = measure_levels(self._live.model, device, run_id)
        except _FAILURES as error:
            _raise_unless_expected(error)
            return
        yield measured

    def _previewing(self, live: _Live, run_id: str) -> Iterator[WatchEvent | Notice]:
        """Predict a tile of the view, if one is due; what fails is left alone."""
        late = time.monotonic() >= self._began + _FIRST_SECONDS
        version = self._focus.seen[0]
        if not (late or self._n_steps >= _FIRST_STEPS) or version == self._failed:
            return
        try:
            tile = live.previewer.tile(live.predictor, live.images, live.step)
        except _FAILURES as error:
            _raise_unless_expected(error)
            self._failed = version
            yield Notice(run_id, f"no preview of this view: {error}")
            return
        if tile is not None:
            yield tile

    def _searching(self, live: _Live, run_id: str) -> Iterator[WatchEvent | Notice]:
        """Look at one more tile for places, if they were asked for."""
        newest = self._focus.take_wanted()
        if newest is not None:
            self._wanted, self._search = newest, None
        if self._wanted is None:
            return
        try:
            if self._search is None:
                self._search = PlaceSearch(
                    self._labelling.searched(live.images, self._wanted.labels),
                    live.predictor,
                    unlabelled=self._labelling.unlabelled or 0,
                )
            if not self._search.finished:
                self._search.look(live.predictor)
        except _FAILURES as error:
            _raise_unless_expected(error)
            self._wanted = self._search = None
            yield Notice(run_id, f"no place to label was found: {error}")
            yield PlacesFound(run_id, ())
            return
        if self._search.finished:
            places = self._search.places()
            self._wanted = self._search = None
            yield PlacesFound(run_id, places)


def _raise_unless_expected(error: Exception) -> None:
    """Raise what is neither a bad image nor a lack of memory: a mistake of ours."""
    if isinstance(error, InputError | TileTooLargeError) or is_out_of_memory(error):
        return
    raise error
