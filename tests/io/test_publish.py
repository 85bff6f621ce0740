from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr

from napari_unetpp.errors import OutputError, OutputExistsError
from napari_unetpp.io import (
    ResultLayout,
    ResultStore,
    labels_beside,
    output_paths,
    publish,
    read_fingerprint,
    read_image,
)
from napari_unetpp.tiling import TileGrid

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("labels", "mean", "heads", "uncertainty")
N_HEADS = 2


def layout_of(axes: str = "TYX", task: str = "instances", **changes) -> ResultLayout:
    sizes = {"T": 2, "Z": 3, "P": 2, "Y": 90, "X": 1100}
    units = {"T": "second", "P": "pixel"}
    given = {
        "axes": axes,
        "shape": tuple(sizes[a] for a in axes),
        "scale": tuple(0.5 * (1 + at) for at in range(len(axes))),
        "units": tuple(units.get(a, "micrometer") for a in axes),
        "translate": tuple(2.0 * at for at in range(len(axes))),
        "core": (64, 512),
        "block": (128, 1024),
        "kinds": KINDS,
        "task": task,
        "head_names": ("head 1", "head 2"),
        "class_names": ("background", "interior", "boundary"),
        "attributes": {"fingerprint": "abc", "model": "small", "version": "0.1"},
    }
    return ResultLayout("cells", **(given | changes))


def complete(job: Path, layout: ResultLayout, seed: int = 0) -> dict[str, np.ndarray]:
    """A job whose results are complete, and the values, (*leading, *axes)."""
    rng = np.random.default_rng(seed)
    store = ResultStore.create(job, layout)
    loops = layout.shape[: len(layout.loop_axes)]
    whole = {}
    for kind in layout.kinds:
        shape = tuple(map(len, layout.leading(kind))) + layout.shape
        highest = 300 if kind == "labels" else 256
        dtype = np.uint32 if kind == "labels" else np.uint8
        whole[kind] = rng.integers(0, highest, shape).astype(dtype)
    edges = dict.fromkeys(KINDS, layout.core)
    if layout.has_objects:
        edges["labels"] = layout.block
    for kind, values in whole.items():
        for tile in TileGrid(layout.shape[-2:], edges[kind], (0, 0), (1, 1), loops):
            core = tuple(slice(*pair) for pair in tile.core)
            lead = (slice(None),) * (values.ndim - len(layout.shape))
            store.write_tile(tile, {kind: values[(*lead, *tile.loop, *core)]})
    for _ in store.finish_pyramid():
        pass
    return whole


def published(
    folder: Path, form: str, layout: ResultLayout, overwrite: bool = False, seed=0
) -> tuple[dict[str, Path], dict[str, np.ndarray]]:
    values = complete(folder / "cells.job", layout, seed)
    paths = output_paths(folder, "cells", layout.kinds, form)
    publish(folder / "cells.job", layout, paths, overwrite)
    return paths, values


@pytest.mark.parametrize(
    ("axes", "probability"),
    [("YX", "float16"), ("TYX", "uint8"), ("ZTYX", "uint8"), ("PYX", "uint8")],
)
@pytest.mark.parametrize("task", ["instances", "classes"])
def test_tiff_files_hold_the_results(tmp_path, axes, task, probability):
    layout = layout_of(axes, task, probability=probability)
    paths, values = published(tmp_path, "tif", layout)
    for kind, path in paths.items():
        found = tifffile.imread(path)
        if kind == "labels":
            assert found.dtype == np.uint16
            np.testing.assert_array_equal(found, values[kind])
        else:
            assert found.dtype == np.float32
            steps = 255 if probability == "uint8" else 1
            np.testing.assert_allclose(found, values[kind] / steps, rtol=1e-6)
        assert read_fingerprint(path) == "abc"
    image = read_image(paths["labels"])
    assert image.axes == axes
    names = [path.name for path in tmp_path.iterdir()]
    assert sorted(names) == sorted(["cells.job", *(p.name for p in paths.values())])


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("task", ["instances", "classes"])
@pytest.mark.parametrize("axes", ["ZTYX", "PYX"])
def test_zarr_folder_holds_the_results(tmp_path, axes, task, version):
    layout = layout_of(axes, task, ome_zarr=version)
    paths, values = published(tmp_path, "zarr", layout)
    (path,) = set(paths.values())
    assert path == tmp_path / "cells.ome.zarr"
    assert read_fingerprint(path) == "abc"
    for image in layout.images():
        found = read_image(path / image.place)
        # Time comes before channels, and these before space, in OME-Zarr.
        assert found.axes == image.axes
        whole = values[image.kind]
        whole = whole if image.head is None else whole[image.head]
        letters = "C" * (whole.ndim - len(axes)) + axes
        order = [letters.index(letter) for letter in image.axes]
        np.testing.assert_array_equal(found.data, whole.transpose(order))
        for letter in axes:
            at, shown = axes.index(letter), found.axes.index(letter)
            assert found.scale[shown] == layout.scale[at]
            assert found.units[shown] == layout.units[at]
            assert (found.translate or (0,) * 9)[shown] == layout.translate[at]
    first = read_image(path / layout.images()[0].place)
    np.testing.assert_array_equal(read_image(path).data, first.data)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("task", ["instances", "classes"])
