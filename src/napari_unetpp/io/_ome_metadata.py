"""What OME-Zarr 0.4 and 0.5 want to know of an image, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unetpp.arrays import PIXEL
from napari_unetpp.io._result_layout import STEPS

if TYPE_CHECKING:
    from napari_unetpp.io._pyramid import Level
    from napari_unetpp.io._result_layout import OmeZarr, ResultLayout, StoredImage

OURS = "napari-unetpp"
"""Attribute of the folder that tells where the results come from."""

_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_COLOURS = ("FFFFFF", "00FF00", "FF00FF", "00FFFF", "FFFF00", "FF0000", "0000FF")


def root_attributes(layout: ResultLayout) -> dict[str, Any]:
    """Return the attributes of the folder: its first image, and the provenance."""
    first = layout.images()[0]
    return {
        **_image_metadata(first, layout, f"{first.place}/"),
        OURS: provenance(layout),
    }


def provenance(layout: ResultLayout) -> dict[str, Any]:
    """Return where results come from, as they tell it themselves."""
    return {
        **layout.attributes,
        "task": layout.task,
        "head_names": list(layout.head_names),
        "class_names": list(layout.class_names),
    }


def image_attributes(image: StoredImage, layout: ResultLayout) -> dict[str, Any]:
    """Return the attributes of the group of an image.

    Labels may be copied beside another image, so they tell where they come from.
    """
    ours = {OURS: provenance(layout)} if image.kind == "labels" else {}
    return {**_image_metadata(image, layout, ""), **ours}


def labels_attributes(names: list[str], version: OmeZarr) -> dict[str, Any]:
    """Return the attributes of the group that holds images of labels."""
    return _versioned({"labels": names}, version)


def _image_metadata(
    image: StoredImage, layout: ResultLayout, folder: str
) -> dict[str, Any]:
    """Return the metadata of an image whose levels lie in `folder`."""
    version = layout.ome_zarr
    multiscale: dict[str, Any] = {
        "name": image.place if image.head is not None else image.kind,
        "axes": [_axis(letter, layout) for letter in image.axes],
        "datasets": [
            {
                "path": f"{folder}{number}",
                "coordinateTransformations": _placement(image, level, layout),
            }
            for number, level in enumerate(image.levels)
        ],
    }
    if version == "0.4":
        multiscale["version"] = version
    metadata: dict[str, Any] = {"multiscales": [multiscale]}
    if image.kind != "labels":
        metadata["omero"] = _display(image)
    elif not folder:
        source: dict[str, Any] = {"source": {"image": "../../"}}
        metadata["image-label"] = source
        if version == "0.4":
            source["version"] = version
    return _versioned(metadata, version)


def _versioned(metadata: dict[str, Any], version: OmeZarr) -> dict[str, Any]:
    """Return metadata in the place where a version has them."""
    if version == "0.4":
        return metadata
    return {"ome": {"version": version, **metadata}}


def _axis(letter: str, layout: ResultLayout) -> dict[str, str]:
    """Return the name, and type and unit if known, of an axis."""
    axis = {"name": letter.lower()}
    if letter in _TYPES:
        axis["type"] = _TYPES[letter]
    if letter in layout.axes:
        unit = layout.units[layout.axes.index(letter)]
        if unit != PIXEL:
            axis["unit"] = unit
    return axis


def _placement(
    image: StoredImage, level: Level, layout: ResultLayout
) -> list[dict[str, Any]]:
    """Return scale and translation of a level, whose pixels cover whole ones below.

    So the centre of its first pixel lies between the centres of those that it covers.
    """
    scale, translation = [], []
    factors = dict(zip(layout.spatial_axes, level.factor, strict=True))
    for letter in image.axes:
        if letter not in layout.axes:
            scale.append(1.0)
            translation.append(0.0)
            continue
        at, factor = layout.axes.index(letter), factors.get(letter, 1)
        scale.append(float(layout.scale[at] * factor))
        shift = layout.scale[at] * (factor - 1) / 2
        translation.append(float(layout.translate[at] + shift))
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(translation):
        steps.append({"type": "translation", "translation": translation})
    return steps


def _display(image: StoredImage) -> dict[str, Any]:
    """Return names, colours and the range of values for other viewers."""
    most = float(STEPS if image.dtype == "uint8" else 1)
    names = image.channels or (image.kind,)
    window = {"min": 0.0, "max": most, "start": 0.0, "end": most}
    return {
        "channels": [
            {
                "label": name,
                "color": _COLOURS[at % len(_COLOURS)],
                "window": window,
                "active": at == 0,
            }
            for at, name in enumerate(names)
        ]
    }
