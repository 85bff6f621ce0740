"""An image in, its prediction out, with all that happens between told as events."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_unetpp.inference._events import Rescaled, RunStarted, TileDone
from napari_unetpp.inference._grid_prediction import predict_on_grid
from napari_unetpp.inference._object_size import check_diameter
from napari_unetpp.inference._own_grid import OwnGrid, resized
from napari_unetpp.inference._request import as_read, rescaling_of
from napari_unetpp.inference._results import NetworkGrid
from napari_unetpp.inference._size_measured import object_size
from napari_unetpp.inference._wanted import RescaledFocus, wanted_box

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_unetpp._types import Box, LazyArray
    from napari_unetpp.arrays import Canonical, Image, IntensityRange, Rescaling
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.inference._events import BadPixels, BlockDone, MemoryLow
    from napari_unetpp.inference._object_size import ObjectSize
    from napari_unetpp.inference._results import Prediction
    from napari_unetpp.nn import Model
    from napari_unetpp.tiling import Focus

    Told = BlockDone | Rescaled | RunStarted | TileDone | MemoryLow | BadPixels
    Events = Generator[Told, None, Prediction]


def predict_image(
    image: Image,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    *,
    folder: Path | None = None,
    keep_heads: bool = True,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
    first: Box | Focus | None = None,
    mask: LazyArray | None = None,
    preview: bool = False,
    intensity: IntensityRange | None = None,
) -> Events:
    """Predict an image, or a view of it.

    Parameters
    ----------
    image, model, settings, loop, mask, preview, intensity
        As in `make_plan`.
    run_id : str
        Stands in the events.
    folder : Path, optional
        Folder for the probabilities; without it they are in memory if they are small
        and in the system's temporary folder if not. What is made there is deleted when
        the prediction is dropped.
    keep_heads : bool
        Whether the heads are kept beside their mean.
    region, first
        As in `make_plan`, in pixels of the image.

    Yields
    ------
    BlockDone, Rescaled
        If the settings have a diameter: while it is measured, and what it is.
    RunStarted
        Once, with the arrays that fill.
    TileDone, MemoryLow, BadPixels
        As in `predict_tiles`.

    Returns
    -------
    Prediction
        Complete.

    Raises
    ------
    SettingsError
        If a diameter is asked for that the model can do nothing with.
    """
    check_diameter(model.config, settings)
    whole = as_read(image, model)
    size: ObjectSize | None = None
    rescaling: Rescaling | None = None
    if settings.diameter is not None:
        size = yield from object_size(image, model, settings, run_id)
        rescaling = rescaling_of(size, image, model)
        yield Rescaled(run_id, size)
    run = partial(
        predict_on_grid,
        image,
        model,
        settings,
        run_id,
        folder=folder,
        keep_heads=keep_heads,
        loop=loop,
        mask=mask,
        preview=preview,
        intensity=intensity,
        rescaling=rescaling,
    )
    if rescaling is None:
        events = run(region=region, first=first)
        return (yield from _sized(events, size))
    wanted = wanted_box(whole, whole.spatial_shape, region, loop)
    grid = OwnGrid.of(rescaling, wanted[len(whole.loop_axes) :])
    events = run(region=grid.needed, first=RescaledFocus(first, rescaling))
    return (yield from _on_own_grid(_sized(events, size), whole, grid))


def _sized(events: Events, size: ObjectSize | None) -> Events:
    """Tell in a prediction how large the objects are."""
    prediction = None
    with closing(events):
        for event in events:
            if isinstance(event, RunStarted) and event.prediction is not None:
                prediction = replace(event.prediction, size=size)
                event = replace(event, prediction=prediction)
            yield event
    return _there(prediction)


def _on_own_grid(events: Events, whole: Canonical, grid: OwnGrid) -> Events:
    """Tell all in pixels of the image's own grid."""
    n, prediction = len(whole.loop_axes), None
    with closing(events):
        for event in events:
            if isinstance(event, RunStarted) and event.prediction is not None:
                prediction = _brought_back(event.prediction, whole, grid)
                event = replace(event, prediction=prediction)
            elif isinstance(event, TileDone):
                touched = grid.touched(event.box[n:])
                event = replace(event, box=event.box[:n] + touched)
            yield event
    return _there(prediction)


def _brought_back(read: Prediction, whole: Canonical, grid: OwnGrid) -> Prediction:
    """Return a prediction on the image's own grid, interpolated where it is read."""
    n = len(whole.loop_axes)
    scale, place = whole.result_scale, whole.result_translate
    spatial = zip(place[n:], scale[n:], grid.region, strict=True)
    return replace(
        read,
        heads=resized(read.heads, grid),
        mean=resized(read.mean, grid),
        uncertainty=resized(read.uncertainty, grid),
        depth=None,
        scale=scale,
        translate=read.translate[:n]
        + tuple(first + size * start for first, size, (start, _) in spatial),
        read_on=NetworkGrid(read, grid),
    )


def _there(prediction: Prediction | None) -> Prediction:
    if prediction is None:
        raise RuntimeError("a run ended before it had begun")
    return prediction
