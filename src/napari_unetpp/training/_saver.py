"""The place where a run writes its checkpoints, and from where it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unetpp.errors import OutputError, TrainingError
from napari_unetpp.training._checkpoint import (
    DAMAGE,
    Checkpoint,
    damaged,
    fingerprint,
    read_checkpoint,
    write_checkpoint,
)
from napari_unetpp.training._events import CheckpointSaved, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from napari_unetpp.config import ModelConfig, TrainingConfig
    from napari_unetpp.training._events import TrainingEvent
    from napari_unetpp.training._material import Material
    from napari_unetpp.training._state import TrainingState


class Saver:
    """Writes and reads the checkpoint of one run.

    Parameters
    ----------
    path : Path, optional
        Its file; without one nothing is kept.
    config : ModelConfig
        The model at the start.
    settings : TrainingConfig
        As they were asked for.
    identity : str
        What a checkpoint must agree on beside these.
    recipe : mapping, optional
        Kept beside the state.

    Attributes
    ----------
    dirty : bool
        Whether the state has something that the file does not.
    """

    def __init__(
        self,
        path: Path | None,
        config: ModelConfig,
        settings: TrainingConfig,
        identity: str,
        recipe: Mapping[str, JsonValue] | None,
    ) -> None:
        self.path, self.recipe = path, recipe
        self.dirty = False
        self._fingerprint = fingerprint(config, settings, identity)
        self._can_write = True

    def save(
        self, run_id: str, config: ModelConfig, material: Material, state: TrainingState
    ) -> Iterator[TrainingEvent]:
        """Write the state; where that is not possible, say so and go on."""
        if self.path is None:
            return
        checkpoint = Checkpoint(
            self._fingerprint,
            config,
            material.settings,
            material.labels,
            material.data.sides,
            self.recipe,
            state.content(),
        )
        try:
            write_checkpoint(checkpoint, self.path)
        except OutputError as error:
            if self._can_write:  # once, not at every epoch of a long night
                yield Notice(
                    run_id,
                    f"checkpoint not written: {error}. Training goes on, and every"
                    " epoch tries again",
                )
            self._can_write = False
            return
        self.dirty, self._can_write = False, True
        yield CheckpointSaved(run_id, self.path)

    def load(self, config: ModelConfig, state: TrainingState) -> Checkpoint | None:
        """Let `state` go on from the file; ``None`` without one.

        Raises
        ------
        TrainingError
            If the file is damaged or belongs to another run.
        """
        if self.path is None or not self.path.exists():
            return None
        saved = read_checkpoint(self.path)
        same_classes = saved.config.class_values == config.class_values
        if saved.fingerprint != self._fingerprint or not same_classes:
            raise TrainingError(
                f"{self.path}: the checkpoint belongs to a run with other images,"
                " classes or settings; repeat the command it was made with, or delete"
                " it"
            )
        try:
            state.load(saved.state)
        except DAMAGE as error:
            raise damaged(self.path) from error
        return saved