@pytest.mark.parametrize(
    ("axes", "kinds"),
    [("YX", KINDS), ("TZYX", KINDS), ("YX", ("labels",)), ("TYX", ("heads",))],
)
def test_zarr_folder_follows_the_standard(tmp_path, axes, task, version, kinds):
    """As yaozarrs, written by others, reads the standard."""
    layout = layout_of(axes, task, ome_zarr=version, kinds=kinds)
    ResultStore.create(tmp_path, layout)
    yaozarrs.validate_zarr_store(str(tmp_path / "result.ome.zarr"))
    for image in layout.images():
        yaozarrs.validate_zarr_store(str(tmp_path / "result.ome.zarr" / image.place))


def test_metadata_of_the_levels(tmp_path):
    layout = layout_of("TYX", shape=(2, 2100, 3000))
    ResultStore.create(tmp_path, layout)
    path = tmp_path / "result.ome.zarr" / "labels"
    group = json.loads((path / "zarr.json").read_text())
    assert group["attributes"] == {"ome": {"version": "0.5", "labels": ["labels"]}}
    one = json.loads((path / "labels" / "zarr.json").read_text())
    ome = one["attributes"]["ome"]
    assert ome["image-label"] == {"source": {"image": "../../"}}
    (multiscale,) = ome["multiscales"]
    assert multiscale["axes"] == [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    placed = [
        [step[step["type"]] for step in dataset["coordinateTransformations"]]
        for dataset in multiscale["datasets"]
    ]
    # The first pixel of a coarser level covers those before: its centre moves.
    assert placed == [
        [[0.5, 1.0, 1.5], [0.0, 2.0, 4.0]],
        [[0.5, 2.0, 3.0], [0.0, 2.5, 4.75]],
        [[0.5, 4.0, 6.0], [0.0, 3.5, 6.25]],
    ]
    array = json.loads((path / "labels" / "2" / "zarr.json").read_text())
    assert array["dimension_names"] == ["t", "y", "x"]
    assert array["shape"] == [2, 525, 750]


@pytest.mark.parametrize("form", ["tif", "zarr"])
def test_nothing_is_overwritten_unasked(tmp_path, form):
    layout = layout_of()
    other = replace(layout, attributes={"fingerprint": "other"})
    paths, first = published(tmp_path, form, layout)
    place = "labels/labels" if form == "zarr" else ""

    def labels() -> np.ndarray:
        return np.asarray(read_image(paths["labels"] / place).data)

    with pytest.raises(OutputExistsError, match=r"cells.*exists.*--overwrite"):
        published(tmp_path, form, other, seed=1)
    np.testing.assert_array_equal(labels(), first["labels"])
    _, second = published(tmp_path, form, other, overwrite=True, seed=1)
    np.testing.assert_array_equal(labels(), second["labels"])
    assert read_fingerprint(paths["labels"]) == "other"


@pytest.mark.parametrize("form", ["tif", "zarr"])
def test_publishing_again_goes_on(tmp_path, form):
    """As after a crash between two renames."""
    layout = layout_of()
    paths, values = published(tmp_path, form, layout)
    if form == "tif":
        paths["mean"].unlink()
        before = paths["heads"].stat().st_mtime_ns
    publish(tmp_path / "cells.job", layout, paths)
    if form == "tif":
        assert paths["heads"].stat().st_mtime_ns == before
        np.testing.assert_allclose(
            tifffile.imread(paths["mean"]), values["mean"] / 255, rtol=1e-6
        )


def test_pieces_of_files_of_a_killed_writer_are_not_published(tmp_path):
    layout = layout_of()
    complete(tmp_path / "cells.job", layout)
    stray = tmp_path / "cells.job/result.ome.zarr/mean/0/c/0/0/0.0f0f.partial"
    stray.write_bytes(b"half")
    paths = output_paths(tmp_path, "cells", KINDS, "zarr")
    publish(tmp_path / "cells.job", layout, paths)
    assert not list(paths["mean"].rglob("*.partial"))


def an_image(path: Path, version: str) -> Path:
    """An OME-Zarr image, written by hand."""
    root = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    names = {"dimension_names": ["t", "y", "x"]} if version == "0.5" else {}
    shape, chunks = (2, 90, 1100), (1, 90, 1100)
    root.create_array(name="0", shape=shape, chunks=chunks, dtype="u2", **names)
    axes = [{"name": "t", "type": "time"}]
    axes += [{"name": name, "type": "space"} for name in "yx"]
    scale = {"type": "scale", "scale": [1.0, 1.0, 1.0]}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    multiscale = {"name": "image", "axes": axes, "datasets": datasets}
    if version == "0.5":
        root.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    else:
        root.attrs["multiscales"] = [multiscale | {"version": "0.4"}]
    return path


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_labels_go_beside_the_image(tmp_path, version):
    image = an_image(tmp_path / "raw.ome.zarr", version)
    layout = layout_of("TYX", ome_zarr=version)
    values = complete(tmp_path / "cells.job", layout)
    paths = output_paths(tmp_path, "cells", KINDS, "tif")
    paths["labels"] = image / "labels" / "cells"
    for _ in range(2):  # again, as after a crash
        publish(tmp_path / "cells.job", layout, paths)
    results = tmp_path / "cells.job" / "result.ome.zarr"
    assert labels_beside(results, image, "more") == image / "labels" / "more"
    for name in ("cells", "more"):
        found = read_image(image / "labels" / name)
        np.testing.assert_array_equal(found.data, values["labels"])
        assert read_fingerprint(image / "labels" / name) == "abc"
    yaozarrs.validate_zarr_store(str(image))
    attributes = dict(zarr.open_group(image / "labels", mode="r").attrs)
    assert attributes.get("ome", attributes)["labels"] == ["cells", "more"]
    other = replace(layout, attributes={"fingerprint": "other"})
    ResultStore.create(tmp_path / "other.job", other)
    with pytest.raises(OutputExistsError, match=r"more: exists already"):
        labels_beside(tmp_path / "other.job" / "result.ome.zarr", image, "more")
    np.testing.assert_array_equal(found.data, values["labels"])


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_labels_are_found_where_metadata_are_gathered_at_the_root(tmp_path, version):
    image = an_image(tmp_path / "raw.ome.zarr", version)
    with warnings.catch_warnings():  # zarr: it is not in the standard
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(image)
    ResultStore.create(tmp_path / "job", layout_of("TYX", ome_zarr=version))
    labels_beside(tmp_path / "job" / "result.ome.zarr", image, "cells")
    assert zarr.open_group(image, mode="r")["labels/cells/0"].shape == (2, 90, 1100)


def test_labels_do_not_go_beside_what_is_no_such_image(tmp_path):
    ResultStore.create(tmp_path / "job", layout_of("TYX"))
    results = tmp_path / "job" / "result.ome.zarr"
    with pytest.raises(OutputError, match=r"raw\.tif is no OME-Zarr image"):
        labels_beside(results, tmp_path / "raw.tif", "cells")
    old = an_image(tmp_path / "old.ome.zarr", "0.4")
    with pytest.raises(OutputError, match=r"version 0\.4.*--ome-zarr 0\.4"):
        labels_beside(results, old, "cells")
    image = an_image(tmp_path / "new.ome.zarr", "0.5")
    (image / "labels").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot be written.*copy the image"):
        labels_beside(results, image, "cells")


def test_what_is_not_ours_has_no_fingerprint(tmp_path):
    (tmp_path / "text.tif").write_text("no tiff")
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((3, 3), np.uint8))
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    an_image(tmp_path / "image.zarr", "0.5")
    for path in (*tmp_path.iterdir(), tmp_path / "missing"):
        assert read_fingerprint(path) is None
