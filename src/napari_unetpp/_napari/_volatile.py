"""Segmenting an image, or a view of it, into the layers of the viewer alone."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp import api
from napari_unetpp._napari._layers import MEAN, UNCERTAINTY
from napari_unetpp._napari._messages import ArraysReady, LabelsReady
from napari_unetpp._napari._results import Layout, ResultArrays
from napari_unetpp._napari._stored import paintable
from napari_unetpp._napari._telling import Teller, found_text
from napari_unetpp._types import slices
from napari_unetpp.inference import Finished, RunStarted, Segmentation, TileDone

if TYPE_CHECKING:
    from collections.abc import Generator

    import dask.array as da

    from napari_unetpp._napari._request import SegmentRequest
    from napari_unetpp._types import FloatArray
    from napari_unetpp.inference import Prediction
    from napari_unetpp.nn import Model


def show_source(
    request: SegmentRequest, model: Model, names: tuple[str, ...]
) -> Generator[Any, None, None]:
    """Segment what the request asks for; nothing is kept in files.

    Parameters
    ----------
    request : SegmentRequest
        What.
    model : Model
        The model.
    names : tuple of str
        Results that are shown, the main one first.

    Yields
    ------
    ArraysReady, Progress, Note or LabelsReady
        As `segment_source` does.
    """
    source, view, inside = request.source, request.view, request.inside
    events = api.segmenting(
        source,
        model,
        request.settings,
        axes=source.axes,
        channel=request.channel,
        heads=request.heads,
        region=view.region if view else None,
        loop=view.loop if view else None,
        first=request.focus,
        mask=None if inside is None else inside.over(source),
        preview=request.preview and view is None,
    )
    teller = Teller(request.n_pixels)
    with closing(events):
        for event in events:
            if isinstance(event, RunStarted) and event.prediction is not None:
                prediction = event.prediction
                layout = _layout(request, model, prediction)
                arrays = ResultArrays(names, layout)
                yield ArraysReady(request.group(model), arrays, teller.started(event))
                continue
            if isinstance(event, TileDone):
                _copy_tile(prediction, event, arrays)
            if isinstance(event, Finished) and isinstance(event.result, Segmentation):
                labels = paintable(np.asarray(event.result.labels))
                text = found_text(event.result.n_objects, layout, request.settings.link)
                size = event.result.prediction.size
                yield LabelsReady(
                    np.ascontiguousarray(layout.as_shown(labels)),
                    text if size is None else f"{text}; {size.text}",
                )
            yield from teller.tell(event)


def _layout(request: SegmentRequest, model: Model, prediction: Prediction) -> Layout:
    return Layout(
        shown_axes=request.source.shown_axes,
        result_axes=prediction.axes,
        result_shape=prediction.shape,
        spatial_dims=model.config.network.spatial_dims,
    )


def _copy_tile(prediction: Prediction, tile: TileDone, arrays: ResultArrays) -> None:
    """Copy a tile, or the part of it that a preview has, to the shown arrays."""
    every = (slice(None), slice(None), *slices(tile.box))
    heads = _read(prediction.heads, every)  # (H, K, *axes)
    values = dict(zip(prediction.head_names, map(_foreground, heads), strict=True))
    if tile.preview:  # head 1 alone, which is the best there is for the mean
        first = values[prediction.head_names[0]]
        values = {MEAN: first, "head 1": first}
    elif MEAN in arrays.names:
        place = slices(tile.box)
        values[MEAN] = _foreground(_read(prediction.mean, (slice(None), *place)))
        values[UNCERTAINTY] = _read(prediction.uncertainty, place)
    shown = {name: values[name] for name in arrays.names if name in values}
    arrays.write(tile.box, shown)


def _read(array: da.Array, where: tuple[slice, ...]) -> FloatArray:
    found: FloatArray = array[where].compute(scheduler="synchronous")
    return found


def _foreground(classes: FloatArray) -> FloatArray:
    """Return the foreground (*axes) of classes (K, *axes): all but the first.

    Outside of a mask all are 0.
    """
    rest: FloatArray = classes[1:] if len(classes) > 1 else classes
    total: FloatArray = rest.sum(axis=0)
    return total
