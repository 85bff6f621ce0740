"""Everything that is decided before the first tile is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import canonical as make_canonical
from napari_unetpp.errors import ImageError, SettingsError
from napari_unetpp.inference._device import free_memory, resolve_device
from napari_unetpp.inference._memory import MemoryModel, MemoryNeed
from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.io import image_range
from napari_unetpp.nn import UNetPlusPlus
from napari_unetpp.tiling import Focus, TileGrid, choose_core, halo_for, wanted_core

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import torch

    from napari_unetpp._types import Box, LazyArray
    from napari_unetpp.arrays import Canonical, Image, IntensityRange
    from napari_unetpp.config import ModelConfig, PredictionConfig
    from napari_unetpp.nn import Model

_CPU_BUDGET = 3 * 2**29  # larger tiles save little, and the viewer needs memory too
_GPU_BUDGET = 8 * 2**30
_STEP = {2: 128, 3: 32}  # chunks of a store are to divide the cores


@dataclass(frozen=True, slots=True)
class Preview:
    """Head 1 alone, which answers quickly: the network down to level 1, its tiles.

    Attributes
    ----------
    predictor : Predictor
        Level 1 on the same device.
    grid : TileGrid
        The same cores with the small halo of level 1.
    """

    predictor: Predictor
    grid: TileGrid


@dataclass(frozen=True, slots=True)
class Plan:
    """A prediction, planned.

    Attributes
    ----------
    whole : Canonical
        The image.
    canonical : Canonical
        The part of it that a view needs; all of it unless a view was asked for.
    start : tuple of int
        First pixel of `canonical` in `whole`, one for each loop and spatial axis.
    kept : Box
        The part of `canonical` that is the result, one interval for each of these axes.
    intensity : IntensityRange
        Of the whole image.
    predictor : Predictor
        The network on its device.
    preview : Preview, optional
        What answers quickly where somebody looks, before the network does.
    grid : TileGrid
        Tiles over `canonical`.
    tiles : sequence of int
        Those to predict.
    focus : Focus
        What is looked at, within `canonical`.
    mask : LazyArray, optional
        Where results are wanted: not 0, over the axes of `whole` or its spatial ones.
    memory : MemoryNeed
        What the run takes at most.
    model, settings : ModelConfig, PredictionConfig
        As asked for.
    """

    whole: Canonical
    canonical: Canonical
    start: tuple[int, ...]
    kept: Box
    intensity: IntensityRange
    predictor: Predictor
    preview: Preview | None
    grid: TileGrid
    tiles: Sequence[int]
    focus: Focus
    mask: LazyArray | None
    memory: MemoryNeed
    model: ModelConfig
    settings: PredictionConfig

    @property
    def origin(self) -> tuple[int, ...]:
        """First pixel of the result in the image, one for each axis of the result."""
        return tuple(
            first + at for first, (at, _) in zip(self.start, self.kept, strict=True)
        )

    def in_result(self, loop: tuple[int, ...], core: Box) -> Box:
        """Return the part of the result that a tile's core covers."""
        box = tuple((at, at + 1) for at in loop) + core
        return tuple(
            (max(start - low, 0), min(stop, high) - low)
            for (start, stop), (low, high) in zip(box, self.kept, strict=True)
        )

    def in_whole(self, loop: tuple[int, ...], box: Box) -> Box:
        """Return a part of `canonical`'s plane `loop` as a part of `whole`."""
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
        The part along the spatial axes that is wanted, in pixels; context is read from
        around it, so that it equals that part of the whole result.
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

    Raises
    ------
    AxesError, ImageError
        If the image does not suit the model, or the mask the image.
    SettingsError
        If level, region or loop do not exist, or the memory is too little.
    DeviceError
        If the device does not.
    """
    config = model.config.network
    whole = make_canonical(
        image, config.spatial_dims, model.config.channels, config.in_channels
    )
    wanted = _wanted(whole, region, loop)
    _check_mask(whole, mask)
    device = resolve_device(settings.device)
    found = intensity or image_range(
        whole, model.config.intensity, settings.nonfinite, skip_bad=settings.skip_bad
    )
    predictor = Predictor(model, device, settings.level, settings.mode)
    alignment = predictor.config.alignment()
    halo = halo_for(model.network.receptive_field(predictor.level), alignment)
    part, start, kept = _view(whole, wanted, halo, alignment)
    need = MemoryModel(
        predictor, part, settings.batch, intensity is None, in_memory, label_bytes
    )
    smallest = TileGrid(part.spatial_shape, alignment, halo, alignment, part.loop_shape)
    grid = _grid(need, smallest, settings, core)
    return Plan(
        whole=whole,
        canonical=part,
        start=start,
        kept=kept,
        intensity=found,
        predictor=predictor,
        preview=_preview(model, predictor, grid) if preview else None,
        grid=grid,
        tiles=_tiles(grid, kept, pending),
        focus=_focus(first, kept, part, preview=preview),
        mask=mask,
        memory=need.need(grid),
        model=model.config,
        settings=settings,
    )


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
        fits = _fits(need, smallest, settings.memory)
        core = choose_core(shape, alignment, fits, _STEP[len(shape)])
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
    budget = math.inf if asked_for else _budget(device)
    total = math.inf if memory is None else memory

    def fits(core: tuple[int, ...]) -> bool:
        grid = replace(smallest, core=core)
        return need.network(grid) <= budget and need.need(grid).total <= total

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


def _preview(model: Model, predictor: Predictor, grid: TileGrid) -> Preview | None:
    """Return the network down to level 1, if that is less than what runs anyway."""
    if predictor.level == 1 or not isinstance(model.network, UNetPlusPlus):
        return None
    halo = halo_for(model.network.receptive_field(1), grid.alignment)
    first = Predictor(model, predictor.device, 1, "fast")
    return Preview(first, replace(grid, halo=halo))


def _focus(
    first: Box | Focus | None, kept: Box, part: Canonical, *, preview: bool
) -> Focus:
    """Return what is looked at: of a view, all of it."""
    if kept != tuple((0, size) for size in part.result_shape):
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


def _check_mask(whole: Canonical, mask: LazyArray | None) -> None:
    """Refuse a mask that does not lie over the image pixel by pixel."""
    if mask is None or tuple(mask.shape) in (whole.result_shape, whole.spatial_shape):
        return
    raise ImageError(
        f"the mask has the shape {tuple(mask.shape)}, but the result of"
        f" {whole.image.name} has {whole.result_shape} (axes {whole.result_axes}); give"
        f" a mask of that shape, or of {whole.spatial_shape} for all of"
        f" {whole.loop_axes or 'it'}"
    )


def _wanted(whole: Canonical, region: Box | None, loop: tuple[int, ...] | None) -> Box:
    """Return what is wanted, one interval for each loop and spatial axis."""
    n = len(whole.loop_axes)
    everything = tuple((0, size) for size in whole.result_shape)
    loops = everything[:n] if loop is None else tuple((at, at + 1) for at in loop)
    box = loops + (everything[n:] if region is None else tuple(region))
    fits = len(box) == len(everything) and all(
        0 <= start < stop <= size
        for (start, stop), (_, size) in zip(box, everything, strict=True)
    )
    if not fits:
        raise SettingsError(
            f"region={region}, loop={loop}: not inside the image, whose axes"
            f" {whole.result_axes} have the sizes {whole.result_shape}; give a start"
            f" and stop for each of {whole.spatial_axes} and an index for each of"
            f" {whole.loop_axes or 'no other axis'}"
        )
    return box


def _view(
    whole: Canonical, wanted: Box, halo: tuple[int, ...], alignment: tuple[int, ...]
) -> tuple[Canonical, tuple[int, ...], Box]:
    """Cut out what `wanted` needs, on the pooling grid of the whole image.

    Returned are the part, its first pixel, and where in it `wanted` lies.
    """
    n = len(whole.loop_axes)
    outer = tuple(
        (max(start // align * align - context, 0), -(-stop // align) * align + context)
        for (start, stop), context, align in zip(
            wanted[n:], halo, alignment, strict=True
        )
    )
    outer = tuple(
        (start, min(stop, size))
        for (start, stop), size in zip(outer, whole.spatial_shape, strict=True)
    )
    index: Any = (*slices(wanted[:n]), slice(None), *slices(outer))
    part = replace(whole, data=whole.data[index])
    starts = tuple(start for start, _ in wanted[:n] + outer)
    kept = tuple(
        (start - first, stop - first)
        for (start, stop), first in zip(wanted, starts, strict=True)
    )
    return part, starts, kept


def _budget(device: torch.device) -> int:
    """Return the memory that a batch of tiles may take, in bytes."""
    limit = _CPU_BUDGET if device.type == "cpu" else _GPU_BUDGET
    return min(limit, free_memory(device) // 2)
