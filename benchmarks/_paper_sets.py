"""The sets of the paper's table: what is learnt from, what chooses, what is tested.

Each folder has ``images/NAME.tif``, ``labels/NAME.tif`` and a ``manifest.json``. Images
that belong together (tiles of one field of view, sections beside each other, images of
one animal, planes of one volume) form a group, and a group lies on one side as a whole.
Which side is decided by SHA-256 of the group's id, not by the order of the files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from _dsb2018 import fold_of, image_path, labels_path, read_manifest, validation_names
from napari_unetpp.arrays import canonical, normalise
from napari_unetpp.config import IntensityConfig, ModelConfig, NetworkConfig
from napari_unetpp.data import TrainingPair
from napari_unetpp.io import image_range, read_image, read_labels
from napari_unetpp.training import TrainingData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SIDES = ("train", "validation", "test")
_SECTIONS = 6
"""Neighbouring sections of isbi2012_em that form a group."""
_SLABS = 4
"""Parts along Z into which plant_nuclei3d, one volume, is cut."""


@dataclass(frozen=True, slots=True)
class Region:
    """A labelled image or a part of one.

    Attributes
    ----------
    pair : TrainingPair
        Normalised pixels (C, *S) and class indices (*S).
    group : str
        What it belongs to.
    kind : str
        What sort of image it is; scores are told for each kind too.
    """

    pair: TrainingPair
    group: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained on a set, before anything is known of its test images.

    Attributes
    ----------
    folder : str
        Name of its folder.
    title : str
        What the set shows, for people.
    classes : tuple of str
        One name of the foreground (one output, as in the paper), or all classes.
    spatial_dims : int
        2 or 3.
    strides : tuple
        Pooling of each level; empty is 2 everywhere.
    patch : int
        Edge of a patch in pixels.
    batch : int
        Patches a step.
    regions : callable
        Yields the labelled regions of a folder.
    """

    folder: str
    title: str
    classes: tuple[str, ...]
    spatial_dims: int
    patch: int
    batch: int
    regions: Callable[[Path], Iterator[Region]]
    strides: tuple[tuple[int, ...], ...] = ()

    @property
    def n_classes(self) -> int:
        """Classes that are told apart, background included."""
        return max(2, len(self.classes))

    def model(self, widths: Sequence[int]) -> ModelConfig:
        """Return the config of a UNet++ of these widths."""
        network = NetworkConfig(
            spatial_dims=self.spatial_dims,
            out_channels=len(self.classes),
            widths=tuple(widths),
            strides=self.strides,
        )
        one = len(self.classes) == 1
        return ModelConfig(
            network=network,
            task="classes",
            class_names=self.classes,
            class_values=(1,) if one else tuple(range(len(self.classes))),
        )


@dataclass(frozen=True, slots=True)
class Split:
    """The three sides of a set.

    Attributes
    ----------
    sides : mapping of str to list of Region
        By "train", "validation" and "test".
    digest : str
        Of the names on each side: equal digests mean the same split.
    """

    sides: Mapping[str, Sequence[Region]]
    digest: str

    def training_data(self, most: int, edge: int) -> TrainingData:
        """Return what is learnt from and what picks the weights.

        Parameters
        ----------
        most : int
            Regions that are validated on, evenly chosen of those there are.
        edge : int
            Longest edge of them in pixels: their middle is taken.
        """
        held = self.sides["validation"]
        chosen = np.unique(np.linspace(0, len(held) - 1, min(most, len(held))).round())
        pairs = [_middle(held[int(k)].pair, edge) for k in chosen]
        return TrainingData(
            [region.pair for region in self.sides["train"]],
            pairs,
            f"{len(pairs)} of {len(held)} regions in groups of their own",
        )


def load(recipe: Recipe, name: str, folder: Path, seed: int) -> Split:
    """Read a set and split it.

    Parameters
    ----------
    recipe : Recipe
        How it is read.
    name : str
        What it is called.
    folder : Path
        Where it lies.
    seed : int
        Which of the splits; the groups fall differently for each.
    """
    regions = sorted(recipe.regions(folder), key=lambda region: region.pair.name)
    if recipe.folder == "dsb2018":
        of_name = _dsb_sides(folder, seed)
        side = {region.pair.name: of_name[region.pair.name] for region in regions}
    else:
        of_group = rank(name, {region.group for region in regions}, seed)
        side = {region.pair.name: of_group[region.group] for region in regions}
    sides = {
        each: [region for region in regions if side[region.pair.name] == each]
        for each in SIDES
    }
    return Split(sides, digest_of(side))


