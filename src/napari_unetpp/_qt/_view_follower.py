"""Keeping a run informed of what the user looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal, Slot

from napari_unetpp._napari import visible_view
from napari_unetpp.errors import AxesError

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_unetpp._napari import SegmentRequest

QUIET_MS = 200
"""How long the view must rest before the run is told."""


class ViewRest(QObject):  # type: ignore[misc]
    """Tells when camera and sliders have come to rest somewhere else.

    Only bound methods are connected: napari holds them weakly, so that a follower that
    is gone gets no more events.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    parent : QObject
        The panel, with which it goes.
    """

    rested = Signal()

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(QUIET_MS)
        self._rest.timeout.connect(self.rested)
        camera, dims = viewer.scene.camera.events, viewer.dims.events
        moves = (camera.center, camera.zoom, dims.point, dims.ndisplay, dims.order)
        for move in (*moves, viewer.layers.selection.events.active):
            move.connect(self._moved)

    def stop(self) -> None:
        """Forget a move that has not come to rest yet."""
        self._rest.stop()

    def _moved(self, *_: object) -> None:
        self._rest.start()


class ViewFollower(QObject):  # type: ignore[misc]
    """Moves the focus of a run to where camera and sliders come to rest.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    parent : QObject
        The panel, with which the follower goes.
    """

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._request: SegmentRequest | None = None
        self._layer: Image | None = None
        self._spatial_dims = 2
        self._rest = ViewRest(viewer, self)
        self._rest.rested.connect(self._look)

    def follow(self, request: SegmentRequest, layer: Image, spatial_dims: int) -> None:
        """Move the focus of a run from now on.

        Parameters
        ----------
        request : SegmentRequest
            What the run was asked for.
        layer : Image
            The image that is segmented.
        spatial_dims : int
            Of the model.
        """
        self._request, self._layer = request, layer
        self._spatial_dims = spatial_dims

    def stop(self) -> None:
        """Leave the focus where it is."""
        self._rest.stop()
        self._request = self._layer = None

    @Slot()  # type: ignore[untyped-decorator]
    def _look(self) -> None:
        if self._request is None or self._layer not in self._viewer.layers:
            return
        source = self._request.source
        try:
            view = visible_view(self._viewer, self._layer, source, self._spatial_dims)
        except AxesError:  # the image is out of view, or is seen from the side
            return
        self._request.focus.look_at(view.box)
