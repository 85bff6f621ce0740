from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_unetpp.errors import OutputError
from napari_unetpp.io import ResultLayout, ResultStore
from napari_unetpp.io._pyramid import reduced
from napari_unetpp.tiling import TileGrid

INSTANCES = ("background", "interior", "boundary")
KINDS = ("labels", "mean", "heads", "uncertainty")
UNITS = {"T": "second", "P": "pixel"}


def layout_of(axes: str, shape: tuple[int, ...], **changes) -> ResultLayout:
    """A layout of an instance model with two heads, small tiles and blocks."""
    n = 3 if changes.pop("three", False) else 2
    given = {
        "scale": tuple(0.5 + 0.5 * at for at in range(len(axes))),
        "units": tuple(UNITS.get(a, "micrometer") for a in axes),
        "translate": tuple(float(at) for at in range(len(axes))),
        "core": (256,) * n if n == 2 else (32, 128, 128),
        "block": (512,) * n if n == 2 else (32, 192, 192),
        "kinds": KINDS,
        "task": "instances",
        "head_names": ("head 1", "head 2"),
        "class_names": INSTANCES,
        "attributes": {"fingerprint": "abc", "model": "small"},
    }
    return ResultLayout("cells", axes, shape, **(given | changes))


def grid_of(layout: ResultLayout, core: tuple[int, ...]) -> TileGrid:
    n = len(core)
    loops = layout.shape[: len(layout.loop_axes)]
    return TileGrid(layout.spatial_shape, core, (0,) * n, (1,) * n, loops)


def values_of(layout: ResultLayout, seed: int = 0) -> dict[str, np.ndarray]:
    """Random results of a whole image, (*leading, *axes)."""
    rng = np.random.default_rng(seed)
    values = {}
    for kind in layout.kinds:
        shape = tuple(map(len, layout.leading(kind))) + layout.shape
        if kind == "labels":
            values[kind] = rng.integers(0, 70_000, shape, np.uint32)
        else:
            steps = rng.integers(0, 256, shape).astype(np.uint8)
            small = layout.probability == "uint8"
            values[kind] = steps if small else (steps / 256).astype(np.float16)
    return values


def part(values: np.ndarray, tile, n_loops: int) -> np.ndarray:
    """What a tile holds of (*leading, *axes)."""
    n_leading = values.ndim - n_loops - len(tile.core)
    core = tuple(slice(*pair) for pair in tile.core)
    return values[(*(slice(None),) * n_leading, *tile.loop, *core)]


def fill(store: ResultStore, values: dict[str, np.ndarray]) -> ResultStore:
    layout = store.layout
    n_loops = len(layout.loop_axes)
    maps = dict(values)
    if layout.has_objects:
        labels = maps.pop("labels", None)
        for block in grid_of(layout, layout.block):
            if labels is not None:
                store.write_labels(block, part(labels, block, n_loops))
    for tile in grid_of(layout, layout.core):
        store.write_tile(
            tile, {kind: part(whole, tile, n_loops) for kind, whole in maps.items()}
        )
    for _ in store.finish_pyramid():
        pass
    return store


CASES = {
    "plane": layout_of("YX", (1100, 1300)),
    "tiny": layout_of("YX", (40, 30)),
    "planes": layout_of("ZTYX", (2, 3, 90, 1200)),
    "custom": layout_of("PTYX", (2, 2, 90, 70)),
    "stack": layout_of("TZYX", (2, 40, 200, 300), three=True),
    "half": layout_of("YX", (1100, 1300), probability="float16", core=(272, 400)),
    "old": layout_of("TYX", (2, 600, 1100), ome_zarr="0.4"),
    "classes": layout_of(
        "TYX", (2, 600, 1100), task="classes", class_names=("a", "b", "c")
    ),
    "one class": layout_of("YX", (300, 200), task="classes", class_names=("a",)),
}


@pytest.fixture(params=CASES)
def layout(request) -> ResultLayout:
    return CASES[request.param]


def test_layout_survives_json(layout):
    assert ResultLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


