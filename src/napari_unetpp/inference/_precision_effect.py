"""What a lower precision changes, on a piece of the image itself."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.inference._predicting import predict_image

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.arrays import Image, IntensityRange
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.inference._events import Event
    from napari_unetpp.nn import Model


def changed_labels(
    piece: Image,
    model: Model,
    settings: PredictionConfig,
    run_id: str,
    intensity: IntensityRange,
) -> Generator[Event, None, float]:
    """Return the share of pixels to which bfloat16 gives another class than float32.

    Parameters
    ----------
    piece : Image
        A small part of an image.
    model, settings : Model, PredictionConfig
        What predicts, and how.
    run_id : str
        Stands in the events.
    intensity : IntensityRange
        Of the whole image.

    Yields
    ------
    Event
        While the piece is predicted, twice.
    """
    classes = []
    for precision in ("float32", "bfloat16"):
        alike = settings.model_copy(update={"precision": precision})
        run: Any = predict_image(piece, model, alike, run_id, intensity=intensity)
        with closing(run):
            prediction = yield from run
        classes.append(_classes(np.asarray(prediction.mean)))
    return float(np.mean(classes[0] != classes[1]))


def _classes(mean: FloatArray) -> npt.NDArray[np.intp]:
    """Return the likeliest class of each pixel, from probabilities (K, *S)."""
    both = np.concatenate([1 - mean, mean]) if len(mean) == 1 else mean
    found: npt.NDArray[np.intp] = both.argmax(axis=0)
    return found
