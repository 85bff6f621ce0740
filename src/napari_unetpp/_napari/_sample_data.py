"""Images to try the panel on; none needs the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetpp.io._synthetic import SyntheticImage

_UNITS = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}
LayerData = tuple[Any, dict[str, Any], str]


def nuclei_stack_sample() -> list[LayerData]:
    """Return a generated stack of planes through nuclei, and its truth, hidden."""
    from napari_unetpp.io._synthetic import nuclei_stack

    return _as_layers(nuclei_stack((24, 384, 384), n_nuclei=120), "nuclei stack")


def nuclei_movie_sample() -> list[LayerData]:
    """Return a generated movie of drifting nuclei, and its truth, hidden."""
    from napari_unetpp.io._synthetic import nuclei_movie

    return _as_layers(nuclei_movie(), "nuclei movie")


def stained_tissue_sample() -> list[LayerData]:
    """Return the immunohistochemistry image that comes with scikit-image, RGB."""
    from skimage.data import immunohistochemistry

    options = {"name": "stained tissue", "rgb": True, "axis_labels": ("Y", "X")}
    return [(immunohistochemistry(), options, "image")]


def _as_layers(image: SyntheticImage, name: str) -> list[LayerData]:
    """Return the image and the labels of a generated image."""
    place = {
        "scale": image.scale,
        "units": tuple(_UNITS[axis] for axis in image.axes),
        "axis_labels": tuple(image.axes),
    }
    truth = {"name": f"{name}, truth", "visible": False, **place}
    return [
        (image.data, {"name": name, **place}, "image"),
        (image.labels, truth, "labels"),
    ]
