"""Files: images and labels in, predictions and results out, models both ways."""

from napari_unetpp.io._images import (
    KINDS,
    as_image,
    read_image,
    read_labels,
    stem,
)
from napari_unetpp.io._model_file import (
    bundled_models,
    check_model_path,
    load_model_file,
    save_model,
)
from napari_unetpp.io._output import (
    OutputFormat,
    check_outputs,
    choose_format,
    output_paths,
    write_results,
)
from napari_unetpp.io._result import OutputKind, Result
from napari_unetpp.io._sample import image_range, sample_intensities
from napari_unetpp.io._store import PredictionStore

__all__ = [
    "KINDS",
    "OutputFormat",
    "OutputKind",
    "PredictionStore",
    "Result",
    "as_image",
    "bundled_models",
    "check_model_path",
    "check_outputs",
    "choose_format",
    "image_range",
    "load_model_file",
    "output_paths",
    "read_image",
    "read_labels",
    "sample_intensities",
    "save_model",
    "stem",
    "write_results",
]
