"""The verbs: what the console, the command line and the panels all call."""

from napari_unetpp.api._calibrate import calibrate
from napari_unetpp.api._evaluate import compare, evaluate
from napari_unetpp.api._export import export_model, import_model, import_name
from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.api._places import finding_places, next_places
from napari_unetpp.api._recipe import (
    RecipeResult,
    model_recipe,
    run_recipe,
    running,
    training_arguments,
)
from napari_unetpp.api._recipe_header import recipe_header
from napari_unetpp.api._recipe_inputs import (
    planned_training_input,
    recipe_folder,
    save_segment_input,
    save_training_input,
)
from napari_unetpp.api._segment import predict, segment, segmenting
from napari_unetpp.api._segment_to import job_request, segment_to, segmenting_to
from napari_unetpp.api._train import DEFAULT_MINUTES, train, training
from napari_unetpp.api._trust import (
    check_seams,
    checking_seams,
    preflight,
    preflighting,
)
from napari_unetpp.api._watching import WatchEvent
from napari_unetpp.io import list_models, load_recipe, save_recipe

__all__ = [
    "DEFAULT_MINUTES",
    "DEFAULT_MODEL",
    "RecipeResult",
    "WatchEvent",
    "calibrate",
    "check_seams",
    "checking_seams",
    "compare",
    "evaluate",
    "export_model",
    "finding_places",
    "import_model",
    "import_name",
    "job_request",
    "list_models",
    "load_model",
    "load_recipe",
    "model_recipe",
    "next_places",
    "planned_training_input",
    "predict",
    "preflight",
    "preflighting",
    "recipe_folder",
    "recipe_header",
    "run_recipe",
    "running",
    "save_recipe",
    "save_segment_input",
    "save_training_input",
    "segment",
    "segment_to",
    "segmenting",
    "segmenting_to",
    "train",
    "training",
    "training_arguments",
]
