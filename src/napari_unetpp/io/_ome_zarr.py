"""Reading zarr arrays and OME-Zarr 0.4 and 0.5 images lazily, with axes and scale."""

from __future__ import annotations

import math
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import zarr

from napari_unetpp.arrays import PIXEL, Image, guess_axes, looks_rgb
from napari_unetpp.errors import ImageError
from napari_unetpp.io._source import ArraySource, lazy
from napari_unetpp.io._units import unit_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Json = Mapping[str, Any]

_AXES_BEFORE_0_4 = "TCZYX"
_TYPES = {"time": "T", "channel": "C"}


def read_zarr(path: Path, name: str) -> Image:
    """Return the image in a zarr folder, nothing of it read yet.

    Raises
    ------
    ImageError
        If the folder is no zarr, or a group without an image.
    """
    try:
        node = zarr.open(path, mode="r")
        image = (
            zarr_image(node, name)
            if isinstance(node, zarr.Array)
            else _group_image(node, path, name)
        )
    except ImageError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ImageError(
            f"{path} is a folder but no zarr array or group that can be read"
            f" ({error}); give an image file, or an OME-Zarr folder"
        ) from error
    return image


def zarr_image(array: Any, name: str) -> Image:
    """Return a plain zarr array as an image; its dimension names are taken as axes."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    axes = "".join(str(n).upper() for n in names)
    known = len(axes) == len(set(axes)) == array.ndim and {"Y", "X"} <= set(axes)
    rgb = False
    if not known:
        rgb = looks_rgb(array.shape, array.dtype)
        axes = guess_axes(array.shape, rgb)
    ones, pixels = (1.0,) * array.ndim, (PIXEL,) * array.ndim
    data = lazy(ArraySource(array, name), axes)
    return Image(data, axes, ones, pixels, name, rgb, axes_guessed=not known)


def _group_image(group: Any, path: Path, name: str) -> Image:
    """Return the image of an OME-Zarr group at full resolution."""
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    if "multiscales" in ome:
        return _multiscale_image(group, ome["multiscales"][0], path, name)
    if "bioformats2raw.layout" in ome:  # the images are groups named 0, 1, ...
        return _group_image(group["0"], path / "0", name)
    inside = sorted(group.keys())
    if len(inside) == 1 and isinstance(group[inside[0]], zarr.Array):
        return zarr_image(group[inside[0]], name)
    raise ImageError(
        f"{path} is a zarr group without an OME-Zarr image; give one of what it holds:"
        f" {', '.join(str(path / key) for key in inside[:8]) or 'nothing'}"
    )


def _multiscale_image(group: Any, multiscale: Json, path: Path, name: str) -> Image:
    """Return the finest level of one entry of ``multiscales``."""
    dataset = multiscale["datasets"][0]
    array = group[dataset["path"]]
    axes, units = _axes(multiscale.get("axes"), array.ndim)
    if len(axes) != array.ndim:
        raise ImageError(
            f"{path}: its metadata name the axes {axes} but its array has shape"
            f" {array.shape}; correct the metadata, or give the array itself:"
            f" {path / dataset['path']}"
        )
    scale, translate = _placement(multiscale, dataset, array.ndim)
    return Image(
        lazy(ArraySource(array, str(path)), axes),
        axes,
        scale,
        units,
        name,
        translate=translate if any(translate) else None,
    )


def _axes(
    listed: Sequence[Json | str] | None, ndim: int
) -> tuple[str, tuple[str, ...]]:
    """Return axes and units as OME-Zarr lists them (before 0.4: names, or nothing)."""
    if listed is None:
        return _AXES_BEFORE_0_4[-ndim:], (PIXEL,) * ndim
    axes, units = "", []
    for entry in listed:
        axis = {"name": entry} if isinstance(entry, str) else entry
        letter = _TYPES.get(axis.get("type", ""), str(axis["name"])[:1].upper())
        spare = (a for a in ascii_uppercase[::-1] if a not in axes + "TCZYX")
        axes += letter if letter not in axes else next(spare)
        units.append(unit_name(axis.get("unit", PIXEL)))
    return axes, tuple(units)


def _placement(
    multiscale: Json, dataset: Json, ndim: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and translate: those of the level, then those of the whole."""
    scale, translate = (1.0,) * ndim, (0.0,) * ndim
    for owner in (dataset, multiscale):
        for step in owner.get("coordinateTransformations", ()):
            if step.get("type") == "scale" and len(step["scale"]) == ndim:
                by = [s if math.isfinite(s) and s > 0 else 1.0 for s in step["scale"]]
                scale = tuple(s * b for s, b in zip(scale, by, strict=True))
                translate = tuple(t * b for t, b in zip(translate, by, strict=True))
            elif step.get("type") == "translation":
                by = step["translation"]
                translate = tuple(t + b for t, b in zip(translate, by, strict=True))
    return scale, translate
