"""Everything that is decided before the first tile is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_unetpp._types import slices
from napari_unetpp.arrays import canonical as make_canonical
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference._device import free_memory, resolve_device
from napari_unetpp.inference._predictor import Predictor, bytes_per_pixel
from napari_unetpp.io import image_range
from napari_unetpp.tiling import TileGrid, choose_core, halo_for, order

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Canonical, Image, IntensityRange
    from napari_unetpp.config import ModelConfig, PredictionConfig
    from napari_unetpp.nn import Model

_CPU_BUDGET = 3 * 2**29  # larger tiles save little, and the viewer needs memory too
_GPU_BUDGET = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Plan:
    """A prediction, planned.

    Attributes
    ----------
    canonical : Canonical
        What is read: the image, or the part of it that a view needs.
    kept : Box
        The part of `canonical` that is the result, one interval for each of the loop
        and spatial axes; all of it unless a view was asked for.
    origin : tuple of int
        First pixel of the result in the image, one for each of these axes.
    intensity : IntensityRange
        Of the whole image.
    predictor : Predictor
        The network on its device.
    grid : TileGrid
        Tiles over `canonical`.
    tiles : sequence of int
        Those to predict.
    model, settings : ModelConfig, PredictionConfig
        As asked for.
    """

    canonical: Canonical
    kept: Box
    origin: tuple[int, ...]
    intensity: IntensityRange
    predictor: Predictor
    grid: TileGrid
    tiles: Sequence[int]
    model: ModelConfig
    settings: PredictionConfig

    def in_result(self, loop: tuple[int, ...], core: Box) -> Box:
        """Return the part of the result that a tile's core covers."""
        box = tuple((at, at + 1) for at in loop) + core
        return tuple(
            (max(start - low, 0), min(stop, high) - low)
            for (start, stop), (low, high) in zip(box, self.kept, strict=True)
        )


def make_plan(
    image: Image,
    model: Model,
    settings: PredictionConfig,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
    first: Box | None = None,
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
    first : Box, optional
        What is looked at, one interval for each of the loop and spatial axes: tiles
        are predicted from there outwards. It does not change the result.

    Raises
    ------
    AxesError, ImageError
        If the image does not suit the model.
    SettingsError
        If level, region or loop do not exist.
    DeviceError
        If the device does not.
    """
    config = model.config.network
    whole = make_canonical(
        image, config.spatial_dims, model.config.channels, config.in_channels
    )
    wanted = _wanted(whole, region, loop)
    device = resolve_device(settings.device)
    intensity = image_range(whole, model.config.intensity, settings.nonfinite)
    predictor = Predictor(model, device, settings.level, settings.mode)
    alignment = predictor.config.alignment()
    halo = halo_for(model.network.receptive_field(predictor.level), alignment)
    part, kept, origin = _view(whole, wanted, halo, alignment)
    core = choose_core(
        part.spatial_shape,
        halo,
        alignment,
        bytes_per_pixel(predictor.config) * settings.batch,
        _budget(device),
        settings.tile,
    )
    grid = TileGrid(part.spatial_shape, core, halo, alignment, part.loop_shape)
    return Plan(
        canonical=part,
        kept=kept,
        origin=origin,
        intensity=intensity,
        predictor=predictor,
        grid=grid,
        tiles=_tiles(grid, kept, first),
        model=model.config,
        settings=settings,
    )


def _tiles(grid: TileGrid, kept: Box, first: Box | None) -> Sequence[int]:
    """Return the tiles that hold what is kept, those looked at first."""
    n = len(grid.loop_shape)
    if kept != tuple((0, size) for size in grid.loop_shape + grid.shape):
        return [tile.index for tile in grid.tiles_meeting(kept[n:])]
    if first is None:
        return range(len(grid))
    return list(order(grid, first[n:], tuple(start for start, _ in first[:n])))


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
) -> tuple[Canonical, Box, tuple[int, ...]]:
    """Cut out what `wanted` needs, on the pooling grid of the whole image."""
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
    return part, kept, tuple(start for start, _ in wanted)


def _budget(device: torch.device) -> int:
    """Return the memory that a batch of tiles may take, in bytes."""
    limit = _CPU_BUDGET if device.type == "cpu" else _GPU_BUDGET
    return min(limit, free_memory(device) // 2)
