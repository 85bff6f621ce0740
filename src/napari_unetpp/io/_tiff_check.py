"""Telling a TIFF file that can be read to its end from one that cannot.

Of a truncated file tifffile makes what it can, which may be fewer planes or zeros; a
scientist must hear of it instead.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import tifffile

from napari_unetpp.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 16: 8}
_NEEDED = {258, 270, 273, 279, 324, 325}
"""Tags without which pixels or axes are lost: bits, description, offsets, sizes."""


def check_codec(page: Any, path: Path) -> None:
    """Refuse a compression for which the decoder is not installed."""
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
        tifffile.TIFF.UNPREDICTORS[page.predictor]
    except KeyError as error:
        raise ImageError(
            f"{path} is compressed in a way that needs another package"
            f" ({error.args[0]}); run: pip install imagecodecs"
        ) from error


def check_complete(series: Any, path: Path) -> None:
    """Refuse a file that ends before its pixels do, or that lacks pages."""
    pages = list(series.pages)
    if None in pages:
        raise ImageError(
            f"{path}: {pages.count(None)} of {len(pages)} pages are missing; copy it"
            " again, together with all files that belong to it"
        )
    size = path.stat().st_size
    end = max(_pixel_end(series, pages), _directory_end(path, size))
    if end > size:
        raise ImageError(
            f"{path} is truncated: it should reach to byte {end} but ends at byte"
            f" {size}; copy or export it again"
        )


def _pixel_end(series: Any, pages: list[Any]) -> int:
    """Return the byte at which the last pixels end."""
    ends = [
        offset + count
        for page in (pages[0], pages[-1])
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
    ]
    if series.dataoffset is not None:
        ends.append(series.dataoffset + series.nbytes)
    return max(ends, default=0)


def _directory_end(path: Path, size: int) -> int:
    """Return the byte at which the last directory, or what it points to, ends.

    The chain of directories (IFD, one for each page) is followed as TIFF 6.0 and
    BigTIFF have it, until it ends or leaves the file of `size` bytes.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack(order + "H", head[2:4])[0] == 43
        count, entry, offset = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
        formats = tuple(struct.Struct(order + f) for f in (count, entry, offset))
        at = formats[2].unpack_from(head, 8 if big else 4)[0]
        end, seen = 0, set[int]()
        while at and at not in seen:
            seen.add(at)
            end = max(end, at + formats[0].size)
            if end > size:
                break
            *ends, at = _directory(file, at, *formats)
            end = max(end, *ends, at)
    return end


def _directory(
    file: BinaryIO,
    at: int,
    count: struct.Struct,
    entry: struct.Struct,
    offset: struct.Struct,
) -> Iterator[int]:
    """Yield where the directory at byte `at` and its values end, and the next one."""
    file.seek(at)
    n = count.unpack(file.read(count.size))[0]
    content = file.read(n * entry.size + offset.size)
    stop = n * entry.size
    yield at + count.size + stop + offset.size
    if len(content) < stop + offset.size:
        yield 0
        return
    for tag, kind, length, value in entry.iter_unpack(content[:stop]):
        n_bytes = _TYPE_BYTES.get(kind, 0) * length
        if tag in _NEEDED and n_bytes > offset.size:
            yield offset.unpack(value)[0] + n_bytes
    yield offset.unpack_from(content, stop)[0]
