"""Settings: frozen, self-checking values that every other floor takes in.

Nothing here computes; a setting that is out of range is refused when it is built.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal, Self

from pydantic import (
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from napari_unetpp._amounts import parse_bytes, parse_diameter
from napari_unetpp._settings import IntensityConfig as IntensityConfig
from napari_unetpp._settings import ProgramConfig as ProgramConfig
from napari_unetpp._settings import Settings as Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Architecture = Literal["unetpp", "unet", "program"]
Upsampling = Literal["transposed", "linear", "nearest"]
Norm = Literal["batch", "none"]
Task = Literal["instances", "classes"]
Mode = Literal["accurate", "fast"]
Precision = Literal["auto", "float32", "bfloat16"]
Channels = Literal["grey", "rgb", "as_is"]
Nonfinite = Literal["error", "background"]
OutputKind = Literal["labels", "mean", "heads", "uncertainty"]

INSTANCE_CLASSES = ("background", "interior", "boundary")
"""What the heads of an instance model learn, in the order of their channels."""


class NetworkConfig(Settings):
    """Shape of a network.

    ``widths[i]`` is the number of feature maps of the nodes X[i, j], so the depth L is
    ``len(widths) - 1``. ``strides[i]`` is the pooling between level i and level i + 1,
    one integer for each spatial axis; left empty it is 2 everywhere.
    """

    architecture: Architecture = "unetpp"
    spatial_dims: Literal[2, 3] = 2
    in_channels: int = Field(default=1, ge=1)
    out_channels: int = Field(default=1, ge=1)
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    strides: tuple[tuple[int, ...], ...] = ()
    upsampling: Upsampling = "transposed"
    norm: Norm = "batch"
    program: ProgramConfig | None = None
    """Of a program that others made; widths are then a guess at the memory it takes,
    and strides say which sizes it accepts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.architecture == "program") != (self.program is not None):
            raise ValueError(
                f"architecture={self.architecture!r} and program={self.program} do not"
                " go together: a program, and nothing else, says how it is run"
            )
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(
                f"widths={self.widths}: at least two levels of at least one feature map"
                " each are needed, for example (32, 64, 128, 256, 512)"
            )
        if self.strides and len(self.strides) != self.depth:
            raise ValueError(
                f"strides={self.strides}: one entry for each of the {self.depth} steps"
                " down is needed; leave it empty for 2 everywhere"
            )
        for stride in self.strides:
            if len(stride) != self.spatial_dims or min(stride) < 1:
                raise ValueError(
                    f"strides={self.strides}: every entry needs {self.spatial_dims}"
                    " integers of at least 1, one for each spatial axis"
                )
        return self

    @property
    def depth(self) -> int:
        """Number of times the image is pooled (L), also the number of heads."""
        return len(self.widths) - 1

    @property
    def n_heads(self) -> int:
        """Number of heads: L for UNet++, one for U-Net."""
        return self.depth if self.architecture == "unetpp" else 1

    @property
    def level_strides(self) -> tuple[tuple[int, ...], ...]:
        """Pooling of each step down, one integer for each spatial axis."""
        return self.strides or ((2,) * self.spatial_dims,) * self.depth

    def alignment(self, level: int | None = None) -> tuple[int, ...]:
        """Pixels along each axis that sizes and origins are multiples of."""
        steps = self.level_strides[: level or self.depth]
        return tuple(math.prod(axis) for axis in zip(*steps, strict=True))


class InstanceConfig(Settings):
    """How probabilities become objects."""

    foreground_threshold: float = Field(default=0.5, gt=0, lt=1)
    seed_threshold: float = Field(default=0.5, gt=0, lt=1)
    min_size: int = Field(default=16, ge=0)
    """Smallest object kept, in pixels."""


