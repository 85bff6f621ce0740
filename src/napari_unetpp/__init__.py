"""Segment microscopy images of any size with UNet++, and train it on your labels.

What stands in ``__all__`` is imported when it is first used: torch and dask take
seconds, which a viewer that lists its plugins does not have.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetpp.api import (
        evaluate,
        load_model,
        predict,
        segment,
        segment_to,
        segmenting,
        segmenting_to,
        train,
        training,
    )
    from napari_unetpp.inference import (
        Prediction,
        SavedSegmentation,
        Segmentation,
    )
    from napari_unetpp.io import save_model
    from napari_unetpp.nn import Model, UNetPlusPlus

    __version__: str

__all__ = [
    "Model",
    "Prediction",
    "SavedSegmentation",
    "Segmentation",
    "UNetPlusPlus",
    "__version__",
    "evaluate",
    "load_model",
    "predict",
    "save_model",
    "segment",
    "segment_to",
    "segmenting",
    "segmenting_to",
    "train",
    "training",
]

_HOMES = {
    "Model": "nn",
    "Prediction": "inference",
    "SavedSegmentation": "inference",
    "Segmentation": "inference",
    "UNetPlusPlus": "nn",
    "evaluate": "api",
    "load_model": "api",
    "predict": "api",
    "save_model": "io",
    "segment": "api",
    "segment_to": "api",
    "segmenting": "api",
    "segmenting_to": "api",
    "train": "api",
    "training": "api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-unetpp")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
