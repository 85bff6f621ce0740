"""The one door for images: from a path, an array or a layer to an `Image`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import imageio.v3 as iio
import numpy as np
import zarr
from PIL.Image import DecompressionBombError

from napari_unetpp.arrays import (
    PIXEL,
    Image,
    guess_axes,
    looks_rgb,
    parse_axes,
    select_channel,
    with_axes,
)
from napari_unetpp.errors import ImageError, LabelsError
from napari_unetpp.io._ome_zarr import read_zarr, zarr_image
from napari_unetpp.io._source import ArraySource, lazy
from napari_unetpp.io._tiff import read_tiff
from napari_unetpp.io._units import unit_name

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = "TIFF (ImageJ and OME too), zarr, OME-Zarr, PNG, JPEG and npy"
"""What can be read, for messages."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURE = (b"\x89PNG", b"\xff\xd8\xff")
_NPY = (b"\x93NUM",)


def read_image(
    path: str | os.PathLike[str],
    axes: str | None = None,
    channel: int | None = None,
) -> Image:
    """Open an image file lazily: nothing but its metadata is read.

    Parameters
    ----------
    path : str or path
        A TIFF, ImageJ TIFF, OME-TIFF, PNG, JPEG or npy file, a zarr array or an
        OME-Zarr 0.4 or 0.5 folder (first image, finest level). What a file is, is
        told by its content.
    axes : str, optional
        What the axes are, for example ``"ZCYX"``, where the file does not say so or is
        wrong.
    channel : int, optional
        The one channel to take, counted from 0.

    Returns
    -------
    Image
        Of a dask array, with axes, scale and units; alpha is dropped.

    Raises
    ------
    ImageError
        If there is no such file, or it is damaged, empty or not an image.
    AxesError
        If `axes` or `channel` do not fit the image.
    """
    path = Path(path)
    return _finished(_open(path, axes), axes, channel)