def test_tiles_come_back_and_levels_are_made_of_them(tmp_path, layout):
    values = values_of(layout)
    fill(ResultStore.create(tmp_path / "job", layout), values)
    store = ResultStore.open(tmp_path / "job", layout)
    for kind, whole in values.items():
        leading = tuple(map(len, layout.leading(kind)))
        for index in np.ndindex(leading):
            wanted = whole[index]
            for level, view in zip(
                next(i for i in layout.images() if i.kind == kind).levels,
                store.levels(kind, index),
                strict=True,
            ):
                wanted = reduced(wanted, level.step, labels=kind == "labels")
                shown = wanted / np.float32(255) if wanted.dtype == np.uint8 else wanted
                assert view.shape == wanted.shape
                np.testing.assert_allclose(view, shown, rtol=1e-6)
    for result in store.results():
        found = np.asarray(result.data)
        whole = values[result.kind]
        small = whole.dtype == np.uint8
        np.testing.assert_allclose(found, whole / 255 if small else whole, rtol=1e-6)
        assert len(result.axes) == found.ndim
        assert result.axes.endswith(layout.axes)


def test_a_view_is_cut_like_an_array(tmp_path):
    layout = CASES["planes"]
    values = values_of(layout)
    store = fill(ResultStore.create(tmp_path / "job", layout), values)
    view, whole = store.levels("labels")[0], values["labels"]
    for key in (
        1,
        (0, slice(1, 3)),
        (Ellipsis, 5),
        (1, np.int64(2), slice(3, 80, 7), slice(None)),
        (slice(None), 1, Ellipsis, slice(-30, None)),
    ):
        np.testing.assert_array_equal(view[key], whole[key])
    assert view.dtype == np.uint32


def test_the_size_of_tiles_does_not_show(tmp_path):
    one = layout_of("YX", (1500, 2300), kinds=("mean",))
    values = values_of(one)
    pixels = []
    for core in ((256, 256), (496, 400), (16, 2304), (2304, 2304)):
        layout = replace(one, core=core)
        store = fill(ResultStore.create(tmp_path / str(core), layout), values)
        pixels.append([np.asarray(view) for view in store.levels("mean")])
    for other in pixels[1:]:
        for level, same in zip(pixels[0], other, strict=True):
            np.testing.assert_array_equal(level, same)


def files(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("zarr.json", ".z"))
    }


@pytest.mark.parametrize("name", ["plane", "stack", "classes"])
def test_tiles_share_no_file(tmp_path, name):
    layout = CASES[name]
    values = values_of(layout)
    values["mean"][:] = 1
    if layout.makes_objects:
        values["foreground"] = values["interior"] = values["uncertainty"]
        del values["labels"]
    store = ResultStore.create(tmp_path / "job", layout)
    known: dict[str, bytes] = {}
    for tile in grid_of(layout, layout.core):
        n_loops = len(layout.loop_axes)
        cut = {kind: part(whole, tile, n_loops) for kind, whole in values.items()}
        store.write_tile(tile, cut)
        now = files(tmp_path / "job")
        assert {place: now[place] for place in known} == known
        assert len(now) > len(known)
        known = now
        store.write_tile(tile, cut)  # again, as after a crash
        assert files(tmp_path / "job") == known


def test_nothing_is_stored_of_nothing(tmp_path):
    layout = CASES["plane"]
    store = ResultStore.create(tmp_path / "job", layout)
    empty = {kind: np.zeros_like(v) for kind, v in values_of(layout).items()}
    fill(store, empty)
    assert files(tmp_path / "job") == {}
    assert not np.asarray(store.levels("mean")[0]).any()


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_nothing_takes_the_place_of_something(tmp_path, version):
    layout = layout_of("TYX", (2, 600, 500), ome_zarr=version)
    store = ResultStore.create(tmp_path, layout)
    empty = files(tmp_path)
    values = values_of(layout)
    values |= dict.fromkeys(("foreground", "interior"), values["mean"])
    written = fill(store, values)
    fill(written, {name: np.zeros_like(value) for name, value in values.items()})
    assert files(tmp_path) == empty


def test_work_arrays_have_the_shape_of_the_image(tmp_path):
    layout = CASES["planes"]
    store = ResultStore.create(tmp_path / "job", layout)
    for array in (store.foreground, store.interior):
        assert (array.shape, array.dtype) == (layout.shape, np.uint8)
    for array in (store.nodes, *store.grown):
        assert (array.shape, array.dtype) == (layout.shape, np.uint32)
    without = replace(layout, kinds=("mean",))
    ResultStore.create(tmp_path / "other", without)
    assert not (tmp_path / "other" / "work.zarr").exists()


