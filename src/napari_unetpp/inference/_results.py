"""What prediction and segmentation return: lazy arrays and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import dask.array as da
    import numpy as np
    import numpy.typing as npt

    from napari_unetpp.config import OutputKind
    from napari_unetpp.inference._object_size import ObjectSize
    from napari_unetpp.inference._own_grid import OwnGrid


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """Probabilities of every head for an image.

    The arrays are views of one store; nothing is computed again when they are read.

    Attributes
    ----------
    heads : dask.array.Array of float32, (H, K, *axes)
        Probability of each of K classes by each head; only their mean (H = 1) if the
        heads were not kept.
    mean : dask.array.Array of float32, (K, *axes)
        Mean over the heads that were computed, by the shares that the model gives
        them: what labels are made from.
    uncertainty : dask.array.Array of float32, (*axes)
        Entropy of `mean`, 0...1 (of objects: of foreground against background).
    head_names, class_names : tuple of str
        Names of the H heads and K classes.
    axes : str
        Axes that a pixel has, for example ``"TYX"``.
    scale : tuple of float
        World units a pixel, one for each of `axes`.
    units : tuple of str
        Unit of each of `axes`.
    translate : tuple of float
        World position of the first pixel, one for each of `axes`.
    name : str
        What the image is called.
    model_name : str
        Which model it was.
    size : ObjectSize, optional
        Of the objects, if a diameter was asked for.
    read_on : NetworkGrid, optional
        The prediction on the grid on which the network has read the image, where that
        is not the image's own: the arrays above are interpolated from it.
    depth : ndarray or dask.array.Array of uint8, (*axes), optional
        Deepest level computed for each pixel; only of a run that stops early
        (`adaptive`), not of a view. Where the image is rescaled, `read_on` has it.
    """

    heads: da.Array
    mean: da.Array
    uncertainty: da.Array
    head_names: tuple[str, ...]
    class_names: tuple[str, ...]
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    translate: tuple[float, ...]
    name: str
    model_name: str
    size: ObjectSize | None = None
    read_on: NetworkGrid | None = None
    depth: npt.NDArray[np.uint8] | da.Array | None = None

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.shape))
        return (
            f"Prediction({self.name!r} by {self.model_name}: {self.axes} {sizes};"
            f" {', '.join(self.head_names)}; classes {', '.join(self.class_names)})"
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each of `axes` in pixels."""
        return tuple(self.mean.shape[1:])

    def of_head(self, index: int) -> Prediction:
        """Return what one head says, in place of the mean.

        Parameters
        ----------
        index : int
            Which of `head_names`, counted from 0.
        """
        read_on = self.read_on
        if read_on is not None:
            alone = read_on.prediction.of_head(index)
            read_on = replace(read_on, prediction=alone)
        return replace(self, mean=self.heads[index], read_on=read_on)

    @property
    def foreground(self) -> da.Array:
        """Probability (*axes) of not being the first class; of the only class."""
        return _foreground(self.mean)

    @property
    def head_foreground(self) -> da.Array:
        """The same by each head, (H, *axes)."""
        return _foreground(self.heads.swapaxes(0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class NetworkGrid:
    """A prediction on the grid on which a network has read the image.

    Attributes
    ----------
    prediction : Prediction
        There; labels are made from it, where objects are as large as was learnt.
    grid : OwnGrid
        The way back to the image's own grid.
    """

    prediction: Prediction
    grid: OwnGrid


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Segmentation:
    """Labels of an image, and the prediction that they come from.

    Attributes
    ----------
    labels : ndarray or dask.array.Array of unsigned int, (*axes)
        Instance models: objects 1...n, unique over all planes, 0 between them. Class
        models: the label values that were painted. In memory if it is small.
    prediction : Prediction
        Probabilities and geometry.
    n_objects : int or None
        Number of objects; ``None`` for class models.
    """

    labels: npt.NDArray[np.unsignedinteger] | da.Array
    prediction: Prediction
    n_objects: int | None

    def __repr__(self) -> str:
        n = "classes" if self.n_objects is None else f"{self.n_objects} objects"
        return f"Segmentation({n}, labels {self.labels.dtype}; {self.prediction!r})"

    @property
    def axes(self) -> str:
        """Axes of the labels."""
        return self.prediction.axes

    @property
    def scale(self) -> tuple[float, ...]:
        """World units a pixel, one for each axis."""
        return self.prediction.scale

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each axis."""
        return self.prediction.units

    @property
    def translate(self) -> tuple[float, ...]:
        """World position of the first pixel, one for each axis."""
        return self.prediction.translate

    @property
    def name(self) -> str:
        """What the image is called."""
        return self.prediction.name


@dataclass(frozen=True, slots=True)
class SavedSegmentation:
    """What a job left: results in files.

    Attributes
    ----------
    outputs : mapping of kind to Path
        Where each result lies; empty while other parts are still to be done.
    axes : str
        Axes of the results, channels left out.
    shape : tuple of int
        Size along each of `axes` in pixels.
    n_objects : int or None
        Number of objects; ``None`` for class models, without labels, and where nothing
        had to be done.
    n_tiles, n_resumed : int
        Tiles of the image, and those that earlier runs had done.
    bad : tuple of str
        Pieces of the image that could not be read and were taken as dark.
    up_to_date : bool
        Whether the results were there already, made by the same request.
    waiting : tuple of str
        Parts that are still to be done, where the work is shared out in parts.
    size : ObjectSize, optional
        Of the objects, if a diameter was asked for; ``None`` where nothing had to be
        done.
    """

    outputs: Mapping[OutputKind, Path]
    axes: str
    shape: tuple[int, ...]
    n_objects: int | None = None
    n_tiles: int = 0
    n_resumed: int = 0
    bad: tuple[str, ...] = ()
    up_to_date: bool = False
    waiting: tuple[str, ...] = ()
    size: ObjectSize | None = None


def _foreground(probabilities: da.Array) -> da.Array:
    """Return (...) of probabilities (K, ...); 0 where nothing has been predicted."""
    if probabilities.shape[0] == 1:
        return probabilities[0]
    return (1 - probabilities[0]) * (probabilities != 0).any(axis=0)
