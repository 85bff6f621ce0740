"""The dsb2018 folder and its split, shared by training and evaluation.

Layout of the folder: ``images/<name>.tif``, ``labels/<name>.tif`` and a
``manifest.json`` whose ``items`` carry ``name``, ``group`` (tiles of one field of view
share it) and ``image_type``.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

N_FOLDS = 5


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a data set folder."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def fold_of(group: object) -> int:
    """Return the fold, 0...4, that a group of images falls into."""
    return digest(group) % N_FOLDS


def split(manifest: dict[str, Any], fold: int = 0) -> tuple[list[str], list[str]]:
    """Return the sorted names to train with and the sorted names held out.

    A group goes to one side as a whole, and which side depends on its id alone: not on
    a seed, the order of the files or the other images.
    """
    train: list[str] = []
    test: list[str] = []
    for item in manifest["items"]:
        (test if fold_of(item["group"]) == fold else train).append(item["name"])
    return sorted(train), sorted(test)


def image_types(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the image type of every image by name."""
    return {item["name"]: item["image_type"] for item in manifest["items"]}


def image_path(folder: Path, name: str) -> Path:
    """Return where the image called `name` lies."""
    return folder / "images" / f"{name}.tif"


def labels_path(folder: Path, name: str) -> Path:
    """Return where the labels of the image called `name` lie."""
    return folder / "labels" / f"{name}.tif"


def validation_names(manifest: dict[str, Any], fold: int = 0) -> list[str]:
    """Return the names, out of those to train with, that pick the best epoch.

    An eighth of the groups, by the same digest as the folds.
    """
    groups = {item["name"]: item["group"] for item in manifest["items"]}
    names, _ = split(manifest, fold)
    return [name for name in names if digest(groups[name]) // N_FOLDS % 8 == 0]


def digest(group: object) -> int:
    """Return a large number that depends on the id of a group alone."""
    return int(hashlib.sha256(str(group).encode()).hexdigest(), 16)
