"""Scores of a model on labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import LabelsError
from napari_unetpp.inference import evaluate_images
from napari_unetpp.io import as_image, read_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_unetpp.config import Nonfinite
    from napari_unetpp.nn import Model


def evaluate(
    images: Sequence[object],
    labels: Sequence[object],
    model: str | Path | Model = DEFAULT_MODEL,
    *,
    axes: str | None = None,
    channel: int | None = None,
    level: int | None = None,
    device: str = "auto",
    tile: int | None = None,
    batch: int = 1,
    nonfinite: Nonfinite = "error",
    unlabelled: int | None = None,
) -> dict[str, Any]:
    """Compare what a model finds with labels, for every head and their mean.

    Parameters
    ----------
    images : sequence of paths, arrays, layers or Images
        What is segmented.
    labels : sequence of paths, arrays, layers or Images
        The truth of each, in the same order.
    model, axes, channel, level, device, tile, batch, nonfinite
        As in `predict`.
    unlabelled : int, optional
        Label value of pixels that nobody labelled; they are in no sum.

    Returns
    -------
    dict
        ``n_images``; ``accurate``, the measures of the mean of the heads; ``heads``,
        those of each head, head 1 first; ``images``, those of each image.

    Raises
    ------
    InputError
        If there are no images, or labels do not fit them.
    ModelFileError, DeviceError, OutputError
        As in `predict`.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> labels = napari_unetpp.segment(image, device="cpu").labels
    >>> scores = napari_unetpp.evaluate([image], [labels], device="cpu")
    >>> scores["n_images"], scores["accurate"]["iou"]
    (1, 1.0)
    """
    if len(images) != len(labels):
        raise LabelsError(
            f"{len(images)} images and {len(labels)} labels: give labels for each"
            " image, in the same order"
        )
    settings = PredictionConfig(
        level=level, device=device, tile=tile, batch=batch, nonfinite=nonfinite
    )
    pairs = (
        (as_image(image, axes, channel), read_labels(truth))
        for image, truth in zip(images, labels, strict=True)
    )
    return evaluate_images(pairs, load_model(model), settings, unlabelled=unlabelled)
