"""Geometry of tiles: integers only, no library that reads or computes pixels."""

from napari_unetpp.tiling._grid import (
    Tile,
    TileGrid,
    choose_core,
    halo_for,
    round_up,
    wanted_core,
)
from napari_unetpp.tiling._order import Focus
from napari_unetpp.tiling._queue import TileQueue

__all__ = [
    "Focus",
    "Tile",
    "TileGrid",
    "TileQueue",
    "choose_core",
    "halo_for",
    "round_up",
    "wanted_core",
]
