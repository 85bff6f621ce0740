"""Check OME-Zarr folders of results against the JSON schemas of the standard.

    python benchmarks/validate_ome_zarr.py [FOLDER.ome.zarr ...]

Without folders, results of both versions, of objects and of classes, are made and
checked. The schemas are those that ngff-zarr carries (extra `bench`); yaozarrs checks
the arrays as well: their shapes, dtypes and the names of their axes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import yaozarrs
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from napari_unetpp.io import ResultLayout, ResultStore

KINDS = ("mean", "heads", "uncertainty", "labels")


def schemas(version: str) -> dict[str, Any]:
    """Return the schemas of a version by name, ``"image"``."""
    found = importlib.util.find_spec("ngff_zarr")  # its imports are not needed
    if found is None or found.origin is None:
        raise SystemExit("ngff-zarr is missing: pip install 'napari-unetpp[bench]'")
    folder = Path(found.origin).parent / "spec" / version / "schemas"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.schema")}


def attributes(group: Path) -> dict[str, Any]:
    """Return the attributes of a group; {} of an array."""
    new, old = group / "zarr.json", group / ".zattrs"
    if new.exists():
        metadata = json.loads(new.read_text())
        return metadata.get("attributes", {})
    return json.loads(old.read_text()) if old.exists() else {}


def errors_of(folder: Path) -> list[str]:
    """Return what is wrong with the metadata of a folder and all groups in it."""
    version = attributes(folder).get("ome", {}).get("version", "0.4")
    known = schemas(version)
    resources = [(s["$id"], DRAFT202012.create_resource(s)) for s in known.values()]
    registry: Registry = Registry().with_resources(resources)
    wrong, n_checked = [], 0
    metadata = [*folder.rglob("zarr.json"), *folder.rglob(".zattrs")]
    for group in sorted({path.parent for path in metadata}):
        values = attributes(group)
        told = values.get("ome", values)
        for key, name in (("multiscales", "image"), ("image-label", "label")):
            if key in told:
                n_checked += 1
                validator = Draft202012Validator(known[name], registry=registry)
                place = group.relative_to(folder)
                wrong += [
                    f"{place} ({name}): {error.message}"
                    for error in validator.iter_errors(values)
                ]
        if "multiscales" in told:
            yaozarrs.validate_zarr_store(str(group))
    print(f"{folder}: version {version}, {n_checked} documents, {len(wrong)} errors")
    return wrong if n_checked else [f"{folder}: holds no OME-Zarr metadata"]


def made(parent: Path) -> list[Path]:
    """Make empty results of every sort."""
    folders = []
    for version, task, axes in product(
        ("0.5", "0.4"), ("instances", "classes"), ("YX", "TZYX")
    ):
        folder = parent / f"{version}-{task}-{axes}"
        layout = ResultLayout(
            name="cells",
            axes=axes,
            shape=(2, 3, 2500, 1700)[-len(axes) :],
            scale=(1.0, 2.0, 0.5, 0.5)[-len(axes) :],
            units=("second", *("micrometer",) * 3)[-len(axes) :],
            translate=(0.0, 0.0, 3.0, 0.0)[-len(axes) :],
            core=(512, 512),
            block=(1024, 1024),
            kinds=KINDS,
            task=task,
            head_names=("head 1", "head 2"),
            class_names=("background", "interior", "boundary"),
            ome_zarr=version,
            attributes={"fingerprint": "none", "model": "none"},
        )
        ResultStore.create(folder, layout)
        folders.append(folder / "result.ome.zarr")
    return folders


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    folders = parser.parse_args().folders
    with tempfile.TemporaryDirectory() as scratch:
        folders = folders or made(Path(scratch))
        wrong = [error for folder in folders for error in errors_of(folder)]
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
