"""Reading TIFF, ImageJ TIFF and OME-TIFF lazily, with axes and scale."""

from __future__ import annotations

import math
import struct
import weakref
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile
import zarr

from napari_unetpp.arrays import PIXEL, Image, guess_axes
from napari_unetpp.errors import ImageError
from napari_unetpp.io._source import ArraySource, lazy
from napari_unetpp.io._tiff_check import check_codec, check_complete
from napari_unetpp.io._units import unit_name

if TYPE_CHECKING:
    from pathlib import Path

Spacing = dict[str, tuple[float, str]]
"""Size of a pixel and its unit, for the axes of which it is known."""

_RGB, _YCBCR = 2, 6  # values of PhotometricInterpretation
_DAMAGE = (
    tifffile.TiffFileError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    struct.error,
    ElementTree.ParseError,
)


class TiffSource(ArraySource):
    """The first image of a TIFF file at full resolution.

    Pixels that lie in one piece are memory-mapped; others are decoded strip by strip or
    tile by tile. The file is closed with the object, and opened anew where the object
    is unpickled.
    """

    def __init__(self, path: Path) -> None:
        self.tif = tifffile.TiffFile(path)
        weakref.finalize(self, self.tif.close)
        self.series = self.tif.series[0]
        self._path = path
        check_codec(self.series.keyframe, path)
        check_complete(self.series, path)
        super().__init__(self._open(), str(path))

    def _open(self) -> Any:
        series = self.series
        if 0 in series.shape:
            return np.zeros(series.shape, series.dtype)
        if series.dataoffset is None or not series.keyframe.is_memmappable:
            return zarr.open_array(series.aszarr(level=0), mode="r")
        dtype = series.dtype.newbyteorder(self.tif.byteorder)
        return np.memmap(self._path, dtype, "r", series.dataoffset, series.shape)

    def __reduce__(self) -> tuple[type[TiffSource], tuple[Path]]:
        return TiffSource, (self._path,)


def read_tiff(path: Path, name: str) -> Image:
    """Return the first image of a TIFF file, nothing of it read yet.

    Raises
    ------
    ImageError
        If the file is damaged, incomplete or compressed in a way that is not known.
    """
    try:
        source = TiffSource(path)
        spacing = _spacing(source.tif)
    except ImageError:
        raise
    except _DAMAGE as error:
        raise ImageError(
            f"{path} is a damaged or incomplete TIFF file ({error}); copy or export it"
            " again"
        ) from error
    axes, rgb, guessed = _axes(source)
    known = [spacing.get(letter, (1.0, PIXEL)) for letter in axes]
    return Image(
        lazy(source, axes),
        axes,
        scale=tuple(size for size, _ in known),
        units=tuple(unit for _, unit in known),
        name=name,
        rgb=rgb,
        axes_guessed=guessed,
    )


def _axes(source: TiffSource) -> tuple[str, bool, bool]:
    """Return the axes of a TIFF, whether they are RGB, and whether they are guessed.

    Samples (S) are channels. Letters that tell nothing (Q, I) are guessed if there is
    no other, else they stay as axes to loop over.
    """
    letters, page = source.series.axes, source.series.keyframe
    n_samples = source.shape[letters.index("S")] if "S" in letters else 1
    rgb = page.photometric in (_RGB, _YCBCR) and n_samples in (3, 4)
    told = set(letters) - set("QIYXS") or not set(letters) - set("YXS")
    if told or letters.find("S") not in (-1, len(letters) - 1):
        return _unique(letters), rgb, False
    return guess_axes(source.shape, "S" in letters), rgb, True


def _unique(letters: str) -> str:
    """Return the axes with S as channels and every letter only once."""
    if "C" not in letters:
        letters = letters.replace("S", "C")
    axes = ""
    for letter in letters:
        spare = (a for a in ascii_uppercase[::-1] if a not in letters + axes + "TZCYX")
        axes += letter if letter not in axes else next(spare)
    return axes


def _spacing(tif: Any) -> Spacing:
    """Return the size of a pixel as far as the file tells it.

    The resolution of a plain TIFF is a matter of printing and is not taken.
    """
    if tif.is_ome:
        found = _ome_spacing(tif.ome_metadata)
    elif tif.is_imagej:
        found = _imagej_spacing(tif.imagej_metadata or {}, tif.pages[0])
    else:
        found = {}
    return {
        axis: (size, unit)
        for axis, (size, unit) in found.items()
        if unit != PIXEL and math.isfinite(size) and size > 0
    }


def _ome_spacing(xml: str) -> Spacing:
    """Return the spacing of the first image in OME-XML."""
    root = ElementTree.fromstring(xml)
    pixels = next((e for e in root.iter() if e.tag.endswith("}Pixels")), None)
    if pixels is None:
        return {}
    names = {axis: (f"PhysicalSize{axis}", "µm") for axis in "XYZ"}
    names["T"] = ("TimeIncrement", "s")
    return {
        axis: (float(pixels.get(name, 0)), unit_name(pixels.get(f"{name}Unit", unit)))
        for axis, (name, unit) in names.items()
    }


def _imagej_spacing(metadata: dict[str, Any], page: Any) -> Spacing:
    """Return the spacing that ImageJ keeps in its description and in tags."""
    unit = unit_name(metadata.get("unit", PIXEL))
    found = {
        "Z": (float(metadata.get("spacing", 0)), unit),
        "T": (float(metadata.get("finterval", 0)), "second"),
    }
    for axis, tag in (("X", "XResolution"), ("Y", "YResolution")):
        if tag in page.tags:
            pixels, units = page.tags[tag].value
            found[axis] = (units / pixels if pixels else 0.0, unit)
    return found
