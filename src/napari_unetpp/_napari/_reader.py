"""Opening results that were written as OME-Zarr: a layer for each, readable at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari._layers import (
    HEADS,
    KEY,
    LABELS,
    MEAN,
    UNCERTAINTY,
    appearance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_unetpp.arrays import Image
    from napari_unetpp.io import LevelView

    LayerData = tuple[Any, dict[str, Any], str]

_PLACES = {HEADS: HEADS, UNCERTAINTY: UNCERTAINTY, MEAN: MEAN, LABELS: "labels/labels"}
"""Where a result lies in the folder; bottom layer first."""


def get_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """Return what opens `path`, if it is a folder of results written by us.

    Parameters
    ----------
    path : str or sequence of str
        What was dropped on the viewer.
    """
    if not isinstance(path, str) or not path.rstrip("/").endswith(".ome.zarr"):
        return None
    if not any((Path(path) / place).is_dir() for place in _PLACES.values()):
        return None
    return read_results


def read_results(path: str) -> list[LayerData]:
    """Return the layers of a folder of results, probabilities still on disk.

    Raises
    ------
    ImageError
        If the folder is damaged.
    """
    from napari_unetpp.io import read_provenance, stem

    name = stem(path.rstrip("/"))
    made = {"file": str(Path(path)), **read_provenance(Path(path))}
    found = [
        layer
        for kind, place in _PLACES.items()
        if (Path(path) / place).is_dir()
        for layer in _layers(Path(path) / place, kind, name)
    ]
    for _, options, _ in found:  # what made them, as layers of a run tell it, too
        part = options["name"].removeprefix(f"{name} | ")
        options["metadata"][KEY] |= {"part": part, **made}
    return found


def _layers(folder: Path, kind: str, name: str) -> Iterator[LayerData]:
    """Yield the layers of one result: one for each head or class."""
    from napari_unetpp._napari._stored import open_levels
    from napari_unetpp.io import read_image

    single_heads = sorted(folder.glob("[1-9]*/"), key=lambda head: -int(head.name))
    if kind == HEADS and not (folder / "0").exists():  # each has its classes
        for head in single_heads:
            yield from _layers(head, f"head {head.name}", name)
        return
    image = read_image(folder)
    if "C" not in image.axes:
        yield _layer(*open_levels(folder, 0), kind, f"{name} | {kind}")
        return
    what = "head" if kind == HEADS else f"{kind}, class"
    for index in reversed(range(image.n_channels)):
        label = f"{name} | {what} {index + 1}"
        yield _layer(*open_levels(folder, index), kind, label)


def _layer(image: Image, views: list[LevelView], kind: str, name: str) -> LayerData:
    """Return data, options and type of a layer."""
    from napari_unetpp._napari._levels import ShownLevel
    from napari_unetpp._napari._results import Layout
    from napari_unetpp._napari._stored import shown_labels

    kept = [at for at, letter in enumerate(image.axes) if letter != "C"]
    axes = "".join(image.axes[at] for at in kept)
    translate = image.translate or (0.0,) * len(image.axes)
    options: dict[str, Any] = {
        "name": name,
        "scale": tuple(image.scale[at] for at in kept),
        "translate": tuple(translate[at] for at in kept),
        "units": tuple(image.units[at] for at in kept),
        "axis_labels": tuple(axes),
        "metadata": {KEY: {"result": kind}},  # so that panels do not offer it
    }
    layout = Layout(axes, axes, views[0].shape, min(len(axes), 3))
    if kind == LABELS:
        labels = shown_labels(views, layout)
        return labels, options | {"multiscale": isinstance(labels, list)}, "labels"
    sizes = [ShownLevel((view,), layout) for view in views]
    several = len(sizes) > 1
    options |= {"visible": kind == MEAN, "multiscale": several, **appearance(kind)}
    return sizes if several else sizes[0], options, "image"
