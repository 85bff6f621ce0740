"""What the panels run in other threads: generators of events, without Qt.

Torch and dask are imported in here when a generator runs, never with the plugin: that
takes seconds, which the thread has and the viewer has not.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._napari._background import behind_the_viewer, load_what_napari_needs
from napari_unetpp._napari._layers import MEAN, UNCERTAINTY, ResultGroup
from napari_unetpp._napari._results import Layout, ResultArrays
from napari_unetpp._types import slices

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._napari._source import Geometry, Source
    from napari_unetpp._napari._view import View
    from napari_unetpp._types import Box, FloatArray
    from napari_unetpp.config import ModelConfig, PredictionConfig
    from napari_unetpp.inference import (
        BlockDone,
        DeviceInfo,
        Event,
        Prediction,
        RunStarted,
        Segmentation,
        TileDone,
    )
    from napari_unetpp.nn import Model

VIEW = " (view)"
"""Behind the image's name in the results of a view."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a panel offers: found in a thread because torch must be imported for it.

    Attributes
    ----------
    models : tuple of str
        Names of the bundled models, then paths of the user's own, newest first.
    devices : tuple of DeviceInfo
        What can compute, and its free memory.
    hint : str or None
        A GPU that lies idle, and the cure.
    """

    models: tuple[str, ...]
    devices: tuple[DeviceInfo, ...]
    hint: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """A model that was looked into.

    Attributes
    ----------
    model : str
        Name or path.
    config : ModelConfig
        All but its weights.
    n_parameters : int
        Number of weights.
    """

    model: str
    config: ModelConfig
    n_parameters: int


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """What the Segment panel asks for.

    Attributes
    ----------
    source : Source
        The image, with the axes that the user confirmed.
    channel : int or None
        The one channel that is used.
    model : str
        Name or path.
    settings : PredictionConfig
        How the model is run.
    view : View or None
        What is on the screen: the part that is segmented, or where a whole run begins;
        ``None`` if the model's plane is not on it.
    whole : bool
        Segment all of the image.
    heads : bool
        Show each head and the uncertainty, not only the mean.
    spare_cores : int
        Processor cores left to the viewer.
    """

    source: Source
    channel: int | None
    model: str
    settings: PredictionConfig
    view: View | None
    whole: bool
    heads: bool
    spare_cores: int

    @property
    def part(self) -> View | None:
        """The part that is segmented, ``None`` for all."""
        return None if self.whole else self.view

    @property
    def group_name(self) -> str:
        """First part of the names of the result layers."""
        return self.source.name + (VIEW if self.part else "")

    @property
    def n_pixels(self) -> int:
        """Pixels of the result."""
        if self.part is not None:
            return math.prod(stop - start for start, stop in self.part.region)
        shape = zip(self.source.shown_axes, self.source.shown_shape, strict=True)
        return math.prod(size for letter, size in shape if letter != "C")


@dataclass(frozen=True, slots=True, eq=False)
class ArraysReady:
    """Arrays that fill from now on, for layers to show.

    Attributes
    ----------
    group : ResultGroup
        Names and place of the layers.
    arrays : ResultArrays
        What they show.
    plan : str
        Device and tiles, in words.
    """

    group: ResultGroup
    arrays: ResultArrays
    plan: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A piece of the work is done; its pixels are in the arrays.

    Attributes
    ----------
    what : str
        The stage: "predict", "find objects", ...
    n_done, n_all : int
        Pieces done and in all, of this stage.
    seconds : float
        Since the stage began.
    n_pixels : int
        Pixels of all pieces; 0 where pieces are not tiles.
    plane : tuple of int or None
        Index along the loop axes of the arrays' plane that changed.
    """

    what: str
    n_done: int
    n_all: int
    seconds: float
    n_pixels: int = 0
    plane: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know while the run goes on."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelsReady:
    """The end of a run.

    Attributes
    ----------
    labels : array of unsigned int, (*shown axes)
        Objects 1...n, or the label values of the classes.
    summary : str
        What was found.
    """

    labels: npt.NDArray[Any]
    summary: str


