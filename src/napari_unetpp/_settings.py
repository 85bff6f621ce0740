"""Settings of what goes into a network and of programs that others made.

They stand apart from `config`, which hands them on, so that both can be read at once.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Base of all settings: frozen, and no name that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IntensityConfig(Settings):
    """How the pixels of a whole image are mapped to about 0...1."""

    low_percentile: float = Field(default=1.0, ge=0, lt=100)
    high_percentile: float = Field(default=99.8, gt=0, le=100)
    clip: tuple[float, float] = (-1.0, 3.0)
    rule: Literal["percentiles", "standard", "fixed"] = "percentiles"
    """What becomes 0 and 1: two percentiles; the mean and a standard deviation above
    it; or the values of `fixed`. Models of others use the last two."""
    fixed: tuple[tuple[float, float], ...] = ()
    """Values that become 0 and 1, for each channel or once for all."""
    joint: bool = False
    """Whether all channels have one range."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low_percentile >= self.high_percentile:
            raise ValueError(
                f"low_percentile={self.low_percentile} must be below"
                f" high_percentile={self.high_percentile}"
            )
        if (self.rule == "fixed") != bool(self.fixed):
            raise ValueError(
                f"rule={self.rule!r} and fixed={self.fixed} do not go together: give"
                " the values that become 0 and 1 with the rule 'fixed', and only then"
            )
        if any(low >= high for low, high in self.fixed):
            raise ValueError(
                f"fixed={self.fixed}: the value that becomes 0 must be below the one"
                " that becomes 1"
            )
        return self


class ProgramConfig(Settings):
    """How a program that others made is run, and what its answer means.

    Axes are one letter each: b(atch), c(hannel), z, y and x.
    """

    kind: Literal["torchscript", "onnx"]
    n_bytes: int = Field(ge=1)
    """Size of the program, which lies beside the weights in the file of the model."""
    input_axes: str = "bcyx"
    output_axes: str = "bcyx"
    output: int = Field(default=0, ge=0)
    """Which of its outputs is taken, counted from 0."""
    n_channels: int = Field(ge=1)
    """Channels of that output."""
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    """What makes probabilities of it; none: it has them already."""
    meaning: Literal["exclusive", "independent", "outlined"] = "exclusive"
    """Of the channels: classes that exclude each other; or each a class against the
    background; or the foreground, and the outlines of the objects in it."""
    halo: tuple[int, ...]
    """How far it looks along each spatial axis, in pixels."""
    least: tuple[int, ...]
    """Size of the smallest image that it takes; smaller ones are padded."""

    @property
    def n_classes(self) -> int:
        """Number of classes that its answer is turned into."""
        if self.meaning == "outlined":
            return 3
        return self.n_channels + (self.meaning == "independent")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for axes in (self.input_axes, self.output_axes):
            if len({*axes}) != len(axes) or not {*"yx"} <= {*axes} <= {*"bczyx"}:
                raise ValueError(
                    f"axes {axes!r}: y and x are needed, b, c and z may be there, each"
                    " once"
                )
        if self.meaning == "outlined" and self.n_channels != 2:
            raise ValueError(
                f"meaning='outlined' needs 2 channels, foreground and outlines, not"
                f" {self.n_channels}"
            )
        return self