class ModelConfig(Settings):
    """All of a model but its weights: what is saved in the header of the file."""

    name: str = "model"
    network: NetworkConfig
    task: Task
    class_names: tuple[str, ...]
    class_values: tuple[int, ...]
    """Label value of each output channel (class models: what the user painted)."""
    class_colours: tuple[str, ...] = ()
    """Colour of each class as "#rrggbb"; empty leaves the choice to the viewer."""
    channels: Channels = "as_is"
    """``grey``: any image is made one grey channel, ``rgb``: red, green and blue, alike
    where it is grey; ``as_is``: channels must match."""
    intensity: IntensityConfig = IntensityConfig()
    instances: InstanceConfig = InstanceConfig()
    diameter: float | None = Field(default=None, gt=0)
    """Usual diameter of the objects that were learnt, in pixels."""
    temperatures: tuple[float, ...] = ()
    """What the logits of each head are divided by, head 1 first; empty is 1 for all."""
    head_weights: tuple[tuple[float, ...], ...] = ()
    """Shares of the heads 1...d in their mean at each level d, level 1 first; empty is
    equal shares."""
    description: str = ""
    training: dict[str, JsonValue] = Field(default_factory=dict)
    """Record of the training that made the weights."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        n = self.network.out_channels
        if len(self.class_names) != n or len(self.class_values) != n:
            raise ValueError(
                f"class_names={self.class_names} and class_values={self.class_values}"
                f" need one entry for each of the {n} output channels"
            )
        if self.class_colours and len(self.class_colours) != n:
            raise ValueError(
                f"class_colours={self.class_colours} needs one colour for each of the"
                f" {n} output channels; leave it empty to let the viewer choose"
            )
        for colour in self.class_colours:
            if re.fullmatch("#[0-9a-fA-F]{6}", colour) is None:
                raise ValueError(
                    f"class_colours: {colour!r} is no colour; write red, green and blue"
                    ' as six hexadecimal digits, for example "#1f77b4"'
                )
        if self.task == "instances" and self.class_names != INSTANCE_CLASSES:
            raise ValueError(
                f"an instance model has the classes {INSTANCE_CLASSES}, not"
                f" {self.class_names}"
            )
        wanted = {"grey": 1, "rgb": 3}.get(self.channels, self.network.in_channels)
        if self.network.in_channels != wanted:
            raise ValueError(
                f"channels={self.channels!r} needs a network with {wanted} input"
                f" channel{'s' * (wanted > 1)}, not {self.network.in_channels}"
            )
        self._check_temperatures()
        self._check_head_weights()
        return self

    def _check_temperatures(self) -> None:
        n_heads = self.network.n_heads
        if self.temperatures and (
            len(self.temperatures) != n_heads or min(self.temperatures) <= 0
        ):
            raise ValueError(
                f"temperatures={self.temperatures} need one number above 0 for each of"
                f" the {n_heads} heads; leave them empty for 1"
            )

    def _check_head_weights(self) -> None:
        for n, shares in enumerate(self.head_weights, start=1):
            if len(shares) != n or min(shares) < 0 or abs(sum(shares) - 1) > 0.01:
                raise ValueError(
                    f"head_weights: {shares} at level {n} need one share for each of"
                    f" {n} heads, none below 0 and 1 in sum; leave all empty for equal"
                    " shares"
                )
        if len(self.head_weights) not in (0, self.network.n_heads):
            raise ValueError(
                f"head_weights={self.head_weights} need shares for each of the"
                f" {self.network.n_heads} levels; leave them empty for equal shares"
            )


class PredictionConfig(Settings):
    """How a model is run over an image."""

    mode: Mode = "accurate"
    level: int | None = Field(default=None, ge=1)
    """Deepest level computed; ``None`` is all of the network."""
    device: str = "auto"
    diameter: float | str | None = None
    """Diameter of the objects in the image, in pixels or with a unit (``"12 um"``), so
    that it is rescaled to what the model learnt; ``"auto"`` measures it, ``None``
    leaves the image as it is."""
    precision: Precision = "auto"
    """Of the network at work: bfloat16 takes half the time and memory where a device
    computes with it, and float32 gives the result of training; ``"auto"`` is bfloat16
    on such devices."""
    adaptive: float | None = Field(default=None, ge=0, lt=1)
    """Stop early where it does not matter: what another level may still change of a
    probability, as far as the levels before tell. ``None`` computes all levels
    everywhere, and so does 0, which shows where levels are computed."""
    tta: bool = False
    """Average over the flips and right-angle turns of the image (test-time
    augmentation): eight times the work."""
    tile: int | None = Field(default=None, ge=1)
    """Wanted edge of a tile's core in pixels; ``None`` chooses it from the memory."""
    batch: int = Field(default=1, ge=1)
    """Tiles that go through the network together."""
    nonfinite: Nonfinite = "error"
    """NaN and infinite pixels: refuse the image, or take them as background."""
    link: bool = False
    """2-D instance models: join the objects of neighbouring Z planes."""
    memory: int | None = Field(default=None, ge=1)
    """Bytes of main memory that a run may take, or a text such as "4 GB"; ``None``
    takes what is usual."""
    skip_bad: bool = False
    """Pieces of the image that cannot be read: refuse it, or take them as dark."""

    @field_validator("diameter", mode="before")
    @classmethod
    def _check_diameter(cls, value: object) -> object:
        return parse_diameter(value)

    @field_validator("memory", mode="before")
    @classmethod
    def _check_memory(cls, value: object) -> object:
        return parse_bytes(value) if isinstance(value, str) else value


