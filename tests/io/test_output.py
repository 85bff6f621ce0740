from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr

from napari_unetpp.errors import OutputError, OutputExistsError
from napari_unetpp.io import (
    Result,
    check_outputs,
    choose_format,
    output_paths,
    read_image,
    write_results,
)

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


def written(folder: Path, form: str, *results: Result) -> dict[str, Path]:
    paths = output_paths(folder, "cells", [r.kind for r in results], form)
    write_results(results, paths)
    return paths


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if "part-" in p.name or "trial" in p.name]


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
    path = written(tmp_path, "tif", source)[kind]
    np.testing.assert_array_equal(tifffile.imread(path), source.data)
    image = read_image(path)
    assert image.axes == axes
    np.testing.assert_array_equal(image.data, source.data)
    if "P" not in axes:  # of which OME knows nothing
        assert image.scale == pytest.approx(source.scale)
        assert image.units == source.units
    assert not leftovers(tmp_path)


def test_imagej_can_read_the_tiff(tmp_path):
    """Strips, deflate, no BigTIFF, and a scale in centimetres: what ImageJ knows."""
    source = result("labels", "ZYX")
    with tifffile.TiffFile(written(tmp_path, "tif", source)["labels"]) as tif:
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
    path = written(tmp_path, "tif", result("heads", "CYX"))["heads"]
    with tifffile.TiffFile(path) as tif:
        assert 'Name="c"' in tif.ome_metadata


@pytest.mark.parametrize(
    ("highest", "dtype"), [(2, "uint16"), (65_536, "uint16"), (70_000, "uint32")]
)
@pytest.mark.parametrize("form", ["tif", "zarr"])
def test_dtype_of_labels(tmp_path, highest, dtype, form):
    source = result("labels", "YX", highest=highest)
    source = replace(source, data=da.maximum(source.data, highest - 1))
    path = written(tmp_path, form, source)["labels"]
    assert read_image(path).data.dtype == dtype


def test_numpy_and_zarr_results(tmp_path):
    pixels = RNG.integers(0, 9, (70, 93)).astype(np.int32)
    in_memory = zarr.create_array({}, data=pixels, chunks=(32, 32))
    for form in ("tif", "zarr"):
        for data in (pixels, in_memory):
            source = replace(result("labels", "YX"), data=data)
            path = written(tmp_path / form / type(data).__name__, form, source)
            np.testing.assert_array_equal(read_image(path["labels"]).data, pixels)


def test_ome_zarr_of_all_results(tmp_path):
    results = [
        result("labels", "TYX"),
        result("heads", "CTYX"),
        result("mean", "TYX"),
        result("uncertainty", "TYX", chunks=(1, 50, 41)),
    ]
    path = written(tmp_path, "zarr", *results)["labels"]
    assert path == tmp_path / "cells.ome.zarr"
    for source in results:
        place = "labels/labels" if source.kind == "labels" else source.kind
        image = read_image(path / place)
        found = np.asarray(image.data)
        if source.kind == "heads":  # time comes before channels in OME-Zarr
            assert image.axes == "TCYX"
            found = found.swapaxes(0, 1)
            order = [1, 0, 2, 3]
        else:
            assert image.axes == source.axes
            order = [0, 1, 2]
        np.testing.assert_array_equal(found, source.data)
        assert image.scale == tuple(source.scale[at] for at in order)
        assert image.units == tuple(source.units[at] for at in order)
        assert image.translate == tuple(source.translate[at] for at in order)
    np.testing.assert_array_equal(read_image(path).data, results[2].data)
    assert not leftovers(tmp_path)


def test_heads_of_several_classes_are_images_of_their_own(tmp_path):
    source = result("heads", "HCTZYX")
    path = written(tmp_path, "zarr", source)["heads"]
    for head in range(SIZES["H"]):
        place = path / "heads" / str(head + 1)
        ome = json.loads((place / "zarr.json").read_text())["attributes"]["ome"]
        (multiscale,) = ome["multiscales"]
        assert [axis["name"] for axis in multiscale["axes"]] == list("tczyx")
        image = read_image(place)
        assert image.axes == "TCZYX"
        found = np.asarray(image.data).swapaxes(0, 1)
        np.testing.assert_array_equal(found, source.data[head])
        assert image.scale == tuple(source.scale[at] for at in (2, 1, 3, 4, 5))
    np.testing.assert_array_equal(
        read_image(path).data, read_image(path / "heads" / "1").data
    )


def test_metadata_follow_ome_zarr_0_5(tmp_path):
    path = written(tmp_path, "zarr", result("labels", "ZYX"))["labels"]
    root = json.loads((path / "zarr.json").read_text())
    assert root["zarr_format"] == 3
    labels = json.loads((path / "labels" / "zarr.json").read_text())
    assert labels["attributes"] == {"ome": {"version": "0.5", "labels": ["labels"]}}
    one = json.loads((path / "labels" / "labels" / "zarr.json").read_text())
    ome = one["attributes"]["ome"]
    assert ome["version"] == "0.5"
    assert ome["image-label"]["source"] == {"image": "../../"}
    assert ome["multiscales"] == [
        {
            "name": "labels",
            "axes": [
                {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
            ],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [
                        {"type": "scale", "scale": [0.5, 1.0, 1.5]},
                        {"type": "translation", "translation": [0.0, 2.0, 4.0]},
                    ],
                }
            ],
        }
    ]
    array = json.loads((path / "labels" / "labels" / "0" / "zarr.json").read_text())
    assert array["dimension_names"] == ["z", "y", "x"]
    np.testing.assert_array_equal(
        read_image(path).data, read_image(path / "labels" / "labels").data
    )


