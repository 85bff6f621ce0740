"""Where the next label helps a model most."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_unetpp.api._models import load_model
from napari_unetpp.api._watching import Labelling
from napari_unetpp.inference import (
    LiveImages,
    LivePredictor,
    PlaceSearch,
    resolve_device,
    result_of,
    search_places,
)
from napari_unetpp.nn import Model

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from napari_unetpp.config import Nonfinite
    from napari_unetpp.inference import BlockDone, Place, PlacesFound

N_PLACES = 10
"""Places that are looked for."""


def next_places(
    image: object,
    labels: object,
    model: str | Path | Model,
    *,
    n: int = N_PLACES,
    unlabelled: int = 0,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
    device: str = "auto",
) -> tuple[Place, ...]:
    """Find the regions of an image in which labels help a model most.

    They are those in which the model's heads are least sure, without what is labelled,
    and apart from each other. Of a large image an evenly spread part of about two
    million pixels is looked at.

    Parameters
    ----------
    image : path, array, layer or Image
        The image that is being labelled.
    labels : path, array, layer or Image
        Its labels so far.
    model : str, Path or Model
        What has been learnt from them, as in `load_model`.
    n : int
        Places wanted.
    unlabelled : int
        Label value of pixels that nobody has labelled.
    axes, channel, nonfinite, device
        As in `predict`.

    Returns
    -------
    tuple of Place
        At most `n`, the best first; empty if nothing is left to label.

    Raises
    ------
    InputError, ModelFileError, DeviceError
        As in `predict`; `LabelsError` also if the labels do not fit the image.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:256, :256]
    >>> labels = (image[..., 0] * 0)  # nothing yet
    >>> places = napari_unetpp.next_places(image, labels, "nuclei", n=2, device="cpu")
    >>> len(places), len(places[0].box), len(places[0].centre)
    (2, 2, 2)
    """
    return result_of(
        finding_places(
            [image],
            [labels],
            model,
            n=n,
            unlabelled=unlabelled,
            axes=axes,
            channel=channel,
            nonfinite=nonfinite,
            device=device,
        )
    )


def finding_places(
    images: Sequence[object],
    labels: Sequence[object],
    model: str | Path | Model,
    *,
    n: int = N_PLACES,
    unlabelled: int = 0,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
    device: str = "auto",
) -> Generator[BlockDone | PlacesFound, None, tuple[Place, ...]]:
    """Find places to label in several images, telling what happens.

    Parameters
    ----------
    images, labels : sequence of paths, arrays, layers or Images
        The images, and the labels of each in the same order.
    model, n, unlabelled, axes, channel, nonfinite, device
        As in `next_places`.

    Yields
    ------
    BlockDone
        After each tile that was looked at. Closing the generator ends the search.
    PlacesFound
        At last, with the places, which are also returned.

    Raises
    ------
    InputError, ModelFileError, DeviceError
        As in `next_places`.
    """
    labelling = Labelling(
        images=images,
        labels=labels,
        unlabelled=unlabelled,
        axes=axes,
        channel=channel,
        nonfinite=nonfinite,
    )
    target = resolve_device(device)
    loaded = load_model(model)
    network = copy.deepcopy(loaded.network).eval().to(target)
    predictor = LivePredictor(Model(network, loaded.config))
    opened = LiveImages(labelling.open_images(), loaded.config, nonfinite)
    search = PlaceSearch(
        labelling.searched(opened), predictor, n=n, unlabelled=unlabelled
    )
    try:
        return (yield from search_places(search, predictor, uuid4().hex))
    finally:
        predictor.close()
