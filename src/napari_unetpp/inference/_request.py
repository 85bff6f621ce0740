"""What a job is asked for, checked as far as no pixel has to be read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_unetpp._amounts import AUTO
from napari_unetpp.arrays import canonical
from napari_unetpp.config import OutputKind
from napari_unetpp.errors import ImageError, SettingsError
from napari_unetpp.inference._device import resolve_device
from napari_unetpp.inference._object_size import check_diameter, given_size
from napari_unetpp.inference._precision import resolve_precision
from napari_unetpp.io import as_image, output_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unetpp._types import LazyArray
    from napari_unetpp.arrays import Canonical, Image, Rescaling
    from napari_unetpp.config import OutputConfig, PredictionConfig, WorkersConfig
    from napari_unetpp.inference._object_size import ObjectSize
    from napari_unetpp.nn import Model

ALL_KINDS: tuple[OutputKind, ...] = get_args(OutputKind)


@dataclass(frozen=True, slots=True, eq=False)
class JobRequest:
    """A segmentation whose results grow in a folder.

    Attributes
    ----------
    source : path, array or layer
        Where the image is.
    image : Image
        The same, opened.
    axes, channel : str or None, int or None
        With what it was opened.
    model : Model
        The model.
    settings : PredictionConfig
        How it is run.
    folder, stem : Path, str
        Results lie in `folder`, and their names begin with `stem`.
    outputs : OutputConfig
        What is kept, and how.
    mask : path, array, layer or None
        Pixels, not 0, to which the run is restricted.
    overwrite : bool
        Whether results, and an unfinished job, may be replaced.
    workers : WorkersConfig
        Who does the work.
    """

    source: object
    image: Image
    axes: str | None
    channel: int | None
    model: Model
    settings: PredictionConfig
    folder: Path
    stem: str
    outputs: OutputConfig
    mask: object
    overwrite: bool
    workers: WorkersConfig

    @property
    def paths(self) -> Mapping[OutputKind, Path]:
        """Where each result will lie."""
        outputs = self.outputs
        paths = output_paths(self.folder, self.stem, outputs.kinds, outputs.form)
        if outputs.labels_beside:
            paths["labels"] = self.image_path / "labels" / f"{self.stem}_labels"
        return paths

    @property
    def job_folder(self) -> Path:
        """Where results grow until they are complete."""
        return self.folder / f"{self.stem}.job"

    @property
    def level(self) -> int:
        """Deepest level that is computed."""
        return self.model.network.check_level(self.settings.level)

    @property
    def precision(self) -> str:
        """In which precision the network runs on this machine."""
        device, network = self.settings.device, self.model.config.network
        wanted = self.settings.precision
        return resolve_precision(wanted, resolve_device(device), network)

    @property
    def image_path(self) -> Path:
        """The path of the image.

        Raises
        ------
        ImageError
            If the image is not in a file.
        """
        if not isinstance(self.source, (str, os.PathLike)):
            raise ImageError(
                f"the image {self.image.name!r} lies in memory, where other processes"
                " cannot read it, and no labels can be put beside it; give the path of"
                " its file"
            )
        return Path(self.source)


def check_shared(request: JobRequest) -> None:
    """Make sure that other processes can read what a request needs, if they must.

    Raises
    ------
    ImageError
        If work is shared out, or labels go beside the image, but an image or a mask
        lies in memory.
    """
    workers = request.workers
    shared = workers.workers > 1 or workers.scheduler or workers.shard
    if shared or request.outputs.labels_beside:
        _ = request.image_path
    if shared and not isinstance(request.mask, (str, os.PathLike, type(None))):
        raise ImageError(
            "the mask lies in memory, where other processes cannot read it; give the"
            " path of its file"
        )


def result_kinds(
    model: Model, settings: PredictionConfig, wanted: Sequence[str] | None = None
) -> tuple[OutputKind, ...]:
    """Return which results are kept, in the usual order.

    Parameters
    ----------
    model, settings : Model, PredictionConfig
        What is run, and how.
    wanted : sequence of str, optional
        Results asked for; all that there are by default.

    Raises
    ------
    SettingsError
        If there is no such result.
    """
    unknown = [word for word in wanted or () if word not in ALL_KINDS]
    if unknown:
        raise SettingsError(
            f"{', '.join(unknown)}: no such result; choose of {', '.join(ALL_KINDS)}"
        )
    return tuple(kind for kind in ALL_KINDS if kind in (wanted or ALL_KINDS))


def as_read(image: Image, model: Model) -> Canonical:
    """Return an image in the form in which a model reads it.

    Raises
    ------
    AxesError
        If the image does not suit the model.
    """
    config = model.config
    network = config.network
    return canonical(image, network.spatial_dims, config.channels, network.in_channels)


def check_size(request: JobRequest) -> None:
    """Refuse a diameter that a model can do nothing with, or that is a mistake.

    Raises
    ------
    SettingsError
        As `check_diameter` and `given_size` do.
    """
    config, diameter = request.model.config, request.settings.diameter
    check_diameter(config, request.settings)
    if diameter is not None and diameter != AUTO:
        given_size(as_read(request.image, request.model), config, diameter)


def rescaling_of(
    size: ObjectSize | None, image: Image, model: Model
) -> Rescaling | None:
    """Return how an image is rescaled; ``None`` where it is read as it is.

    Parameters
    ----------
    size : ObjectSize, optional
        Of its objects, if a diameter was asked for.
    image, model : Image, Model
        What is segmented, and by what.
    """
    if size is None:
        return None
    return size.rescaling(as_read(image, model).spatial_shape)


def aligned_mask(mask: object, image: Image, model: Model) -> LazyArray | None:
    """Return a mask with the axes of the results, or with their spatial axes only.

    Parameters
    ----------
    mask : path, array or layer, optional
        Not 0 where results are wanted.
    image, model : Image, Model
        What is segmented, and by what.

    Raises
    ------
    ImageError
        If its axes are neither.
    """
    if mask is None:
        return None
    found, result = as_image(mask), as_read(image, model)
    data: Any = found.data
    for wanted in (result.result_axes, result.spatial_axes):
        axes = found.axes
        if found.axes_guessed and len(axes) == len(wanted):
            axes = wanted
        if sorted(axes) == sorted(wanted):
            order = tuple(axes.index(letter) for letter in wanted)
            aligned: LazyArray = data.transpose(order)
            return aligned
    raise ImageError(
        f"mask {found.name} has axes {found.axes} and shape {found.shape} but the"
        f" result {result.result_axes} and {result.result_shape}; give one value"
        f" for each pixel, along {result.result_axes} or {result.spatial_axes}"
    )
