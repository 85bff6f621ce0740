"""What all images of one ``segment`` command share, and the words that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from napari_unetpp import api
from napari_unetpp.api._recipe_inputs import open_mask
from napari_unetpp.config import OutputConfig, WorkersConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference import result_kinds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_unetpp._recipe import SegmentInput
    from napari_unetpp.config import PredictionConfig, Task
    from napari_unetpp.inference import JobRequest
    from napari_unetpp.nn import Model


@dataclass(frozen=True, slots=True)
class Job:
    """What all images of one command share."""

    model: Model
    settings: PredictionConfig
    folder: Path
    outputs: OutputConfig
    """What is kept; `form` stands in place of its form, which "auto" leaves open."""
    form: Literal["auto", "tif", "zarr"] = "auto"
    overwrite: bool = False
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    axes: str | None = None
    channel: int | None = None
    mask: Path | None = None
    dry_run: bool = False
    """Only tell what the runs would take."""
    inputs: Mapping[Path, SegmentInput] = field(default_factory=dict)
    """Of a recipe: axes, channel and mask of each image, in place of those above."""

    def request(self, image: Path) -> JobRequest:
        """Return what is asked for of one image, opened but not read."""
        own = self.inputs.get(image)
        return api.job_request(
            image,
            self.folder,
            self.model,
            self.settings,
            self.outputs,
            self.workers,
            form=self.form,
            axes=own.axes if own else self.axes,
            channel=own.channel if own else self.channel,
            mask=open_mask(own) if own else self.mask,
            overwrite=self.overwrite,
        )


def keep(
    text: str | None,
    model: Model,
    settings: PredictionConfig,
    probability: Literal["uint8", "float16"] = "uint8",
    ome_zarr: Literal["0.5", "0.4"] = "0.5",
    labels_beside: bool = False,
) -> OutputConfig:
    """Return the results that ``--save`` asks for; without it all that there are.

    The others are as in `OutputConfig`.
    """
    wanted = None if text is None else [word.strip() for word in text.split(",")]
    return OutputConfig(
        kinds=result_kinds(model, settings, wanted),
        probability=probability,
        ome_zarr=ome_zarr,
        labels_beside=labels_beside,
    )


def load(name: str, task: Task | None) -> Model:
    """Return a model; refuse one that does not find what is asked for."""
    model = api.load_model(name)
    if task is not None and model.config.task != task:
        raise SettingsError(
            f"--type {task}: the model {model.config.name!r} finds"
            f" {model.config.task}; leave --type out, or choose another model"
        )
    return model
