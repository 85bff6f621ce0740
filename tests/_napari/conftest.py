"""Tiles of a live prediction whose classes or objects are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_unetpp._types import slices
from napari_unetpp.inference import PreviewTile

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_unetpp._types import Box


@pytest.fixture(scope="session")
def preview_of() -> Callable[..., PreviewTile]:
    """Make a tile that is sure of the class (index) of every pixel."""

    def make(
        index: np.ndarray,
        region: Box,
        loop: tuple[int, ...] = (),
        box: Box | None = None,
        image: int = 0,
        n_classes: int = 3,
        done: bool = True,
    ) -> PreviewTile:
        box = region if box is None else box
        inside = index[slices(box)]
        mean = (inside == np.arange(n_classes).reshape(-1, *[1] * index.ndim)) * 0.97
        mean = (mean + 0.01).astype(np.float16)
        loops = tuple((at, at + 1) for at in loop)
        unsure = np.full(inside.shape, 0.25, np.float16)
        return PreviewTile(
            "run", image, region, loop, 1, (*loops, *box), mean, unsure, 10, done=done
        )

    return make
