"""Segment microscopy images of any size with UNet++, and train it on your labels.

What stands in ``__all__`` is imported when it is first used: torch and dask take
seconds, which a viewer that lists its plugins does not have.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetpp._qt._console_run import in_background
    from napari_unetpp.api import (
        calibrate,
        check_seams,
        compare,
        evaluate,
        export_model,
        import_model,
        list_models,
        load_model,
        next_places,
        predict,
        preflight,
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
    "check_seams",
    "compare",
    "evaluate",
    "export_model",
    "import_model",
    "in_background",
    "list_models",
    "load_model",
    "load_recipe",
    "next_places",
    "predict",
    "preflight",
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
    "check_seams": "api",
    "compare": "api",
    "evaluate": "api",
    "export_model": "api",
    "import_model": "api",
    "in_background": "_qt._console_run",
    "list_models": "api",
    "load_model": "api",
    "load_recipe": "io",
    "next_places": "api",
    "predict": "api",
    "preflight": "api",
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


class _Facade(ModuleType):
    """The package, whose verb `training` is not lost to the subpackage of that name.

    An import makes a subpackage an attribute of its parent, and so it would be found
    in place of the verb, once anything has been trained or segmented.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-unetpp")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
