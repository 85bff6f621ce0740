"""Sure where it is right: a model calibrated on labelled images."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from napari_unetpp.api._models import load_model
from napari_unetpp.inference import find_objects, resolve_device, result_of
from napari_unetpp.training import calibrate_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_unetpp.config import Nonfinite
    from napari_unetpp.nn import Model


def calibrate(
    model: str | Path | Model,
    images: Sequence[object],
    labels: Sequence[object],
    *,
    unlabelled: int | None = None,
    axes: str | None = None,
    channel: int | None = None,
    nonfinite: Nonfinite = "error",
    device: str = "auto",
) -> Model:
    """Make a model's probabilities as sure as it is right on labelled images.

    A training does this at its end by what it holds out. Done again with images like
    those that are to be segmented, it suits them; they must not be those that the model
    has learnt from, where it is right too often.

    Fitted are the temperature of each head, which makes the labels likeliest, and for
    instance models the thresholds and the smallest size with which the objects are
    found best (mean of the average precision at IoU 0.5, 0.55 ... 0.9). Fewer than 20
    objects choose no thresholds.

    Parameters
    ----------
    model : str, Path or Model
        As in `load_model`; it is not changed.
    images : sequence of paths, arrays, layers or Images
        What to calibrate on.
    labels : sequence of paths, arrays, layers or Images
        The truth of each, in the same order: objects 1...n on 0, or class values.
    unlabelled : int, optional
        Label value of pixels that nobody labelled.
    axes, channel, nonfinite, device
        As in `predict`.

    Returns
    -------
    Model
        With the same network; what was fitted, and what that mends, stands in
        ``model.config.training["calibration"]``.

    Raises
    ------
    LabelsError
        If labels do not fit their image or the model, or fewer than 1000 pixels are
        labelled.
    InputError, ModelFileError, DeviceError
        As in `predict`.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> labels = napari_unetpp.segment(image, device="cpu").labels
    >>> model = napari_unetpp.calibrate("nuclei", [image], [labels], device="cpu")
    >>> len(model.config.temperatures)
    4
    """
    loaded = load_model(model)
    events = calibrate_model(
        type(loaded)(copy.deepcopy(loaded.network), loaded.config),
        images,
        labels,
        resolve_device(device),
        find_objects,
        unlabelled=unlabelled,
        axes=axes,
        channel=channel,
        nonfinite=nonfinite,
    )
    return result_of(events)
