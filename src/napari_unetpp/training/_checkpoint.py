"""The file from which a run goes on after a crash, a full disk or a night."""

from __future__ import annotations

import hashlib
import pickle
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from napari_unetpp.config import ModelConfig, TrainingConfig
from napari_unetpp.errors import TrainingError
from napari_unetpp.io._disk import beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from napari_unetpp.training._loop import TrainingData

DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    pickle.UnpicklingError,
)
"""What torch raises, or we, when a file is no checkpoint of ours."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run that can go on.

    Attributes
    ----------
    fingerprint : str
        Of what must be the same: images, model, settings; not the labels.
    config : ModelConfig
        The model, with the classes it has learnt so far.
    settings : TrainingConfig
        Those in use, with batch and patch as they fit into memory.
    labels : str
        Fingerprint of the labels that were learnt last.
    sides : mapping of str to bool
        Which places are held out.
    recipe : mapping, optional
        The recipe of the run, if it has one.
    state : mapping
        Tensors and numbers of `TrainingState`.
    """

    fingerprint: str
    config: ModelConfig
    settings: TrainingConfig
    labels: str
    sides: Mapping[str, bool]
    recipe: Mapping[str, JsonValue] | None
    state: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self.state["numbers"]["epoch"])


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint beside its place, then rename it.

    Raises
    ------
    OutputError
        If it cannot be written; the last one, if there is any, is kept.
    """
    content = {
        "fingerprint": checkpoint.fingerprint,
        "config": checkpoint.config.model_dump_json(),
        "settings": checkpoint.settings.model_dump_json(),
        "labels": checkpoint.labels,
        "sides": {place: bool(out) for place, out in checkpoint.sides.items()},
        "recipe": checkpoint.recipe,
        "state": dict(checkpoint.state),
    }
    cure = "free some space there, or see that you may write to the folder"
    if path.exists():
        cure += "; the last checkpoint is kept"
    with beside(path, cure) as part, part.open("wb") as file:
        _write(content, file)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    TrainingError
        If it is damaged, of another version or no checkpoint.
    """
    try:
        # weights_only: tensors and plain values, never code.
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(
            content["fingerprint"],
            ModelConfig.model_validate_json(content["config"]),
            TrainingConfig.model_validate_json(content["settings"]),
            content["labels"],
            content["sides"],
            content["recipe"],
            content["state"],
        )
    except DAMAGE as error:
        raise damaged(path) from error


def damaged(path: Path) -> TrainingError:
    """Return the error that a file is no checkpoint of ours."""
    return TrainingError(
        f"{path}: the checkpoint is damaged, or of another version of napari-unetpp;"
        " delete it and start anew"
    )


def fingerprint(config: ModelConfig, settings: TrainingConfig, identity: str) -> str:
    """Return what a checkpoint must agree on, in a few letters.

    Labels and classes are no part of it: they may change while a run is stopped.
    """
    classes = {"class_names", "class_values", "class_colours"}
    parts = [
        config.model_dump_json(exclude={"training", "network", *classes}),
        config.network.model_dump_json(exclude={"out_channels"}),
        settings.model_dump_json(),
        identity,
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fingerprint_of_labels(data: TrainingData) -> str:
    """Return what tells whether labels have changed."""
    parts = [
        f"{pair.name}{pair.labels.shape}"
        f"{zlib.crc32(np.ascontiguousarray(pair.labels).data)}"
        for pair in (*data.pairs, *data.validation)
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _write(content: dict[str, Any], file: BinaryIO) -> None:
    """Write as torch does, but raise what stopped it, which torch hides."""
    try:
        torch.save(content, file)
    except RuntimeError as error:  # from closing an archive that is incomplete
        if isinstance(error.__context__, OSError | KeyboardInterrupt):
            raise error.__context__ from None
        raise
