"""Files: images and labels in, predictions and results out, models both ways."""

from napari_unetpp.io._bioimageio_description import PackageInfo
from napari_unetpp.io._bioimageio_export import export_package
from napari_unetpp.io._bioimageio_import import import_package
from napari_unetpp.io._export import (
    EXPORT_SUFFIXES,
    Exported,
    ExportFormat,
    check_export,
    export_program,
)
from napari_unetpp.io._images import (
    KINDS,
    as_image,
    read_image,
    read_labels,
    stem,
)
from napari_unetpp.io._ledger import Ledger
from napari_unetpp.io._model_file import (
    bundled_models,
    check_model_path,
    load_model_file,
    read_model_config,
    save_model,
)
from napari_unetpp.io._model_folder import (
    ModelEntry,
    delete_model,
    list_models,
    model_card,
    model_files,
    models_folder,
    rename_model,
)
from napari_unetpp.io._output import (
    OutputFormat,
    check_outputs,
    choose_format,
    output_paths,
)
from napari_unetpp.io._publish import (
    labels_beside,
    ome_zarr_version,
    publish,
    read_fingerprint,
    read_provenance,
)
from napari_unetpp.io._recipe_file import (
    check_recipe_path,
    load_recipe,
    recipe_text,
    save_recipe,
)
from napari_unetpp.io._result import OutputKind, Result
from napari_unetpp.io._result_layout import ResultLayout
from napari_unetpp.io._result_store import ResultStore
from napari_unetpp.io._result_view import LevelView
from napari_unetpp.io._sample import image_range, sample_intensities
from napari_unetpp.io._store import PredictionStore

__all__ = [
    "EXPORT_SUFFIXES",
    "KINDS",
    "ExportFormat",
    "Exported",
    "Ledger",
    "LevelView",
    "ModelEntry",
    "OutputFormat",
    "OutputKind",
    "PackageInfo",
    "PredictionStore",
    "Result",
    "ResultLayout",
    "ResultStore",
    "as_image",
    "bundled_models",
    "check_export",
    "check_model_path",
    "check_outputs",
    "check_recipe_path",
    "choose_format",
    "delete_model",
    "export_package",
    "export_program",
    "image_range",
    "import_package",
    "labels_beside",
    "list_models",
    "load_model_file",
    "load_recipe",
    "model_card",
    "model_files",
    "models_folder",
    "ome_zarr_version",
    "output_paths",
    "publish",
    "read_fingerprint",
    "read_image",
    "read_labels",
    "read_model_config",
    "read_provenance",
    "recipe_text",
    "rename_model",
    "sample_intensities",
    "save_model",
    "save_recipe",
    "stem",
]
