"""Head 1 alone, which answers quickly where somebody looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_unetpp.inference._predictor import Predictor
from napari_unetpp.nn import UNetPlusPlus
from napari_unetpp.tiling import halo_for

if TYPE_CHECKING:
    from napari_unetpp.nn import Model
    from napari_unetpp.tiling import TileGrid


@dataclass(frozen=True, slots=True)
class Preview:
    """The network down to level 1, and its tiles.

    Attributes
    ----------
    predictor : Predictor
        Level 1 on the same device.
    grid : TileGrid
        The same cores with the small halo of level 1.
    """

    predictor: Predictor
    grid: TileGrid


def first_look(model: Model, predictor: Predictor, grid: TileGrid) -> Preview | None:
    """Return the network down to level 1, if that is less than what runs anyway.

    Parameters
    ----------
    model : Model
        The model.
    predictor : Predictor
        What runs anyway.
    grid : TileGrid
        Its tiles.
    """
    if predictor.level == 1 or not isinstance(model.network, UNetPlusPlus):
        return None
    halo = halo_for(model.network.receptive_field(1), grid.alignment)
    first = Predictor(model, predictor.device, 1, "fast", precision=predictor.precision)
    return Preview(first, replace(grid, halo=halo))
