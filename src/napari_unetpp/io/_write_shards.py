"""Writing whole shards, or whole chunks, of zarr arrays on the disk.

zarr-python writes any part of an array, for which it takes a shard apart and puts it
together again in a chain of asynchronous steps. A tile that owns its shard needs none
of that: its chunks are compressed one after the other and go to the file, with an
index behind them::

    chunk 0 | chunk 1 | ... | offset, length of chunk 0 | of chunk 1 | ... | CRC-32C

References
----------
"Sharding codec (version 1.0)", Zarr extensions, zarr.dev, 2024.
Castagnoli, Bräuer and Herrmann, IEEE Transactions on Communications 41, 1993 (CRC-32C).
"""

from __future__ import annotations

import functools
import os
import uuid
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs.blosc import Blosc
from numcodecs.zstd import Zstd
from zarr.codecs import BloscCodec, ZstdCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Pixels = npt.NDArray[Any]
    Encode = Callable[[Pixels], bytes]

Index = tuple[int | slice, ...]

PARTIAL = ".partial"
"""At the end of files that are being written; those of a killed writer stay."""

_NO_CHUNK = 2**64 - 1
_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_CASTAGNOLI = 0x82F63B78


class WholeChunks:
    """A zarr array that is read as it is and written in whole chunks or shards.

    Parameters
    ----------
    array : zarr.Array
        On the disk, with 0 where nothing was written.
    """

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(self._array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of the pixels."""
        found: np.dtype[Any] = self._array.dtype
        return found

    def __getitem__(self, key: Any) -> Any:
        """Return pixels."""
        return self._array[key]

    def __setitem__(self, key: Index, value: Pixels) -> None:
        """Write pixels; see `write_shards`."""
        write_shards(self._array, key, value)


def write_shards(array: Any, index: Index, pixels: Pixels) -> None:
    """Write pixels that fill shards, or chunks, of an array on the disk up to its end.

    Those of zeros are deleted, so that they take no room.

    Parameters
    ----------
    array : zarr.Array
        With 0 where nothing was written.
    index : tuple of int and slice
        Where: whole shards, or whole chunks of an array without, cut at its end.
    pixels : ndarray
        What, of the dtype of the array or one that is cast to it.

    Raises
    ------
    OSError
        If the disk is full or cannot be written.
    """
    spans = _spans(array, index)
    if not pixels.any():
        edges = array.shards or array.chunks
        for place in product(*map(_places, spans, edges)):
            _file(array, place).unlink(missing_ok=True)
        return
    encode = _encoder(array)
    if encode is None:  # as another version of zarr may have it
        array[index] = pixels
        return
    shape = [stop - start for start, stop in spans]
    pixels = np.asarray(pixels, array.dtype).reshape(shape)
    edges = array.shards or array.chunks
    for place in product(*map(_places, spans, edges)):
        part = pixels[_part(place, edges, spans)]
        content = _content(array, part, encode)
        _write(_file(array, place), content)


def _spans(array: Any, index: Index) -> list[tuple[int, int]]:
    """Return where an index begins and ends along each axis of an array."""
    full = (*index, *(slice(None),) * (array.ndim - len(index)))
    return [
        (at if isinstance(at, slice) else slice(at, at + 1)).indices(size)[:2]
        for at, size in zip(full, array.shape, strict=True)
    ]


def _places(span: tuple[int, int], edge: int) -> range:
    """Return the shards that an interval covers."""
    return range(span[0] // edge, -(-span[1] // edge))


def _part(
    place: Sequence[int], edges: Sequence[int], spans: Sequence[tuple[int, int]]
) -> tuple[slice, ...]:
    """Return where a shard lies in pixels that cover `spans`."""
    return tuple(
        slice(max(at * edge - start, 0), (at + 1) * edge - start)
        for at, edge, (start, _) in zip(place, edges, spans, strict=True)
    )


def _content(array: Any, pixels: Pixels, encode: Encode) -> list[bytes]:
    """Return a file piece by piece; none if all pixels are 0."""
    if array.shards is None:
        return [encode(_whole(pixels, array.chunks))] if pixels.any() else []
    chunks, offset, entries = [], 0, []
    for box in _boxes(array.shards, array.chunks):
        part = pixels[box]
        if not part.any():
            entries += [_NO_CHUNK, _NO_CHUNK]
            continue
        chunks.append(encode(_whole(part, array.chunks)))
        entries += [offset, len(chunks[-1])]
        offset += len(chunks[-1])
    index = np.array(entries, "<u8").tobytes()
    return [*chunks, index, crc32c(index).to_bytes(4, "little")] if chunks else []


def _boxes(shard: Sequence[int], chunk: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield where the chunks of a shard lie in it, the last axis fastest."""
    counts = [size // edge for size, edge in zip(shard, chunk, strict=True)]
    for at in np.ndindex(*counts):
        yield tuple(
            slice(k * edge, (k + 1) * edge) for k, edge in zip(at, chunk, strict=True)
        )


def _whole(pixels: Pixels, chunk: Sequence[int]) -> Pixels:
    """Return a chunk that is cut at the array's end as it is stored: with zeros."""
    little = pixels.dtype.newbyteorder("<")
    if pixels.shape == tuple(chunk):
        return np.ascontiguousarray(pixels, little)
    whole = np.zeros(chunk, little)
    whole[tuple(slice(n) for n in pixels.shape)] = pixels
    return whole


def _encoder(array: Any) -> Encode | None:
    """Return what compresses a chunk of an array; ``None`` if that is not known."""
    if array.metadata.zarr_format != 3 or len(array.compressors) != 1:
        return None
    if array.filters or array.order != "C":
        return None
    (codec,) = array.compressors
    found: Encode | None = None
    if isinstance(codec, ZstdCodec):
        found = Zstd(level=codec.level, checksum=codec.checksum).encode
    elif isinstance(codec, BloscCodec):
        how = (codec.clevel, _SHUFFLES[codec.shuffle.value], codec.blocksize)
        found = Blosc(codec.cname.value, *how).encode
    return found


def _file(array: Any, place: Sequence[int]) -> Path:
    """Return the file of a shard, or of a chunk of an array without."""
    key: str = array.metadata.encode_chunk_key(tuple(place))
    return Path(array.store.root, array.path, key)


def _write(file: Path, content: Sequence[bytes]) -> None:
    """Write a file, so that it is there only once it is complete."""
    if not content:
        file.unlink(missing_ok=True)
        return
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as opened:
            opened.writelines(content)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes."""
    table, found = _crc_table(), 0xFFFFFFFF
    for byte in data:
        found = table[(found ^ byte) & 0xFF] ^ (found >> 8)
    return found ^ 0xFFFFFFFF


@functools.cache
def _crc_table() -> tuple[int, ...]:
    """Return the remainder of each byte."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_CASTAGNOLI if value & 1 else 0)
        table.append(value)
    return tuple(table)
