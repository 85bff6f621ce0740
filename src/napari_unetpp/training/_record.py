"""What is kept of a run in the header of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetpp.training._material import Material
    from napari_unetpp.training._state import TrainingState

BEST = "the epoch with the best validation score"
LATEST = "the latest weights: nothing was held out to choose by"
CUT_SHORT = "the latest weights: training was stopped in its first epoch"


def record_of(state: TrainingState, material: Material, kept: str) -> dict[str, Any]:
    """Return the data, settings and scores of a run; `kept` says which weights."""
    data = material.data
    return {
        "settings": material.settings.model_dump(mode="json"),
        "n_regions": len(data.pairs),
        "n_validation": len(data.validation),
        "n_labelled": material.n_labelled,
        "held_out": data.held_out,
        "steps": state.step,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "kept": kept,
        "setbacks": state.setbacks,
        "rate_factor": state.rate_factor,
        "seconds": round(state.tick(), 1),
        "history": state.history,
    }
