"""Lazy arrays are read here, and nowhere else."""

from __future__ import annotations

import dask.array as da
import numpy as np

from napari_unetpp.inference._lazy import read


def test_dask_does_not_look_for_a_cluster(monkeypatch):
    def loaded():
        raise AssertionError("dask.distributed was looked for")

    monkeypatch.setattr("dask.base._distributed_available", loaded)
    pixels = np.arange(60).reshape(6, 10)
    lazy = da.from_array(pixels, (4, 5)) + 1
    found = read(lazy, (slice(1, 5), slice(2, 9)))
    np.testing.assert_array_equal(found, pixels[1:5, 2:9] + 1)
    assert read(pixels, (0,)) is not None