def test_a_preview_may_lack_heads(tmp_path):
    for name in ("tiny", "classes"):
        layout = CASES[name]
        store = ResultStore.create(tmp_path / name, layout)
        tile = grid_of(layout, layout.core)[0]
        values = values_of(layout)["heads"][:1]
        store.write_tile(tile, {"heads": part(values, tile, len(tile.loop))})
        rest = (0,) * (len(layout.leading("heads")) - 1)
        assert np.asarray(store.levels("heads", (0, *rest))[0]).any()
        assert not np.asarray(store.levels("heads", (1, *rest))[0]).any()


def test_levels_of_a_job_that_goes_on_are_those_that_tiles_fill(tmp_path):
    layout = layout_of("YX", (5000, 300), core=(112, 112), kinds=("mean",))
    store = ResultStore.create(tmp_path / "job", layout)
    assert len(store.levels("mean")) == 4
    assert len(store.levels("mean", growing=True)) == 1
    progress = list(store.finish_pyramid())
    assert progress[-1] == (len(progress), len(progress))


def test_reading_goes_on_while_a_shard_is_replaced(tmp_path):
    layout = layout_of("YX", (1024, 1024), core=(1024, 1024), kinds=("mean",))
    store = ResultStore.create(tmp_path / "job", layout)
    (tile,) = grid_of(layout, layout.core)
    rng = np.random.default_rng(0)
    versions = [
        np.full((1024, 1024), 255, np.uint8),
        rng.integers(1, 256, (1024, 1024)).astype(np.uint8),
    ]
    store.write_tile(tile, {"mean": versions[0]})
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            for version in versions:
                store.write_tile(tile, {"mean": version})

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(60):
            seen = store.levels("mean")[0][256:512, :256] * np.float32(255)
            wanted = [version[256:512, :256] for version in versions]
            assert any(np.allclose(seen, one, atol=0.01) for one in [*wanted, 0])
    finally:
        stop.set()
        writer.join()


def test_a_store_that_is_gone_is_an_output_error(tmp_path):
    layout = CASES["plane"]
    with pytest.raises(OutputError, match=r"result\.ome\.zarr does not hold.*anew"):
        ResultStore.open(tmp_path / "job", layout)
    ResultStore.create(tmp_path / "job", layout)
    shutil.rmtree(tmp_path / "job" / "work.zarr" / "nodes")
    with pytest.raises(OutputError, match=r"work\.zarr does not hold.*anew"):
        ResultStore.open(tmp_path / "job", layout)
    store = ResultStore.create(tmp_path / "job", layout)
    assert not np.asarray(store.nodes[:5, :5]).any()


def test_a_damaged_shard_is_an_output_error(tmp_path):
    layout = layout_of("YX", (300, 300), kinds=("mean",))
    store = fill(ResultStore.create(tmp_path / "job", layout), values_of(layout))
    shard = tmp_path / "job" / "result.ome.zarr" / "mean" / "0" / "c" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[::-1])
    with pytest.raises(OutputError, match="cannot be read"):
        _ = store.levels("mean")[0][:]


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from napari_unetpp.io import ResultLayout, ResultStore
from napari_unetpp.tiling import TileGrid
place = ((512, 512), (1.0,) * 2, ("pixel",) * 2, (0.0,) * 2, (512, 512), (512, 512))
layout = ResultLayout(
    "cells", "YX", *place, ("mean",), "instances", ("mean",), ("a", "b", "c")
)
store = ResultStore.create(Path(sys.argv[1]), layout)
tile = TileGrid((512, 512), (512, 512), (0, 0), (1, 1))[0]
noise = np.random.default_rng(0).integers(0, 256, (512, 512)).astype(np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    store.write_tile(tile, {"mean": noise})
except OSError as error:
    print(type(error).__name__, error)
print(int(np.asarray(store.levels("mean")[0]).any()))
"""


def test_full_disk(tmp_path):
    """A limit on the size of files stands for the disk: the same kind of error."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "job")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    error, written = ran.stdout.splitlines()
    assert error.startswith("OutputError no room to write")
    assert "MiB are free there" in error
    assert written == "0"
