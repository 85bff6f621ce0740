"""What runs in other threads tell the panels: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from napari_unetpp._amounts import AUTO

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_unetpp._napari._layers import ResultGroup
    from napari_unetpp._napari._levels import ShownLevel
    from napari_unetpp._napari._results import Layout
    from napari_unetpp._types import Box
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference import DeviceInfo

    ShownLabels = npt.NDArray[Any] | ShownLevel | list[ShownLevel]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a panel offers: found in a thread because torch must be imported for it.

    Attributes
    ----------
    models : tuple of str
        Names of the bundled models, then paths of the user's own, newest first.
    devices : tuple of DeviceInfo
        What can compute, and its free memory.
    hint : str or None
        A GPU that lies idle, and the cure.
    words : mapping of str to str
        What each model is for, in a line, as far as it says so.
    """

    models: tuple[str, ...]
    devices: tuple[DeviceInfo, ...]
    hint: str | None
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """A model that was looked into.

    Attributes
    ----------
    model : str
        Name or path.
    config : ModelConfig
        All but its weights.
    n_parameters : int
        Number of weights.
    """

    model: str
    config: ModelConfig
    n_parameters: int

    def without_diameter(self, diameter: float | str) -> str:
        """Return why a diameter cannot be used with the model; empty if it can."""
        if self.config.diameter is None:
            return (
                "this model does not say how large the objects are that it has learnt:"
                " leave the object size as the image is, or choose another model"
            )
        if diameter == AUTO and self.config.task != "instances":
            return (
                "this model finds classes, and cannot measure objects: give the object"
                " size in pixels, or leave it as the image is"
            )
        return ""


class ShownArrays(Protocol):
    """What the layers of a run show."""

    @property
    def names(self) -> tuple[str, ...]:
        """One for each result, the main one first: "mean", "head 1", ..."""

    @property
    def layout(self) -> Layout:
        """Axes and shape of the results and of the layers."""

    @property
    def multiscale(self) -> bool:
        """Whether `data` returns a list of sizes."""

    def data(self, name: str) -> Any:
        """Return one array, or a list of sizes, (*shown axes)."""


@dataclass(frozen=True, slots=True, eq=False)
class ArraysReady:
    """Arrays that fill from now on, for layers to show.

    Attributes
    ----------
    group : ResultGroup
        Names and place of the layers.
    arrays : ShownArrays
        What they show.
    plan : str
        Device, tiles and memory, in words.
    """

    group: ResultGroup
    arrays: ShownArrays
    plan: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A piece of the work is done; its pixels are in the arrays.

    Attributes
    ----------
    what : str
        The stage: "predict", "find objects", ...
    n_done, n_all : int
        Pieces done and in all, of this stage.
    seconds : float
        Since the stage began.
    n_before : int
        Pieces that an earlier run has done.
    n_pixels : int
        Pixels of all pieces; 0 where pieces are not tiles.
    box : Box or None
        The part of the result that changed.
    """

    what: str
    n_done: int
    n_all: int
    seconds: float
    n_before: int = 0
    n_pixels: int = 0
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know while the run goes on."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelsReady:
    """The end of a run.

    Attributes
    ----------
    labels : array of unsigned int, (*shown axes), or list of arrays
        Objects 1...n, or the label values of the classes; on disk, in several sizes, if
        they are too many for the memory.
    summary : str
        What was found.
    arrays : ShownArrays or None
        What the layers of the run show from now on, if it is something else.
    group : ResultGroup or None
        Where they lie from now on, if it is elsewhere.
    """

    labels: ShownLabels
    summary: str
    arrays: ShownArrays | None = None
    group: ResultGroup | None = None
