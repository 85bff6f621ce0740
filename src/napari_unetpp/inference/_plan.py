"""Everything that is decided before the first tile is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.arrays import canonical as make_canonical
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference._device import free_memory, resolve_device
from napari_unetpp.inference._first_look import first_look
from napari_unetpp.inference._memory import MemoryModel, MemoryNeed
from napari_unetpp.inference._precision import resolve_precision
from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.inference._wanted import View, check_mask, wanted_box
from napari_unetpp.io import image_range
from napari_unetpp.nn._adaptive import adaptive_lag
from napari_unetpp.tiling import (
    Focus,
    TileGrid,
    choose_core,
    choose_strip,
    halo_for,
    round_up,
    wanted_core,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import torch

    from napari_unetpp._types import Box, LazyArray
    from napari_unetpp.arrays import Canonical, Image, IntensityRange, Rescaling
    from napari_unetpp.config import ModelConfig, NetworkConfig, PredictionConfig
    from napari_unetpp.inference._first_look import Preview
    from napari_unetpp.nn import Model

_CPU_BUDGET = 3 * 2**29  # larger tiles save little, and the viewer needs memory too
_STREAM_BUDGET = 16 * 2**30  # what lies beside a narrow strip is computed many times
_GPU_BUDGET = 8 * 2**30
_STEP = {2: 128, 3: 32}  # chunks of a store are to divide the cores


@dataclass(frozen=True, slots=True)
class Plan:
    """A prediction, planned.

    Places and sizes are those of the grid on which the network reads the image: the
    image's own unless it is rescaled.

    Attributes
    ----------
    whole : Canonical
        The image, on its own grid.
    canonical : Canonical
        The part of it that a view needs; all of it unless a view was asked for.
    rescaling : Rescaling, optional
        From the image's own grid to that of the network, if that is another.
    start : tuple of int
        First pixel of the part in the whole, one for each loop and spatial axis.
    kept : Box
        What of the part is the result, one interval for each of these axes.
    intensity : IntensityRange
        Of the whole image.
    predictor : Predictor
        The network on its device.
    preview : Preview, optional
        What answers quickly where somebody looks, before the network does.
    grid : TileGrid
        Tiles over the part.
    tiles : sequence of int
        Those to predict.
    focus : Focus
        What is looked at, within the part.
    streams : bool
        Whether rows flow through the network from tile to tile of a strip, so that none
        is computed twice; otherwise every tile is predicted on its own.
    mask : LazyArray, optional
        Where results are wanted: not 0, over the axes of `whole` or its spatial ones.
    memory : MemoryNeed
        What the run takes at most.
    model, settings : ModelConfig, PredictionConfig
        As asked for.
    """

    whole: Canonical
    canonical: Canonical
    rescaling: Rescaling | None
    start: tuple[int, ...]
    kept: Box
    intensity: IntensityRange
    predictor: Predictor
    preview: Preview | None
    grid: TileGrid
    tiles: Sequence[int]
    focus: Focus
    streams: bool
    mask: LazyArray | None
    memory: MemoryNeed
    model: ModelConfig
    settings: PredictionConfig

    @property
    def origin(self) -> tuple[int, ...]:
        """First pixel of the result in the whole, one for each axis of the result."""
        return tuple(
            first + at for first, (at, _) in zip(self.start, self.kept, strict=True)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the part along each loop and spatial axis."""
        return self.grid.loop_shape + self.grid.shape

    @property
    def placement(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """World units a pixel, and place of the first one of the result."""
        scale, place = self.whole.result_scale, self.whole.result_translate
        if self.rescaling is not None:
            n = len(self.whole.loop_axes)
            new = self.rescaling.placed(scale[n:], place[n:])
            scale, place = scale[:n] + new[0], place[:n] + new[1]
        steps = zip(place, scale, self.origin, strict=True)
        return scale, tuple(first + size * at for first, size, at in steps)

    def in_result(self, loop: tuple[int, ...], core: Box) -> Box:
        """Return the part of the result that a tile's core covers."""
        box = tuple((at, at + 1) for at in loop) + core
        return tuple(
            (max(start - low, 0), min(stop, high) - low)
            for (start, stop), (low, high) in zip(box, self.kept, strict=True)
        )

    def in_whole(self, loop: tuple[int, ...], box: Box) -> Box:
        """Return what lies in plane `loop` of the part as it lies in the whole."""
        found = tuple((at, at + 1) for at in loop) + box
        return tuple(
            (first + start, first + stop)
            for first, (start, stop) in zip(self.start, found, strict=True)
        )

    def close(self) -> None:
        """Take the networks off the device."""
        self.predictor.close()
        if self.preview is not None:
            self.preview.predictor.close()


def make_plan(
    image: Image,
    model: Model,
    settings: PredictionConfig,
    *,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
    first: Box | Focus | None = None,
    mask: LazyArray | None = None,
    preview: bool = False,
    intensity: IntensityRange | None = None,
    core: tuple[int, ...] | None = None,
    pending: npt.NDArray[np.bool_] | None = None,
    in_memory: bool = False,
    label_bytes: int = 0,
    rescaling: Rescaling | None = None,
) -> Plan:
    """Decide how `model` is run over `image`.

    Parameters
    ----------
    image : Image
        Any image that the model takes.
    model : Model
        The model.
    settings : PredictionConfig
        How.
    region : Box, optional
        The part along the spatial axes that is wanted, in pixels of the grid that the
        network reads; context is read from around it, so that it equals that part of
        the whole result.
    loop : tuple of int, optional
        The one index along the loop axes that is wanted.
    first : Box or Focus, optional
        What is looked at, one interval for each of the loop and spatial axes: tiles
        are predicted from there outwards. It does not change the result.
    mask : LazyArray, optional
        Not 0 where results are wanted; of the result's shape, or of its spatial axes
        alone. Tiles outside are not even read.
    preview : bool
        Whether head 1 answers first where somebody looks.
    intensity : IntensityRange, optional
        Of this image, where it is known; else it is found.
    core : tuple of int, optional
        Edges of a tile's core, where they are fixed already.
    pending : ndarray of bool, (n_tiles,), optional
        Which tiles are still to be predicted; all by default.
    in_memory : bool
        Whether small results stay in memory, for the figure in `Plan.memory`.
    label_bytes : int
        Memory that making labels takes afterwards, for the figure in `Plan.memory`.
    rescaling : Rescaling, optional
        To the grid that the network reads; `region` and `first` are in its pixels.

    Raises
    ------
    AxesError, ImageError
        If the image does not suit the model, or the mask the image.
    SettingsError
        If level, region or loop do not exist, or the memory is too little.
    DeviceError
        If the device does not.
    """
    whole = _as_read(image, model.config)
    shape = whole.spatial_shape if rescaling is None else rescaling.target
    wanted = wanted_box(whole, shape, region, loop)
    check_mask(whole, mask)
    found = intensity or _range(whole, model.config, settings)
    predictor = _predictor(model, settings)
    alignment = predictor.config.alignment()
    halo = halo_for(model.network.receptive_field(predictor.level), alignment)
    view = View.of(wanted, shape, halo, alignment)
    part = view.cut(whole, rescaling)
    streams = _may_stream(predictor, view)
    if streams and predictor.adaptive is not None:
        halo = _later(halo, predictor.config)
    need = MemoryModel(
        predictor,
        part,
        settings.batch,
        intensity is None,
        in_memory,
        label_bytes,
        rescaling,
        streams,
    )
    smallest = TileGrid(view.shape, alignment, halo, alignment, part.loop_shape)
    grid = _grid(need, smallest, settings, core)
    return Plan(
        whole=whole,
        canonical=part,
        rescaling=rescaling,
        start=view.start,
        kept=view.kept,
        intensity=found,
        predictor=predictor,
        preview=first_look(model, predictor, grid) if preview else None,
        grid=grid,
        tiles=_tiles(grid, view.kept, pending),
        focus=_focus(first, view.kept, grid, preview=preview),
        streams=streams,
        mask=mask,
        memory=need.need(grid),
        model=model.config,
        settings=settings.model_copy(update={"precision": predictor.precision}),
    )


def _as_read(image: Image, config: ModelConfig) -> Canonical:
    network = config.network
    return make_canonical(
        image, network.spatial_dims, config.channels, network.in_channels
    )


def _predictor(model: Model, settings: PredictionConfig) -> Predictor:
    device = resolve_device(settings.device)
    return Predictor(
        model,
        device,
        settings.level,
        settings.mode,
        tta=settings.tta,
        precision=resolve_precision(settings.precision, device, model.config.network),
        adaptive=settings.adaptive,
    )


def _later(halo: tuple[int, ...], config: NetworkConfig) -> tuple[int, ...]:
    """Return the halo of rows that wait for a decision how deep to go."""
    late = round_up(adaptive_lag(config), config.alignment()[0])
    return (max(halo[0], late), *halo[1:])


def _may_stream(predictor: Predictor, view: View) -> bool:
    """Return whether rows may flow from tile to tile.

    Not on a GPU, where tiles fill the card better, not where tiles are turned, and not
    for a view, whose tiles are few.
    """
    return predictor.fused is not None and len(predictor.turns) == 1 and view.is_whole


def _range(
    whole: Canonical, model: ModelConfig, settings: PredictionConfig
) -> IntensityRange:
    """Return the intensities of an image that become 0 and 1."""
    how, skip_bad = settings.nonfinite, settings.skip_bad
    return image_range(whole, model.intensity, how, skip_bad=skip_bad)


def _grid(
    need: MemoryModel,
    smallest: TileGrid,
    settings: PredictionConfig,
    core: tuple[int, ...] | None,
) -> TileGrid:
    """Return tiles as they are fixed or asked for, or as large as memory allows."""
    if core is not None:
        return replace(smallest, core=core)
    shape, alignment = smallest.shape, smallest.alignment
    if settings.tile is not None:
        core = wanted_core(shape, alignment, settings.tile)
    else:
        fits, step = _fits(need, smallest, settings.memory), _STEP[len(shape)]
        if need.streams:
            core = choose_strip(shape, alignment, smallest.halo, fits, step)
        else:
            core = choose_core(shape, alignment, fits, step)
    grid = replace(smallest, core=core)
    if settings.memory is not None:
        _check_memory(need, grid, smallest, settings.memory)
    return grid


def _fits(
    need: MemoryModel, smallest: TileGrid, memory: int | None
) -> Callable[[tuple[int, ...]], bool]:
    """Return what says of a core whether there is room for its tile."""
    device = need.predictor.device
    # What the network takes is bounded by what is asked for, or by what is usual.
    asked_for = memory is not None and device.type == "cpu"
    budget = math.inf if asked_for else _budget(device, streams=need.streams)
    total = math.inf if memory is None else memory

    def fits(core: tuple[int, ...]) -> bool:
        grid = replace(smallest, core=core)
        found = need.need(grid)
        # Where the image is shrunk, the pixels of a tile may outweigh the network.
        largest = max(need.network(grid), found.tiles if need.rescaling else 0)
        return largest <= budget and found.total <= total

    return fits


def _check_memory(
    need: MemoryModel, grid: TileGrid, smallest: TileGrid, memory: int
) -> None:
    """Refuse a run that takes more than `memory`, and name the least that would do."""
    total = need.need(grid).total
    if total <= memory:
        return
    least = _megabytes(need.need(smallest).total)
    raise SettingsError(
        f"memory={_megabytes(memory)} MB is too little: this run takes"
        f" {_megabytes(total)} MB with tiles of {' x '.join(map(str, grid.core))}"
        f" pixels, and {least} MB with the smallest; give at least {least}MB and leave"
        " the size of the tiles open, or choose a lower level"
    )


def _megabytes(n_bytes: int) -> int:
    """Return millions of bytes, rounded up."""
    return -(-n_bytes // 10**6)


def _focus(
    first: Box | Focus | None, kept: Box, grid: TileGrid, *, preview: bool
) -> Focus:
    """Return what is looked at: of a view, all of it."""
    if kept != tuple((0, size) for size in grid.loop_shape + grid.shape):
        return Focus(kept if preview else None)
    return first if isinstance(first, Focus) else Focus(first)


def _tiles(
    grid: TileGrid, kept: Box, pending: npt.NDArray[np.bool_] | None
) -> Sequence[int]:
    """Return the tiles that hold what is kept, as far as they are pending."""
    n = len(grid.loop_shape)
    if kept != tuple((0, size) for size in grid.loop_shape + grid.shape):
        return [tile.index for tile in grid.tiles_meeting(kept[n:])]
    if pending is None:
        return range(len(grid))
    return np.flatnonzero(pending)  # type: ignore[return-value]


def _budget(device: torch.device, *, streams: bool) -> int:
    """Return the memory that a batch of tiles, or a stream, may take, in bytes."""
    limit = _CPU_BUDGET if device.type == "cpu" else _GPU_BUDGET
    limit = _STREAM_BUDGET if streams else limit
    return min(limit, free_memory(device) // 2)
