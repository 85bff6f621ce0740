"""What a run will take, told before it starts: device, memory, tiles and time."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from napari_unetpp._amounts import AUTO
from napari_unetpp.inference._device import cuda_hint, devices
from napari_unetpp.inference._labelling import label
from napari_unetpp.inference._object_size import given_size
from napari_unetpp.inference._plan import make_plan
from napari_unetpp.inference._precision_effect import changed_labels
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._request import as_read, rescaling_of
from napari_unetpp.inference._sample_region import cut_out, sample_region
from napari_unetpp.inference._session import job_blocks
from napari_unetpp.inference._stages import window_bytes

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from napari_unetpp.arrays import Canonical, Image, IntensityRange
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.inference._events import Event
    from napari_unetpp.inference._plan import Plan
    from napari_unetpp.nn import Model

_TRIED = {2: (384, 384), 3: (16, 128, 128)}
"""Edges of the piece that is timed, in pixels."""
_WARM_UP = {2: (64, 64), 3: (16, 32, 32)}


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a run will take.

    Attributes
    ----------
    device, device_label : str
        What will compute, and what its maker calls it.
    torch_version : str
        Of torch.
    torch_build : str
        What torch is built for: ``"the CPU"``, ``"CUDA 12.8"``.
    precision : str
        In what the network computes.
    free_bytes : int
        Memory that is free on the device.
    memory : int
        Bytes of main memory that the run takes at most.
    n_pixels : int
        Pixels of the result.
    n_tiles : int
        Tiles, or pieces of strips.
    core, halo : tuple of int
        Edges of a tile, and its context on each side, in pixels.
    computed : float
        Pixels that go through the network for each pixel of the image.
    seconds : float or None
        About how long the run takes, by a small piece of the image that was timed;
        ``None`` if it was not.
    changed : float or None
        Share of the pixels of that piece to which bfloat16 gives another class than
        float32; ``None`` if the network computes in float32.
    hint : str or None
        A card that lies idle, and the cure.
    """

    device: str
    device_label: str
    torch_version: str
    torch_build: str
    precision: str
    free_bytes: int
    memory: int
    n_pixels: int
    n_tiles: int
    core: tuple[int, ...]
    halo: tuple[int, ...]
    computed: float
    seconds: float | None = None
    changed: float | None = None
    hint: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the memory that is free now is enough."""
        return self.device != "cpu" or self.memory <= self.free_bytes

    @property
    def lines(self) -> list[str]:
        """The same in words."""
        core = " x ".join(map(str, self.core))
        tiles = "1 tile" if self.n_tiles == 1 else f"{self.n_tiles:,} tiles"
        found = [
            f"{self.device_label} ({self.device}), {self.precision};"
            f" torch {self.torch_version} for {self.torch_build}",
            f"{_gib(self.free_bytes)} free, the run takes at most {_gib(self.memory)}"
            " of main memory",
            f"{tiles} of {core} pixels, {self.computed:.2f} pixels computed for each"
            " of the image",
        ]
        if self.seconds is not None:
            found.append(
                f"about {_duration(self.seconds)} for {self.n_pixels:,} pixels"
            )
        if self.changed is not None:
            found.append(
                f"{100 * self.changed:.2f} % of the pixels of a small piece get another"
                " class than in float32"
            )
        if not self.fits:
            found.append(
                "that is more than is free: close other programs, or set --memory"
                " (Memory in the panel)"
            )
        return found if self.hint is None else [*found, self.hint]


def preflight(
    image: Image,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    *,
    timed: bool = True,
) -> Generator[Event, None, Preflight]:
    """Find out what a run over an image will take, without running it.

    Parameters
    ----------
    image, model, settings : Image, Model, PredictionConfig
        What is segmented, by what and how. A diameter that is still to be measured is
        left out.
    run_id : str
        Stands in the events.
    timed : bool
        Segment a small piece of the image, to tell the time.

    Yields
    ------
    Event
        While the piece is segmented.

    Returns
    -------
    Preflight
        What it takes.

    Raises
    ------
    AxesError, ImageError, SettingsError, DeviceError
        As in `make_plan`.
    """
    if settings.diameter == AUTO:
        settings = settings.model_copy(update={"diameter": None})
    whole = as_read(image, model)
    size = None
    if settings.diameter is not None:
        size = given_size(whole, model.config, settings.diameter)
    blocks = job_blocks(model.config, settings)
    plan = make_plan(
        image,
        model,
        settings,
        label_bytes=window_bytes(blocks),
        rescaling=rescaling_of(size, image, model),
    )
    plan.close()
    told = _told(plan)
    if not timed:
        return told
    pace = yield from _pace(whole, model, settings, run_id, plan.intensity)
    changed = None
    if told.precision == "bfloat16" and settings.diameter is None:
        box = sample_region(whole, _TRIED[len(whole.spatial_axes)])
        changed = yield from changed_labels(
            cut_out(whole, box), model, settings, run_id, plan.intensity
        )
    seconds = pace * told.n_pixels * told.computed
    return replace(told, seconds=seconds, changed=changed)


def _told(plan: Plan) -> Preflight:
    """Return what a plan says."""
    name = str(plan.predictor.device)
    info = next(each for each in devices() if each.name == name)
    cuda, n_pixels = torch.version.cuda, math.prod(plan.whole.result_shape)
    return Preflight(
        device=name,
        device_label=info.label,
        torch_version=torch.__version__,
        torch_build=f"CUDA {cuda}" if cuda else "the CPU",
        precision=plan.predictor.precision,
        free_bytes=info.free_bytes,
        memory=plan.memory.total,
        n_pixels=n_pixels,
        n_tiles=len(plan.grid),
        core=plan.grid.core,
        halo=plan.grid.halo,
        computed=_computed(plan) * math.prod(plan.shape) / n_pixels,
        hint=cuda_hint(),
    )


def _computed(plan: Plan) -> float:
    """Return the pixels computed for each pixel that the network reads.

    Along a strip none is computed twice. The axes are independent.
    """
    ratios = []
    for axis, (size, edge, halo) in enumerate(
        zip(plan.grid.shape, plan.grid.core, plan.grid.halo, strict=True)
    ):
        if plan.streams and axis == 0:
            continue
        outer = sum(
            min(start + edge + halo, size) - max(start - halo, 0)
            for start in range(0, size, edge)
        )
        ratios.append(outer / size)
    return math.prod(ratios) * len(plan.predictor.turns)


def _pace(
    whole: Canonical,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    intensity: IntensityRange,
) -> Generator[Event, None, float]:
    """Return the seconds for each pixel that is computed, labels included."""
    dims, seconds, computed = len(whole.spatial_axes), 0.0, 1
    free = settings.model_copy(update={"tile": None, "memory": None})
    for most in (_WARM_UP[dims], _TRIED[dims]):
        box = sample_region(whole, most)
        part = cut_out(whole, box)
        start = time.monotonic()
        run: Any = predict_image(part, model, free, run_id, intensity=intensity)
        prediction = yield from _kept(run)
        yield from label(prediction, model.config, run_id)
        seconds = time.monotonic() - start
        turns = 8 if settings.tta else 1
        computed = math.prod(stop - first for first, stop in box) * turns
        if settings.diameter is not None and prediction.read_on is not None:
            computed = math.prod(prediction.read_on.prediction.shape) * turns
    return seconds / computed


def _kept(run: Any) -> Generator[Event, None, Any]:
    """Hand on the events of a run; return what it returns."""
    with closing(run):
        return (yield from run)


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB"


def _duration(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
