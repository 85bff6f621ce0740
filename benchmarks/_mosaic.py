"""Large images made of real ones: the dsb2018 nuclei side by side, as a zarr array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile
import zarr

from _dsb2018 import read_manifest, split

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 512


def write_mosaic(folder: Path, path: Path, size: int) -> None:
    """Write size x size pixels of held-out fluorescence images of a dsb2018 folder.

    Images are stretched to 8 bits, put beside each other in rows, cut at the rim and
    used again in another order until the mosaic is full.
    """
    manifest = read_manifest(folder)
    kinds = {item["name"]: item["image_type"] for item in manifest["items"]}
    names = [name for name in split(manifest)[1] if kinds[name].startswith("fluo")]
    images = [grey(tifffile.imread(folder / "images" / f"{n}.tif")) for n in names]
    rng = np.random.default_rng(0)
    mosaic = np.zeros((size, size), np.uint8)
    top = 0
    while top < size:
        left, height = 0, size
        while left < size:
            image = images[rng.integers(len(images))]
            height = min(height, image.shape[0])
            part = image[: size - top, : size - left]
            mosaic[top : top + part.shape[0], left : left + part.shape[1]] = part
            left += image.shape[1]
        top += height
    array = zarr.create_array(
        path, shape=mosaic.shape, chunks=(CHUNK, CHUNK), dtype="uint8"
    )
    array[:] = mosaic


def grey(image: np.ndarray) -> np.ndarray:
    """Return an image (Y, X) or (Y, X, C) in grey, its range stretched to 0...255."""
    grey = image[..., :3].mean(-1) if image.ndim == 3 else image
    low, high = np.percentile(grey, (0.1, 99.9))
    return np.clip((grey - low) / max(high - low, 1) * 255, 0, 255).astype(np.uint8)
