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
from napari_unetpp.tiling._strips import (
    StripQueue,
    below,
    choose_strip,
    stretches,
)

__all__ = [
    "Focus",
    "StripQueue",
    "Tile",
    "TileGrid",
    "TileQueue",
    "below",
    "choose_core",
    "choose_strip",
    "halo_for",
    "round_up",
    "stretches",
    "wanted_core",
]
