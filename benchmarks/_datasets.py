"""Labelled data sets in one layout, and which of their images nobody learns from.

Layout of a folder: ``images/<name>.tif``, ``labels/<name>.tif`` and a ``manifest.json``
whose ``items`` carry ``name``, what groups images (a field of view, an animal) and, if
there are several kinds of images, the kind.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import _dsb2018
from _dsb2018 import digest, image_path, labels_path, read_manifest
from napari_unetpp.arrays import LabelRule, canonical, normalise, to_class_index
from napari_unetpp.data import TrainingPair
from napari_unetpp.io import image_range, read_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_unetpp.arrays import Image
    from napari_unetpp.config import ModelConfig


@dataclass(frozen=True)
class Split:
    """Names of the images to learn from, to choose weights by, and to report on."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def words(self) -> str:
        """What is held out, in words for the record, with a hash of the names."""
        text = "\n".join([*self.validation, "-", *self.test])
        short = hashlib.sha256(text.encode()).hexdigest()[:12]
        return (
            f"{len(self.validation)} images choose the weights; {len(self.test)} others"
            f" were never read; split {short}"
        )


@dataclass(frozen=True)
class DataSet:
    """How the images of a data set are told apart.

    Attributes
    ----------
    name : str
        Of its folder.
    group : str
        Key of an item: images that share its value lie on one side of the split.
    kind : str or None
        Key of an item that says what kind of image it is, if there are several.
    many : bool
        Whether there are so many groups that each can fall on a side by its id alone.
        Of few groups the fifth with the lowest digests is held out: a fair draw might
        hold out none.
    """

    name: str
    group: str
    kind: str | None = None
    many: bool = False

    def split(self, manifest: dict[str, Any]) -> Split:
        """Return which image is used for what; no seed, no order of files matters."""
        if self.many:
            train, test = _dsb2018.split(manifest)
            chosen = set(_dsb2018.validation_names(manifest))
        else:
            groups = {item[self.group] for item in manifest["items"]}
            held_out = _lowest(groups, 5)
            test = _names(manifest, self.group, held_out)
            train = _names(manifest, self.group, groups - held_out)
            chosen = _lowest(set(train), 8)
        learnt = tuple(name for name in train if name not in chosen)
        return Split(learnt, tuple(sorted(chosen)), tuple(test))

    def kinds(self, manifest: dict[str, Any]) -> dict[str, str]:
        """Return the kind of every image by name; all are alike if none is told."""
        return {
            item["name"]: item[self.kind] if self.kind else "all"
            for item in manifest["items"]
        }


DATA_SETS = {
    each.name: each
    for each in (
        DataSet("dsb2018", "group", "image_type", many=True),
        DataSet("axon_sem", "animal"),
        DataSet("usiigaci_phase", "name"),
    )
}


def data_set(folder: Path) -> tuple[DataSet, dict[str, Any]]:
    """Return the data set that lies in a folder, and its manifest."""
    manifest = read_manifest(folder)
    if manifest["name"] not in DATA_SETS:
        raise SystemExit(
            f"{folder} holds {manifest['name']!r}; known are {', '.join(DATA_SETS)}"
        )
    return DATA_SETS[manifest["name"]], manifest


def load_pairs(
    folder: Path, names: Sequence[str], model: ModelConfig
) -> list[TrainingPair]:
    """Return images as `model` sees them, with their labels as it learns them."""
    return [_pair(*images, name, model) for name, images in read(folder, names)]


def read(
    folder: Path, names: Sequence[str]
) -> Iterator[tuple[str, tuple[Image, Image]]]:
    """Yield name, image and labels, one image at a time."""
    for name in names:
        image = read_image(image_path(folder, name))
        yield name, (image, read_labels(labels_path(folder, name)))


def _pair(image: Image, labels: Image, name: str, model: ModelConfig) -> TrainingPair:
    network = model.network
    seen = canonical(image, network.spatial_dims, model.channels, network.in_channels)
    intensity = image_range(seen, model.intensity)
    pixels = normalise(np.asarray(seen.data), intensity, model.intensity)
    values = np.asarray(labels.data).astype(np.int32)
    if model.task == "classes":
        rule = LabelRule(model.class_values, None)
        values = to_class_index(values, rule, name).astype(np.int32)
    return TrainingPair(pixels, values, name)


def _lowest(ids: set[str], part: int) -> set[str]:
    """Return one `part`-th of the ids, at least one: those of the lowest digests."""
    return set(sorted(ids, key=digest)[: math.ceil(len(ids) / part)])


def _names(manifest: dict[str, Any], key: str, groups: set[str]) -> list[str]:
    return sorted(item["name"] for item in manifest["items"] if item[key] in groups)
