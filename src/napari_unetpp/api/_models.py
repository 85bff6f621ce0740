"""Which model is meant: one of the package, a file, or one that is loaded."""

from __future__ import annotations

from pathlib import Path

from napari_unetpp.io import bundled_models, load_model_file
from napari_unetpp.nn import Model

DEFAULT_MODEL = "nuclei"


def load_model(model: str | Path | Model = DEFAULT_MODEL) -> Model:
    """Load a model.

    Parameters
    ----------
    model : str, Path or Model
        Name of a model that comes with the package, or a model file. A model that is
        loaded already is returned as it is.

    Returns
    -------
    Model
        On the CPU, in evaluation mode.

    Raises
    ------
    ModelFileError
        If there is no such model, or its file is damaged or could run code.

    Examples
    --------
    >>> import napari_unetpp
    >>> model = napari_unetpp.load_model("nuclei")
    >>> model.config.class_names
    ('background', 'interior', 'boundary')
    """
    if isinstance(model, Model):
        return model
    return load_model_file(bundled_models().get(str(model), Path(model)))