def rank(name: str, groups: set[str], seed: int) -> dict[str, str]:
    """Return the side of each group: by the order of their digests.

    The first is tested on, the second validates, the others are learnt from.
    """

    def digest(group: str) -> str:
        return hashlib.sha256(f"{seed} {name} {group}".encode()).hexdigest()

    order = sorted(groups, key=digest)
    first = dict(zip(order, ("test", "validation"), strict=False))
    return {group: first.get(group, "train") for group in order}


def digest_of(side: Mapping[str, str]) -> str:
    """Return twelve letters that stand for a split: which name is on which side."""
    lines = "\n".join(f"{side[name]} {name}" for name in sorted(side))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def _dsb_sides(folder: Path, seed: int) -> dict[str, str]:
    """Return the split of dsb2018 that the bundled models keep to as well."""
    manifest = read_manifest(folder)
    fold = seed % 5
    held = set(validation_names(manifest, fold))
    return {
        item["name"]: "test"
        if fold_of(item["group"]) == fold
        else ("validation" if item["name"] in held else "train")
        for item in manifest["items"]
    }


def _middle(pair: TrainingPair, edge: int) -> TrainingPair:
    """Return the middle of a pair, at most `edge` pixels along each axis."""
    box = []
    for n in pair.labels.shape:
        start = max(0, (n - edge) // 2)
        box.append(slice(start, min(n, start + edge)))
    image = pair.image[(slice(None), *box)]
    return replace(pair, image=image, labels=pair.labels[tuple(box)])


# --- how each set is read ---


def _nuclei(folder: Path) -> Iterator[Region]:
    for item in read_manifest(folder)["items"]:
        image, labels = _read(folder, item["name"], 2)
        kind = "fluorescence" if item["image_type"].startswith("fluo") else "other"
        pair = TrainingPair(image, (labels > 0).astype(np.int8), item["name"])
        yield Region(pair, str(item["group"]), kind)


def _fluorescent(folder: Path) -> Iterator[Region]:
    for region in _nuclei(folder):
        if region.kind == "fluorescence":
            yield Region(region.pair, region.group)


def _sections(folder: Path) -> Iterator[Region]:
    """Yield the sections of the stack, normalised together."""
    for item in _items(folder):
        image, labels = _read(folder, item["name"], 3)
        for z, plane in enumerate(labels):
            group = f"{item['name']} {z // _SECTIONS}"
            pair = TrainingPair(
                image[:, z], plane.astype(np.int8), f"{item['name']} z{z:02}"
            )
            yield Region(pair, group)


def _animals(folder: Path) -> Iterator[Region]:
    for item in _items(folder):
        image, labels = _read(folder, item["name"], 2)
        yield Region(
            TrainingPair(image, labels.astype(np.int8), item["name"]), item["animal"]
        )


def _slabs(folder: Path) -> Iterator[Region]:
    """Yield parts of a volume along Z; where it was cut is no border of the image."""
    for item in _items(folder):
        image, labels = _read(folder, item["name"], 3)
        foreground = (labels > 0).astype(np.int8)
        ends = np.linspace(0, len(labels), _SLABS + 1).round().astype(int)
        for k, (start, stop) in enumerate(pairwise(ends)):
            name = f"{item['name']} slab {k}"
            border = ((k == 0, k == _SLABS - 1), (True, True), (True, True))
            pair = TrainingPair(
                image[:, start:stop], foreground[start:stop], name, border=border
            )
            yield Region(pair, name)


def _items(folder: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())[
        "items"
    ]
    return items


def _read(folder: Path, name: str, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image as one normalised grey channel (1, *S), and its labels (*S)."""
    axes = "ZYX" if dims == 3 else None
    grey = canonical(read_image(image_path(folder, name), axes), dims, "grey", 1)
    config = IntensityConfig()
    pixels = normalise(np.asarray(grey.data), image_range(grey, config), config)
    return pixels, np.asarray(read_labels(labels_path(folder, name), axes).data)


SETS = {
    "dsb2018": Recipe(
        "dsb2018", "nuclei, mixed microscopy", ("nucleus",), 2, 96, 8, _nuclei
    ),
    "dsb2018_fluorescence": Recipe(
        "dsb2018", "nuclei, fluorescence", ("nucleus",), 2, 96, 8, _fluorescent
    ),
    "isbi2012_em": Recipe(
        "isbi2012_em", "membranes, ssTEM", ("membrane",), 2, 96, 8, _sections
    ),
    "axon_sem": Recipe(
        "axon_sem",
        "axon and myelin, SEM",
        ("background", "myelin", "axon"),
        2,
        96,
        8,
        _animals,
    ),
    "plant_nuclei3d": Recipe(
        "plant_nuclei3d",
        "nuclei, 3-D confocal",
        ("nucleus",),
        3,
        32,
        2,
        _slabs,
        # Planes lie 2.2 times further apart than pixels.
        ((1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
    ),
}
"""The sets of the table by name."""