def prepare(models_folder: Path) -> Generator[Prepared, None, None]:
    """Find models and devices.

    Parameters
    ----------
    models_folder : Path
        Folder of the user's own models; it need not exist.
    """
    from napari_unetpp.inference import cuda_hint, devices
    from napari_unetpp.io import bundled_models

    own = sorted(
        models_folder.glob("*.safetensors"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    models = (*bundled_models(), *map(str, own))
    yield Prepared(models, tuple(devices()), cuda_hint())
    load_what_napari_needs()


def describe(model: str) -> Generator[Described, None, None]:
    """Look into a model."""
    from napari_unetpp.api import load_model

    loaded = load_model(model)
    yield Described(model, loaded.config, loaded.n_parameters)


def segment_source(request: SegmentRequest) -> Generator[Any, None, None]:
    """Segment an image or a view of it.

    Yields
    ------
    ArraysReady, Progress, Note or LabelsReady
        The arrays first, the labels last.

    Raises
    ------
    UnetppError
        If the image, the model or the device does not fit.
    """
    from napari_unetpp import api
    from napari_unetpp.io import as_image

    model = api.load_model(request.model)
    source, part, view = request.source, request.part, request.view
    image = as_image(source, axes=source.axes, channel=request.channel)
    with behind_the_viewer(request.spare_cores):
        events = api.segmenting(
            image,
            model,
            request.settings,
            heads=request.heads,
            region=part.region if part else None,
            loop=part.loop if part else None,
            first=view.box if view else None,
        )
        with closing(events):
            yield from _shown_events(request, model, events)


def _shown_events(
    request: SegmentRequest, model: Model, events: Generator[Event, None, Any]
) -> Generator[Any, None, None]:
    """Fill arrays as the core's events come, and tell the panel."""
    from napari_unetpp.inference import (
        BlockDone,
        Finished,
        MemoryLow,
        RunStarted,
        Segmentation,
        TileDone,
    )

    started = next(events)
    if not isinstance(started, RunStarted):
        raise TypeError(f"a run begins with RunStarted, not {started!r}")
    prediction = started.prediction
    layout = Layout(
        shown_axes=request.source.shown_axes,
        result_axes=prediction.axes,
        result_shape=prediction.shape,
        spatial_dims=model.config.network.spatial_dims,
    )
    arrays = ResultArrays(_names(prediction), layout)
    yield ArraysReady(_group(request, model), arrays, _plan_text(started))
    n_loops = len(layout.loop_axes)
    for event in events:
        if isinstance(event, TileDone):
            _copy_tile(prediction, event.box, arrays)
            plane = tuple(start for start, _ in event.box[:n_loops])
            yield _progress(event, request.n_pixels, plane)
        elif isinstance(event, BlockDone):
            yield _progress(event)
        elif isinstance(event, MemoryLow):
            edges = " x ".join(map(str, event.largest))
            yield Note(f"Tiles of {edges} do not fit into memory; going on with halves")
        elif isinstance(event, Finished) and isinstance(event.result, Segmentation):
            linked = request.settings.link and "Z" in layout.loop_axes
            yield _labels(event.result, layout, linked)


def _progress(
    event: TileDone | BlockDone, n_pixels: int = 0, plane: tuple[int, ...] | None = None
) -> Progress:
    return Progress(
        event.stage, event.n_done, event.n_tiles, event.seconds, n_pixels, plane
    )


def _plan_text(started: RunStarted) -> str:
    core = " x ".join(map(str, started.core))
    if started.n_tiles == 1:
        return f"one tile on {started.device}"
    return f"{started.n_tiles} tiles of {core} on {started.device}"


def _names(prediction: Prediction) -> tuple[str, ...]:
    """Return what is shown: the main result, then the others, the lowest first."""
    heads = prediction.head_names
    return (MEAN, UNCERTAINTY, *heads) if len(heads) > 1 else heads


def _copy_tile(prediction: Prediction, box: Box, arrays: ResultArrays) -> None:
    """Copy a tile from the store to the arrays that are shown."""
    from napari_unetpp.io._store import spread

    part = prediction.heads[(slice(None), slice(None), *slices(box))]
    heads: FloatArray = part.compute(scheduler="synchronous")  # (H, K, *axes)
    tile = replace(prediction, heads=heads, mean=heads.mean(axis=0))
    values = dict(zip(prediction.head_names, tile.head_foreground, strict=True))
    if len(heads) > 1:
        values[MEAN] = tile.foreground
        values[UNCERTAINTY] = spread(heads)
    arrays.write(box, {name: values[name] for name in arrays.names})


def _group(request: SegmentRequest, model: Model) -> ResultGroup:
    source = request.source
    return ResultGroup(
        name=request.group_name,
        geometry=_geometry(source, request.part),
        provenance={
            "image": source.name,
            "axes": source.axes,
            "channel": request.channel,
            "model": model.config.name,
            "model_file": request.model,
            "recipe": request.settings.model_dump(),
            "version": version("napari-unetpp"),
        },
        replaces=request.part is not None,
    )


def _geometry(source: Source, view: View | None) -> Geometry:
    """Return the place of a result, which is the view or the whole, without C."""
    axes = source.shown_axes
    geometry = source.geometry
    if view is not None:
        geometry = geometry.shifted(view.origin(axes))
    if "C" in axes:
        at = axes.index("C")
        geometry = geometry.flattened(at, source.shown_shape[at])
    return geometry


def _labels(result: Segmentation, layout: Layout, linked: bool) -> LabelsReady:
    """Return the labels in memory, in a type that painting can go on with."""
    labels = np.asarray(result.labels)
    if labels.dtype.itemsize == 4 and labels.max(initial=0) <= np.iinfo(np.uint16).max:
        labels = labels.astype(np.uint16)  # drawn much faster than 32 bits
    n = result.n_objects
    summary = "Classes painted" if n is None else f"{n:,} object{'s' * (n != 1)}"
    n_planes = math.prod(labels.shape[: len(layout.loop_axes)])
    if n_planes > 1:
        how = "joined" if linked else "each on its own"
        summary += f" in {n_planes} planes, {how}"
    return LabelsReady(np.ascontiguousarray(layout.as_shown(labels)), summary)
