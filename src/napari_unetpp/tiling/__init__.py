"""Geometry of tiles: integers only, no library that reads or computes pixels."""

from napari_unetpp.tiling._grid import (
    Tile,
    TileGrid,
    choose_core,
    halo_for,
    round_up,
)
from napari_unetpp.tiling._order import order

__all__ = ["Tile", "TileGrid", "choose_core", "halo_for", "order", "round_up"]
