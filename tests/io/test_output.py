from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_unetpp.errors import OutputError, OutputExistsError
from napari_unetpp.io import (
    Result,
    check_outputs,
    choose_format,
    output_paths,
    read_image,
)
from napari_unetpp.io._write_tiff import with_small_labels, write_tiff

RNG = np.random.default_rng(0)
UNITS = {"T": "second", "C": "pixel", "P": "pixel", "H": "pixel"}
SIZES = {"H": 2, "T": 3, "C": 4, "Z": 5, "P": 2, "Y": 70, "X": 93}
KINDS = ("labels", "mean", "heads", "uncertainty")


def result(kind: str, axes: str, chunks=32, **changes) -> Result:
    """Labels or probabilities with a place in the world."""
    shape = tuple(SIZES[a] for a in axes)
    if kind == "labels":
        pixels = RNG.integers(0, changes.pop("highest", 300), shape).astype(np.uint32)
    else:
        pixels = RNG.random(shape, dtype=np.float32)
    return Result(
        kind,
        da.from_array(pixels, chunks=chunks),
        axes,
        scale=tuple(0.5 * (1 + at) if a != "C" else 1.0 for at, a in enumerate(axes)),
        units=tuple(UNITS.get(a, "micrometer") for a in axes),
        translate=tuple(2.0 * at if a != "C" else 0.0 for at, a in enumerate(axes)),
        channel_names=("a", "b", "c", "d") if "C" in axes else (),
        **changes,
    )


def written(folder: Path, source: Result) -> Path:
    path = folder / "cells.tif"
    write_tiff(with_small_labels(source), path)
    return path


def test_names():
    folder = Path("out")
    paths = output_paths(folder, "cells", KINDS, "tif")
    assert [str(p) for p in paths.values()] == [f"out/cells_{k}.tif" for k in KINDS]
    paths = output_paths(folder, "cells", KINDS, "zarr")
    assert set(paths.values()) == {folder / "cells.ome.zarr"}


def test_only_huge_results_are_zarr():
    assert choose_format("auto", 16384**2) == "tif"
    assert choose_format("auto", 40_000**2) == "zarr"
    assert choose_format("zarr", 1) == "zarr"


@pytest.mark.parametrize("chunks", [32, 13, -1])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX", "CYX", "CTZYX", "PYX"])
def test_tiff_comes_back(tmp_path, axes, chunks):
    kind = "heads" if "C" in axes else "labels"
    source = result(kind, axes, chunks)
    path = written(tmp_path, source)
    np.testing.assert_array_equal(tifffile.imread(path), source.data)
    image = read_image(path)
    assert image.axes == axes
    np.testing.assert_array_equal(image.data, source.data)
    if "P" not in axes:  # of which OME knows nothing
        assert image.scale == pytest.approx(source.scale)
        assert image.units == source.units


def test_imagej_can_read_the_tiff(tmp_path):
    """Strips, deflate, no BigTIFF, and a scale in centimetres: what ImageJ knows."""
    source = result("labels", "ZYX")
    with tifffile.TiffFile(written(tmp_path, source)) as tif:
        page = tif.pages[0]
        assert len(tif.pages) == SIZES["Z"]
        assert not tif.is_bigtiff
        assert not page.is_tiled
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.dtype == np.uint16
        x, y = (page.tags[t].value for t in ("XResolution", "YResolution"))
        assert page.tags["ResolutionUnit"].value == 3
        assert x[1] / x[0] * 1e4 == pytest.approx(source.scale[2])
        assert y[1] / y[0] * 1e4 == pytest.approx(source.scale[1])


def test_heads_have_names_in_the_tiff(tmp_path):
    path = written(tmp_path, result("heads", "CYX"))
    with tifffile.TiffFile(path) as tif:
        assert 'Name="c"' in tif.ome_metadata


@pytest.mark.parametrize(
    ("highest", "dtype"), [(2, "uint16"), (65_536, "uint16"), (70_000, "uint32")]
)
def test_dtype_of_labels(tmp_path, highest, dtype):
    source = result("labels", "YX", highest=highest)
    source = replace(source, data=da.maximum(source.data, highest - 1))
    assert read_image(written(tmp_path, source)).data.dtype == dtype


def test_all_results_that_exist_are_listed(tmp_path):
    paths = output_paths(tmp_path, "cells", KINDS, "tif")
    for kind in ("labels", "mean"):
        paths[kind].touch()
    with pytest.raises(OutputExistsError, match=r"_labels\.tif, .*_mean\.tif"):
        check_outputs(paths.values())


@pytest.mark.parametrize("folder", ["file/below", "/proc/unetpp", "/dev/null/unetpp"])
def test_folder_that_cannot_be_written(tmp_path, folder):
    """The tests may run as root, whom no permission stops: these stop root too."""
    (tmp_path / "file").write_text("in the way")
    paths = output_paths(tmp_path / folder, "cells", ["labels"], "tif")
    with pytest.raises(OutputError, match=r"cannot be written .*choose a folder"):
        check_outputs(paths.values())


def test_missing_folders_are_made(tmp_path):
    paths = output_paths(tmp_path / "a" / "b", "cells", ["labels"], "tif")
    check_outputs(paths.values())
    assert (tmp_path / "a" / "b").is_dir()
    assert not any((tmp_path / "a" / "b").iterdir())


LARGE = """
import resource, sys
from pathlib import Path
import dask.array as da
from napari_unetpp.io import Result
from napari_unetpp.io._write_tiff import with_small_labels, write_tiff
labels = da.zeros((8192, 16384), dtype="uint32", chunks=1024) + 70_000
labels = labels.astype("uint32")
made = Result("labels", labels, "YX", (1.0,) * 2, ("pixel",) * 2, (0.0,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_tiff(with_small_labels(made), Path(sys.argv[1]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_large_result_is_written_piece_by_piece(tmp_path):
    command = [sys.executable, "-c", LARGE, str(tmp_path / "large.tif")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 256  # MiB, of 512 that are written
