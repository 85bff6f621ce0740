"""What the viewer shows of a training: predictions, places, and what is looked at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal, Slot

from napari_unetpp._napari import (
    PreviewLayers,
    Told,
    find_places,
    go_to,
    visible_view,
)
from napari_unetpp._qt._device_queue import Waiting, device_queue, in_turn
from napari_unetpp._qt._label_watcher import Strokes
from napari_unetpp._qt._view_follower import ViewRest
from napari_unetpp._qt._workers import Failed, Sent, start_run
from napari_unetpp.errors import AxesError, LabelsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_unetpp._napari import Begun, Source, TrainRequest, View
    from napari_unetpp._qt._train_job import TrainJob
    from napari_unetpp.inference import Place, PlacesFound, PreviewTile


class TrainingView(QObject):  # type: ignore[misc]
    """Shows a training in the viewer, and tells it what its user does there.

    For the GUI thread. `said` carries what there is to say beside the buttons that
    lead the user, `lost` what has become of a layer.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    parent : QObject
        The panel.
    """

    said = Signal(str)
    lost = Signal(str)

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._job: TrainJob | None = None
        self._images: list[Image] = []
        self._labels: list[Labels] = []
        self._sources: tuple[Source, ...] = ()
        self._dims = 2
        self._previews: PreviewLayers | None = None
        self._strokes: Strokes | None = None
        self._places: list[Place] = []
        self._searching = False
        self._search = 0
        self._request: TrainRequest | None = None
        self._model: Path | None = None
        self._rest = ViewRest(viewer, self)
        self._rest.rested.connect(self._look)

    @property
    def can_accept(self) -> bool:
        """Whether a prediction is shown that can be taken over."""
        return self._previews is not None

    @property
    def can_search(self) -> bool:
        """Whether there is a network, at work or done, that tells places."""
        return self._job is not None or self._model is not None

    def trained(self, model: Path) -> None:
        """Let places be found by a model, once its training has ended."""
        self._model = model

    def follow(
        self, job: TrainJob, images: Sequence[Image], labels: Sequence[Labels]
    ) -> None:
        """Watch the layers of a training, from before it has its turn.

        Parameters
        ----------
        job : TrainJob
            The training.
        images, labels : sequences of layers
            Of each image the layer (the first of its channels), and its labels.
        """
        self.stop()
        self._job, self._model = job, None
        self._request = job.request.without_labels()
        self._images, self._labels = list(images), list(labels)
        self._sources = job.request.sources
        self._dims = job.request.spatial_dims
        self._previews = None
        self._strokes = Strokes(self._viewer, labels, job.request.pairs, self)
        self._strokes.lost.connect(self.lost)
        self._look()

    def begin(self, begun: Begun) -> None:
        """Prepare for the predictions of a network, anew if it was rebuilt."""
        config = begun.config
        self._dims = config.network.spatial_dims
        if self._previews is not None:
            self._previews.set_classes(config.class_values, config.class_colours)
        elif self._job is not None:
            self._previews = PreviewLayers(
                self._viewer,
                self._sources,
                config.class_values,
                config.class_colours,
                config.task,
                self._job.request.choices.unlabelled,
            )
        self._look()

    def stop(self) -> None:
        """Leave the layers as they are: no training follows them any more."""
        self._rest.stop()
        self._job = None
        self._places = []
        self._search += 1
        if self._searching:
            self._searching = False
            self.said.emit("")
        if self._strokes is not None:
            self._strokes.end()
            self._strokes = None

    def show(self, tile: PreviewTile) -> None:
        """Show a part of a prediction."""
        if self._previews is not None:
            self._previews.show(tile)

    def step(self) -> bool:
        """Draw a little of what waits; return whether there was anything to draw."""
        return self._previews is not None and self._previews.step()

    def epoch_done(self) -> None:
        """Hand over what was painted; places are looked for anew from now on."""
        self._places = []
        if self._job is None or self._strokes is None:
            return
        labels = self._strokes.newest()
        if labels is not None:
            self._job.control.put_labels(labels)

    def next_place(self) -> None:
        """Go to the next place to label, found before or looked for now."""
        if self._places:
            self._go()
        elif self._searching:
            return
        elif self._job is not None and self._strokes is not None:
            self._searching = True
            self._job.focus.find_places(self._strokes.now())
            self.said.emit("Looking for places…")
        elif self._model is not None:
            self._search_with(self._model)

    def found(self, found: PlacesFound) -> None:
        """Take places, the best first, and go to the first of them."""
        searching, self._searching = self._searching, False
        self._places = list(found.places)
        if not searching:
            return
        if self._places:
            self._go()
        else:
            self.said.emit("No place is left that is not labelled.")

    def _search_with(self, model: Path) -> None:
        """Look for places in another thread: the training has ended."""
        request = self._request
        if request is None:
            return
        try:
            pairs = [
                pair.with_labels(layer)
                for pair, layer in zip(request.pairs, self._labels, strict=True)
            ]
        except LabelsError as error:
            self.said.emit(str(error))
            return
        self._searching = True
        self._search += 1
        self.said.emit("Looking for places…")
        device = request.device
        find = partial(find_places, pairs, model, request.choices, device)
        job = partial(in_turn, device_queue(), device, "a search for places", find)
        start_run(self._viewer, job, self._search, self._receive)

    @Slot(object)  # type: ignore[untyped-decorator]
    def _receive(self, sent: Sent) -> None:
        """Take what a search tells; not one that a new training has ended."""
        event = sent.event
        if sent.run != self._search or not self._searching:
            return
        if isinstance(event, Waiting):
            self.said.emit(event.text)
        elif isinstance(event, Failed):
            self._searching = False
            self.said.emit(event.message)
        elif isinstance(event, Told) and event.kind == "PlacesFound":
            self.found(event.event)

    def accept(self) -> None:
        """Take over the prediction in view as labels, where nothing is labelled."""
        looked = self._looked_at()
        if looked is None or self._previews is None:
            self.said.emit("No image of the training is in view.")
            return
        number, view = looked
        layer = self._labels[number]
        if layer not in self._viewer.layers:
            self.said.emit("The labels layer of this image was removed.")
            return
        try:
            self._previews.accept(layer, view.box, number)
        except LabelsError as error:
            self.said.emit(str(error))
        else:
            self.said.emit(self._previews.accepted_text)

    def _go(self) -> None:
        place = self._places.pop(0)
        layer = self._images[place.image]
        if layer not in self._viewer.layers:
            self.said.emit("The image of the next place was removed.")
            return
        source = self._sources[place.image]
        go_to(self._viewer, layer, place, source.shown_axes, self._dims)
        more = len(self._places)
        self.said.emit(
            "The network is unsure here: paint what you see."
            + (f" {more} more place{'s' * (more > 1)}." if more else "")
        )

    @Slot()  # type: ignore[untyped-decorator]
    def _look(self) -> None:
        """Tell the training what is looked at."""
        if self._job is None:
            return
        looked = self._looked_at()
        if looked is None:
            self._job.focus.look_away()
        else:
            number, view = looked
            self._job.focus.look_at(number, view.region, view.loop)

    def _looked_at(self) -> tuple[int, View] | None:
        """Return which image is in view, the active or topmost one, and what of it."""
        for number in self._topmost_first():
            layer, source = self._images[number], self._sources[number]
            if not layer.visible:
                continue
            try:
                return number, visible_view(self._viewer, layer, source, self._dims)
            except AxesError:  # out of view, or seen from the side
                continue
        return None

    def _topmost_first(self) -> list[int]:
        layers = list(self._viewer.layers)
        active = self._viewer.layers.selection.active
        here = [i for i, layer in enumerate(self._images) if layer in layers]
        return sorted(
            here,
            key=lambda i: (
                active not in (self._images[i], self._labels[i]),
                -layers.index(self._images[i]),
            ),
        )