class OutputConfig(Settings):
    """What is kept of a run whose results lie in files."""

    kinds: tuple[OutputKind, ...] = ("labels", "mean", "heads", "uncertainty")
    form: Literal["tif", "zarr"] = "zarr"
    probability: Literal["uint8", "float16"] = "uint8"
    """How probabilities are stored: in steps of 1/255, or as half-precision floats."""
    ome_zarr: Literal["0.5", "0.4"] = "0.5"
    labels_beside: bool = False
    """Write the labels into the OME-Zarr folder of the image."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.kinds:
            raise ValueError("kinds=(): nothing would be kept; name one result or more")
        if self.labels_beside and "labels" not in self.kinds:
            raise ValueError(
                f"labels_beside=True but kinds={self.kinds} have no labels; add them"
            )
        return self


class WorkersConfig(Settings):
    """Who does the work of a run: this process, others beside it, or a cluster."""

    workers: int = Field(default=1, ge=1)
    """Processes on this machine; 1 is this process alone."""
    scheduler: str | None = None
    """Address of a dask scheduler, such as ``tcp://10.0.0.1:8786``."""
    shard: tuple[int, int] | None = None
    """Part i of n, counted from 1: this process does that part of the tiles."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise ValueError(
                f"shard={self.shard[0]}/{self.shard[1]}: parts are counted from 1, for"
                " example 1/8 to 8/8"
            )
        ways = (self.workers > 1, self.scheduler is not None, self.shard is not None)
        if sum(ways) > 1:
            raise ValueError(
                f"workers={self.workers}, scheduler={self.scheduler} and"
                f" shard={self.shard} are three ways to share out the work; choose one"
            )
        return self


class AugmentConfig(Settings):
    """Random changes of the training patches; each is drawn per patch."""

    flip: bool = True
    rotate: bool = True
    scale: tuple[float, float] = (0.7, 1.4)
    brightness: float = Field(default=0.1, ge=0)
    contrast: tuple[float, float] = (0.7, 1.4)
    gamma: tuple[float, float] = (0.7, 1.5)
    noise: float = Field(default=0.06, ge=0)
    blur: float = Field(default=1.0, ge=0)
    invert: float = Field(default=0.0, ge=0, le=1)
    shading: float = Field(default=0.0, ge=0, lt=1)
    """Most by which one side of a patch is made darker or brighter than its middle."""
    stain: float = Field(default=0.0, ge=0, lt=1)
    """Most by which the amount of each dye of a colour image is changed, as a share."""
    tint: float = Field(default=0.0, ge=0, le=1)
    """Chance that a grey image that is read as red, green and blue loses some of them,
    as fluorescence that was saved in its colour."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("scale", "contrast", "gamma"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise ValueError(
                    f"{name}=({low}, {high}): a range of factors above 0, the lower one"
                    " first, is needed, for example (0.7, 1.4); (1, 1) changes nothing"
                )
        return self


class TrainingConfig(Settings):
    """How a network is fitted."""

    patch: int = Field(default=128, ge=16)
    """Edge of a training patch in pixels; made a multiple of the alignment."""
    batch: int = Field(default=4, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    steps_per_epoch: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the budget in which the learning rate rises from zero."""
    ema: float = Field(default=0.995, ge=0, lt=1)
    """Decay of the running mean of the weights; 0 switches it off."""
    patience: int | None = Field(default=60, ge=1)
    """Epochs without a better validation score before training stops early."""
    validation_fraction: float = Field(default=0.2, ge=0, lt=1)
    head_weights: tuple[float, ...] = ()
    """Weight of each head's loss, head 1 first; empty is 1 for all."""
    loss: Literal["bce_dice", "log_cosh_dice"] = "bce_dice"
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced``: pixels of rare classes weigh more in the cross entropy."""
    dice: Literal["image", "batch"] = "batch"
    """Pixels that a Dice coefficient is pooled over: each patch, or the batch."""
    rim: int = Field(default=16, ge=0)
    """Pixels at a patch's inner border that are not learnt (padding would be)."""
    instance_target: Literal["boundary", "distance"] = "boundary"
    """What instance models learn inside objects: a boundary of even width, or an
    interior that grows with the distance to the outline."""
    boundary_width: int = Field(default=1, ge=1)
    """Half-width of the boundary target of instance models, in pixels."""
    distance_reach: int = Field(default=8, ge=1)
    """Distance to the outline in pixels from which on all is interior."""
    seed: int = 0
    precision: Precision = "auto"
    save_memory: bool = False
    """Compute maps again for the gradient, not keep them: slower, in less memory."""
    calibrate: bool = True
    """Fit temperatures and the thresholds of objects on what is held out."""
    augment: AugmentConfig = AugmentConfig()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.epochs is None and self.minutes is None:
            raise ValueError("give a budget: epochs=N or minutes=M")
        return self


def wrong_settings(error: ValidationError, between: str = "\n") -> str:
    """Return which settings are refused and why, as a person reads it."""
    return between.join(map(_refusal, error.errors()))


def _refusal(found: ErrorDetails) -> str:
    """Return what is wrong with one setting; our own words name it already."""
    name = ".".join(map(str, found["loc"])) or "settings"
    rule = found["msg"].removeprefix("Value error, ")
    if rule.startswith(f"{name}="):
        return rule
    return f"{name}={found['input']!r}: {rule}"