def as_image(
    source: object, axes: str | None = None, channel: int | None = None
) -> Image:
    """Return any source of pixels as an `Image`, lazily.

    Parameters
    ----------
    source : path, array, layer or Image
        A path as in `read_image`; a NumPy, dask or zarr array; or a napari layer, whose
        scale, units, translation and axis labels are taken over.
    axes, channel
        As in `read_image`.

    Raises
    ------
    ImageError
        If `source` is none of these, or holds no usable pixels.
    AxesError
        If `axes` or `channel` do not fit the image.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_image(source, axes, channel)
    if isinstance(source, Image):
        image = source
    elif hasattr(source, "multiscale") and hasattr(source, "scale"):
        image = _from_layer(source)
    elif isinstance(source, zarr.Array) and not axes:
        image = zarr_image(source, source.basename or "image")
    elif all(hasattr(source, name) for name in ("shape", "dtype", "ndim")):
        image = _from_array(source, axes, "image")
    else:
        raise ImageError(
            f"a {type(source).__name__} is not an image; give a path, a NumPy, dask or"
            " zarr array, or a napari image layer"
        )
    return _finished(image, axes, channel)


def read_labels(source: object, axes: str | None = None) -> Image:
    """Return labels, from whatever `as_image` takes, as whole numbers.

    Raises
    ------
    LabelsError
        If the pixels are colours or fractions.
    ImageError, AxesError
        As `as_image` does.
    """
    image = as_image(source, axes)
    if image.rgb:
        raise LabelsError(
            f"{image.name} is a colour image of shape {image.shape}; labels have one"
            " whole number for each pixel: save them as a grey image"
        )
    if image.data.dtype.kind not in "iu":
        raise LabelsError(
            f"{image.name} has dtype {image.data.dtype}; labels are whole numbers, save"
            " them as uint8, uint16 or uint32"
        )
    return image


def stem(path: str | os.PathLike[str]) -> str:
    """Return the name of an image file without its endings (``.ome.tif``, ...)."""
    name = Path(path).name
    known = (".ome.tiff", ".ome.tif", ".ome.zarr", ".tiff", ".tif", ".zarr")
    for ending in known:
        if name.lower().endswith(ending):
            return name[: -len(ending)] or name
    return Path(path).stem


def _open(path: Path, axes: str | None) -> Image:
    """Return the image in a file or folder as it is."""
    if not path.exists():
        raise ImageError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        return read_zarr(path, stem(path))
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ImageError(
            f"{path} cannot be opened ({error.strerror}); check that you may read it"
        ) from error
    if start in _TIFF:
        return read_tiff(path, stem(path))
    reader: Callable[[Path], Any] | None = None
    if start.startswith(_PICTURE):
        reader = _read_picture
    elif start.startswith(_NPY):
        reader = _read_npy
    if reader is None:
        what = "is empty (0 bytes)" if not start else "is not an image that can be read"
        raise ImageError(f"{path} {what}; give {KINDS}")
    try:
        pixels = reader(path)
    except (OSError, SyntaxError, ValueError, DecompressionBombError) as error:
        raise ImageError(
            f"{path} is damaged, incomplete or too large for its kind ({error}); copy"
            " it again, or save it as TIFF"
        ) from error
    return _from_array(pixels, axes, stem(path), rgb=start.startswith(_PICTURE))


def _read_picture(path: Path) -> Any:
    """Return the pixels of a PNG or JPEG, grey (Y, X) or colour (Y, X, C)."""
    pixels = iio.imread(path, index=0)
    if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
        pixels = pixels[..., :-1]  # without alpha
    return pixels[..., 0] if pixels.shape[2:] == (1,) else pixels


def _read_npy(path: Path) -> Any:
    """Return a memory map of a npy file; it cannot run code."""
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _from_array(data: Any, axes: str | None, name: str, rgb: bool = False) -> Image:
    """Return a bare array as an image, its axes guessed if they are not given."""
    shape = tuple(data.shape)
    rgb = len(shape) > 2 and (rgb or looks_rgb(shape, data.dtype))
    if axes:
        letters = parse_axes(axes, shape)
        rgb = rgb and letters.endswith("C")
    else:
        letters = guess_axes(shape, rgb)
    _check_dtype(data.dtype, name)
    return Image(
        _dask(data, letters, name),
        letters,
        scale=(1.0,) * len(shape),
        units=(PIXEL,) * len(shape),
        name=name,
        rgb=rgb,
        axes_guessed=not axes and len(shape) > 2,
    )


def _from_layer(layer: Any) -> Image:
    """Return the finest data of a napari layer with its place in the world."""
    if hasattr(layer, "as_layer_data_tuple"):
        _, _, kind = layer.as_layer_data_tuple()
        if kind not in ("image", "labels"):
            raise ImageError(
                f"the {kind} layer {layer.name!r} is not an image; choose an image or a"
                " labels layer"
            )
    data = layer.data[0] if layer.multiscale else layer.data
    rgb = bool(getattr(layer, "rgb", False))
    labels = tuple(str(label).upper() for label in getattr(layer, "axis_labels", ()))
    axes = "".join(labels)
    told = len(labels) == len(axes) == len(set(axes)) and {"Y", "X"} <= set(axes)
    axes = axes + "C" * rgb if told else guess_axes(tuple(data.shape), rgb)
    units = tuple(unit_name(unit) for unit in getattr(layer, "units", ()))
    ndim = data.ndim - rgb
    _check_dtype(data.dtype, layer.name)
    return Image(
        _dask(data, axes, layer.name),
        axes,
        scale=(*map(float, layer.scale), *(1.0,) * rgb),
        units=(*(units or (PIXEL,) * ndim), *(PIXEL,) * rgb),
        name=layer.name,
        rgb=rgb,
        axes_guessed=not told,
        translate=(*map(float, layer.translate), *(0.0,) * rgb),
    )


def _dask(data: Any, axes: str, name: str) -> Any:
    """Return a lazy array over `data`."""
    if 0 in data.shape or isinstance(data, da.Array):
        return data
    return lazy(ArraySource(data, name), axes)


def _check_dtype(dtype: Any, name: str) -> None:
    """Refuse pixels that are not real numbers."""
    if np.dtype(dtype).kind not in "biuf":
        raise ImageError(
            f"{name} has dtype {dtype}; pixels must be whole or real numbers: take the"
            " magnitude of complex ones"
        )


def _finished(image: Image, axes: str | None, channel: int | None) -> Image:
    """Return `image` as the rest of the program can rely on it.

    Axes as the user says, native byte order, bool as 0 and 1, colours without alpha.
    """
    if axes:
        image = with_axes(image, axes)
    _check_dtype(image.data.dtype, image.name)
    data: Any = image.data
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if image.rgb and image.n_channels > 3:
        at = image.axes.index("C")
        data = data[(slice(None),) * at + (slice(3),)]
    if data is not image.data:
        image = replace(image, data=data)
    return image if channel is None else select_channel(image, channel)
