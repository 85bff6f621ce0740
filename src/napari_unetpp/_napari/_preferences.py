"""What the user set on the plugin's page of the preferences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari.settings import get_plugin_settings
from napari.utils.notifications import show_warning

from napari_unetpp._amounts import parse_bytes
from napari_unetpp.config import PredictionConfig

_PLUGIN = "napari-unetpp"


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences, checked.

    Attributes
    ----------
    prediction : PredictionConfig
        What the panel begins with.
    model : str
        Name or path of the model it begins with.
    models_folder : Path
        Folder of the user's own models; it need not exist.
    spare_cores : int
        Processor cores that a run leaves to the viewer.
    preview : bool
        Whether what is in view is shown by head 1 first.
    """

    prediction: PredictionConfig
    model: str
    models_folder: Path
    spare_cores: int
    preview: bool = True


def read_preferences() -> Preferences:
    """Read the preferences, in the GUI thread."""
    settings = get_plugin_settings(_PLUGIN)
    chosen = settings.prediction
    folder = settings.models.folder.strip()
    return Preferences(
        prediction=PredictionConfig(
            device=chosen.device.strip() or "auto",
            mode=chosen.mode,
            tile=chosen.tile or None,
            memory=_bytes(chosen.memory),
        ),
        model=chosen.model.strip() or "nuclei",
        models_folder=(
            Path(folder).expanduser()
            if folder
            else Path.home() / "napari-unetpp" / "models"
        ),
        spare_cores=settings.viewer.spare_cores,
        preview=settings.viewer.preview,
    )


def _bytes(text: str) -> int | None:
    """Return an amount of memory; one that is none is told and left out."""
    if not text.strip():
        return None
    try:
        return parse_bytes(text)
    except ValueError as error:
        show_warning(f"Memory, in the preferences of {_PLUGIN}: {error}")
        return None