@pytest.mark.parametrize("form", ["tif", "zarr"])
def test_nothing_is_overwritten_unasked(tmp_path, form):
    first, second = result("labels", "YX"), result("labels", "YX")
    paths = written(tmp_path, form, first)
    for action in (
        lambda: check_outputs(paths.values()),
        lambda: write_results([second], paths),
    ):
        with pytest.raises(OutputExistsError, match=r"cells.*exists.*--overwrite"):
            action()
    np.testing.assert_array_equal(read_image(paths["labels"]).data, first.data)
    write_results([second], paths, overwrite=True)
    np.testing.assert_array_equal(read_image(paths["labels"]).data, second.data)
    assert not leftovers(tmp_path)


def test_all_results_that_exist_are_listed(tmp_path):
    paths = output_paths(tmp_path, "cells", KINDS, "tif")
    for kind in ("labels", "mean"):
        paths[kind].touch()
    with pytest.raises(OutputExistsError, match=r"_labels\.tif, .*_mean\.tif"):
        check_outputs(paths.values())


@pytest.mark.parametrize("form", ["tif", "zarr"])
def test_failure_leaves_the_old_result_and_nothing_else(tmp_path, form):
    first = result("labels", "ZYX")
    paths = written(tmp_path, form, first)

    def fail(block: np.ndarray, block_info=None) -> np.ndarray:
        if block_info[0]["chunk-location"][0] == 3:
            raise KeyboardInterrupt
        return block

    meta = np.empty((0,) * 3, np.uint32)
    data = first.data.rechunk((1, -1, -1))
    broken = replace(first, data=data.map_blocks(fail, dtype="uint32", meta=meta))
    with pytest.raises(KeyboardInterrupt):
        write_results([broken], paths, overwrite=True)
    np.testing.assert_array_equal(read_image(paths["labels"]).data, first.data)
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("folder", ["file/below", "/proc/unetpp", "/dev/null/unetpp"])
def test_folder_that_cannot_be_written(tmp_path, folder):
    """The tests may run as root, whom no permission stops: these stop root too."""
    (tmp_path / "file").write_text("in the way")
    paths = output_paths(tmp_path / folder, "cells", ["labels"], "tif")
    with pytest.raises(OutputError, match=r"cannot be written .*choose a folder"):
        check_outputs(paths.values())
    with pytest.raises(OutputError, match=r"cannot be written .*choose a folder"):
        write_results([result("labels", "YX")], paths)


def test_missing_folders_are_made(tmp_path):
    paths = output_paths(tmp_path / "a" / "b", "cells", ["labels"], "tif")
    check_outputs(paths.values())
    assert (tmp_path / "a" / "b").is_dir()
    assert not any((tmp_path / "a" / "b").iterdir())


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from napari_unetpp.io import PredictionStore, Result, output_paths, write_results
from napari_unetpp.tiling import TileGrid
folder = Path(sys.argv[1])
noise = np.random.default_rng(0).random((512, 512), dtype=np.float32)
mean = Result("mean", noise, "YX", (1.0,) * 2, ("pixel",) * 2, (0.0,) * 2)
grid = TileGrid((512, 512), (512, 512), (0, 0), (16, 16))
store = PredictionStore.create(
    grid.shape, grid.core, ("mean",), ("cell",), folder / "store"
)
actions = (
    lambda: write_results([mean], output_paths(folder, "cells", ["mean"], "tif")),
    lambda: write_results([mean], output_paths(folder, "cells", ["mean"], "zarr")),
    lambda: store.write(grid[0], noise[None, None]),
)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
for action in actions:
    try:
        action()
    except OSError as error:
        print(type(error).__name__, error)
"""


def test_full_disk(tmp_path):
    """A limit on the size of files stands for the disk: the same kind of error."""
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    for line, name in zip(
        ran.stdout.splitlines(), ("_mean.tif", ".ome.zarr", "store"), strict=True
    ):
        assert line.startswith("OutputError no room to write"), ran.stdout
        assert f"{name} (" in line
        assert "MiB are free there" in line
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


LARGE = """
import resource, sys
from pathlib import Path
import dask.array as da
import numpy as np
from napari_unetpp.io import Result, output_paths, write_results
labels = da.zeros((8192, 16384), dtype="uint32", chunks=1024) + np.uint32(70_000)
made = Result("labels", labels, "YX", (1.0,) * 2, ("pixel",) * 2, (0.0,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for form in ("tif", "zarr"):
    write_results([made], output_paths(Path(sys.argv[1]), "large", ["labels"], form))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_large_result_is_written_piece_by_piece(tmp_path):
    command = [sys.executable, "-c", LARGE, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    for mebibytes in map(int, ran.stdout.split()):
        assert mebibytes < 256  # of 512 that are written
