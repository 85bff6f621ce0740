"""Letting the viewer go first while a run computes in another thread."""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NICENESS = 10


@contextmanager
def behind_the_viewer(spare_cores: int) -> Iterator[None]:
    """Make the calling thread, and those that it starts, yield to the viewer.

    Torch leaves cores free; on Linux, where a thread has a priority of its own, it is
    lowered (for good: only the system's owner may raise it again, and threads of the
    pool do background work only). What exists already is kept from Python's garbage
    collector until the end: with torch loaded, to look through all of it takes a
    quarter of a second, in which no thread of Python moves.

    Parameters
    ----------
    spare_cores : int
        Processor cores that torch leaves free; it always uses one.
    """
    import torch

    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, (os.cpu_count() or 1) - spare_cores)))
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        torch.set_num_threads(before)


def load_what_napari_needs() -> None:
    """Load what the first labels layer would load in the GUI thread, half a second."""
    import_module("pandas")
    from napari.utils.colormaps import label_colormap

    label_colormap(2)
