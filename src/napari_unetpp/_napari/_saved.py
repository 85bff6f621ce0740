"""Segmenting a whole image into a folder, where what is done stays."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetpp import api
from napari_unetpp._napari._layers import LABELS
from napari_unetpp._napari._messages import ArraysReady, LabelsReady, Progress
from napari_unetpp._napari._results import SMALL_EDGE, Layout
from napari_unetpp._napari._stored import (
    StoredArrays,
    growing,
    open_levels,
    published,
    shown_labels,
)
from napari_unetpp._napari._telling import Teller, found_text
from napari_unetpp.inference import Finished, RunStarted, SavedSegmentation

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._napari._layers import ResultGroup
    from napari_unetpp._napari._request import SegmentRequest
    from napari_unetpp._napari._source import Source
    from napari_unetpp.nn import Model

_NOT_IN_NAMES = '/\\:*?"<>|\0'


class _TemporaryFolder:
    """A folder that goes with the last layer that shows what is in it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="napari-unetpp-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def save_source(
    request: SegmentRequest, model: Model, names: tuple[str, ...]
) -> Generator[Any, None, None]:
    """Segment a whole image as a job, into its folder or a temporary one.

    Parameters
    ----------
    request : SegmentRequest
        What, and where to.
    model : Model
        The model.
    names : tuple of str
        Results that are shown, the main one first.

    Yields
    ------
    ArraysReady, Progress, Note or LabelsReady
        As `segment_source` does.
    """
    owner = _TemporaryFolder() if request.folder is None else None
    source, inside = request.source, request.inside
    events = api.segmenting_to(
        with_file_name(source),
        owner.path if owner else request.folder or "",
        model,
        request.settings,
        save=None if request.heads else ("labels", "mean"),
        form="zarr",
        axes=source.axes,
        channel=request.channel,
        mask=None if inside is None else inside.over(source),
        first=request.focus,
        preview=request.preview,
    )
    shown = _Shown(request, model, names, owner)
    teller = Teller(request.n_pixels)
    with closing(events):
        for event in events:
            if isinstance(event, RunStarted) and event.store is not None:
                stored, look = event.store.layout, growing(names, event.store)
                arrays = shown.arrays(look, stored.axes, tuple(stored.shape))
                plan = teller.started(event)
                yield ArraysReady(shown.growing_group(arrays), arrays, plan)
            elif isinstance(event, Finished):
                if isinstance(event.result, SavedSegmentation):
                    yield from shown.finished(event.result)
            else:
                for message in teller.tell(event):
                    if isinstance(message, Progress) and message.box is not None:
                        arrays.update(message.box)
                    yield message


class _Shown:
    """What the layers of a job show, while it goes on and when it is complete."""

    def __init__(
        self,
        request: SegmentRequest,
        model: Model,
        names: tuple[str, ...],
        owner: _TemporaryFolder | None,
    ) -> None:
        self._request, self._model = request, model
        self._names, self._owner = names, owner
        self._large = False

    def finished(self, saved: SavedSegmentation) -> Generator[Any, None, None]:
        """Yield the complete results, which have moved to where they belong."""
        folder = saved.outputs[LABELS]
        look = published(self._names, folder, saved.axes)
        arrays = self.arrays(look, saved.axes, saved.shape)
        if saved.up_to_date:  # nothing had to be done, and nothing is shown yet
            group = self._request.group(self._model)
            yield ArraysReady(group, arrays, "nothing is left to do")
        views = open_levels(folder / LABELS / LABELS, 0, saved.axes)[1]
        labels = shown_labels(views, arrays.layout, self._owner)
        summary = self._summary(saved, arrays.layout)
        group = self._request.group(self._model)
        yield LabelsReady(labels, summary, arrays, group)

    def growing_group(self, arrays: StoredArrays) -> ResultGroup:
        """Return where the layers lie while results grow, on the network's pixels."""
        return self._request.group(self._model, arrays.layout.shown_shape)

    def arrays(self, look: Any, axes: str, shape: tuple[int, ...]) -> StoredArrays:
        """Return arrays over results with these axes."""
        layout = Layout(
            shown_axes=self._request.source.shown_axes,
            result_axes=axes,
            result_shape=shape,
            spatial_dims=self._model.config.network.spatial_dims,
        )
        # Results that grow may have other pixels than complete ones, in one layer.
        sizes = dict(
            zip(layout.shown_axes, self._request.source.shown_shape, strict=True)
        )
        edges = (*layout.rows_and_columns, sizes["Y"], sizes["X"])
        self._large = self._large or max(edges) > SMALL_EDGE
        return StoredArrays(
            self._names, layout, look, self._owner, multiscale=self._large
        )

    def _summary(self, saved: SavedSegmentation, layout: Layout) -> str:
        if saved.up_to_date:
            return f"Up to date, nothing had to be done: {saved.outputs[LABELS]}"
        text = found_text(saved.n_objects, layout, self._request.settings.link)
        if saved.size is not None:
            text += f"; {saved.size.text}"
        if saved.bad:
            text += f"; {len(saved.bad)} unreadable pieces of the image taken as dark"
        if self._owner is None:
            text += f", in {saved.outputs[LABELS]}"
        return text


def with_file_name(source: Source) -> Source:
    """Return a source whose name can be that of a file."""
    name = "".join("_" if c in _NOT_IN_NAMES else c for c in source.name).strip(". ")
    return replace(source, name=name or "image")
