"""Segment microscopy images of any size with UNet++, and train it on your labels.

What stands in ``__all__`` is imported when it is first used: torch and dask take
seconds, which a viewer that lists its plugins does not have.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetpp.api import (
        calibrate,
        compare,
        evaluate,
        load_model,
        next_places,
        predict,
        run_recipe,
        segment,
        segment_to,
        segmenting,
        segmenting_to,
        train,
        training,
    )
    from napari_unetpp.inference import (
        Comparison,
        Place,
        Prediction,
        SavedSegmentation,
        Segmentation,
    )
    from napari_unetpp.io import load_recipe, save_model, save_recipe
    from napari_unetpp.nn import Model, UNetPlusPlus

    __version__: str

__all__ = [
    "Comparison",
    "Model",
    "Place",
    "Prediction",
    "SavedSegmentation",
    "Segmentation",
    "UNetPlusPlus",
    "__version__",
    "calibrate",
    "compare",
    "evaluate",
    "load_model",
    "load_recipe",
    "next_places",
    "predict",
    "run_recipe",
    "save_model",
    "save_recipe",
    "segment",
    "segment_to",
    "segmenting",
    "segmenting_to",
    "train",
    "training",
]

_HOMES = {
    "Comparison": "inference",
    "Model": "nn",
    "Place": "inference",
    "Prediction": "inference",
    "SavedSegmentation": "inference",
    "Segmentation": "inference",
    "UNetPlusPlus": "nn",
    "calibrate": "api",
    "compare": "api",
    "evaluate": "api",
    "load_model": "api",
    "load_recipe": "io",
    "next_places": "api",
    "predict": "api",
    "run_recipe": "api",
    "save_model": "io",
    "save_recipe": "io",
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
