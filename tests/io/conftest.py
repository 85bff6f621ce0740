"""Small image files of known content, written by other hands than ours."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def stack() -> np.ndarray:
    """A (5, 40, 52) uint16 stack, every pixel different from its neighbours."""
    return np.random.default_rng(1).integers(0, 60_000, (5, 40, 52)).astype(np.uint16)


@pytest.fixture
def colour() -> np.ndarray:
    """A (40, 52, 3) uint8 colour image."""
    return np.random.default_rng(2).integers(0, 255, (40, 52, 3)).astype(np.uint8)
