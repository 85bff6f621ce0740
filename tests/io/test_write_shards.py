"""Shards are written as zarr-python reads them."""

from __future__ import annotations

import warnings

import google_crc32c
import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from napari_unetpp.io._write_shards import WholeChunks, crc32c, write_shards

CODECS = {
    "zstd": ZstdCodec(level=1),
    "blosc": BloscCodec(cname="zstd", clevel=1),
    "lz4": BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"),
    "gzip": GzipCodec(level=1),  # not ours: zarr writes it
}
CASES = {
    "2-D": ((70, 90), (32, 64), (16, 16)),
    "one shard": ((20, 30), (32, 48), (16, 16)),
    "planes": ((3, 50, 70), (1, 32, 32), (1, 16, 32)),
    "channels": ((2, 3, 50, 70), (2, 1, 64, 64), (1, 1, 32, 32)),
}


def pixels_of(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 200, shape).astype(dtype)
    found[..., : shape[-1] // 3] = 0  # chunks and shards of nothing
    return found


def made(folder, case, codec, dtype, *, sharded=True):
    shape, shards, chunks = CASES[case]
    return zarr.create_array(
        folder / "a.zarr",
        shape=shape,
        shards=shards if sharded else None,
        chunks=chunks if sharded else shards,
        dtype=dtype,
        compressors=CODECS[codec],
        fill_value=0,
    )


def shards_of(array):
    """Yield the index of each shard, or chunk, cut at the array's end."""
    edges = array.shards or array.chunks
    counts = [-(-n // edge) for n, edge in zip(array.shape, edges, strict=True)]
    for at in np.ndindex(*counts):
        spans = zip(at, edges, array.shape, strict=True)
        yield tuple(slice(k * e, min((k + 1) * e, n)) for k, e, n in spans)


@pytest.mark.parametrize("sharded", [True, False])
@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize("case", list(CASES))
def test_zarr_reads_what_was_written(tmp_path, case, codec, sharded):
    for number, dtype in enumerate(("uint8", "uint32", "float16")):
        folder = tmp_path / str(number)
        array = made(folder, case, codec, dtype, sharded=sharded)
        pixels = pixels_of(array.shape, dtype)
        for index in shards_of(array):
            write_shards(array, index, pixels[index])
        again = zarr.open_array(folder / "a.zarr", mode="r")
        np.testing.assert_array_equal(again[...], pixels)


def test_files_are_those_of_zarr(tmp_path):
    folders = [tmp_path / "zarr", tmp_path / "ours"]
    theirs, ours = (made(folder, "2-D", "zstd", "uint8") for folder in folders)
    pixels = pixels_of(ours.shape, "uint8")
    theirs[...] = pixels
    write_shards(ours, (slice(None), slice(None)), pixels)  # several shards at once
    np.testing.assert_array_equal(ours[...], pixels)
    found = [
        {str(p.relative_to(f)): p.stat().st_size for p in f.rglob("c/*/*")}
        for f in folders
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 3


def test_an_integer_picks_a_plane(tmp_path):
    array = made(tmp_path, "planes", "zstd", "uint8")
    pixels = pixels_of(array.shape, "uint8")
    for plane in range(3):
        write_shards(array, (plane, slice(0, 50), slice(0, 70)), pixels[plane])
    np.testing.assert_array_equal(array[...], pixels)


@pytest.mark.parametrize("sharded", [True, False])
def test_zeros_leave_no_file_and_take_the_old_one_away(tmp_path, sharded):
    array = made(tmp_path, "2-D", "zstd", "uint8", sharded=sharded)
    chunks = WholeChunks(array)
    assert (chunks.shape, chunks.dtype) == ((70, 90), np.uint8)
    place = (slice(0, 32), slice(0, 64))
    chunks[place] = np.ones((32, 64), np.uint8)
    assert len(list(tmp_path.rglob("c/*/*"))) == 1
    assert (chunks[place] == 1).all()
    chunks[place] = np.zeros((32, 64), np.uint8)
    assert not list(tmp_path.rglob("c/*/*"))
    assert not chunks[place].any()


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    array = made(tmp_path, "2-D", "zstd", "uint8")
    (tmp_path / "a.zarr" / "c").write_text("in the way")
    with pytest.raises(OSError, match="c/0"):
        write_shards(array, (slice(0, 32), slice(0, 64)), np.ones((32, 64), np.uint8))
    assert not list(tmp_path.rglob("*.partial"))


def test_arrays_of_the_older_version_are_written_too(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = zarr.create_array(
            tmp_path / "a.zarr", shape=(50, 70), chunks=(32, 32), dtype="uint8",
            zarr_format=2,
        )  # fmt: skip
    pixels = pixels_of(array.shape, "uint8")
    write_shards(array, (slice(0, 50), slice(0, 70)), pixels)
    np.testing.assert_array_equal(array[...], pixels)


def test_crc_is_that_of_the_reference():
    assert crc32c(b"123456789") == 0xE3069283  # check value of the CRC catalogue
    data = np.random.default_rng(0).bytes(1000)
    assert crc32c(data) == google_crc32c.value(data)
