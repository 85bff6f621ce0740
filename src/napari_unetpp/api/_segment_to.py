"""Segmentation into files: any size, and gone on with after a stop."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.config import OutputConfig, PredictionConfig, WorkersConfig
from napari_unetpp.inference import (
    JobRequest,
    check_shared,
    check_size,
    result_kinds,
    result_of,
    run_job,
)
from napari_unetpp.io import as_image, choose_format, ome_zarr_version, stem

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_unetpp._types import Box
    from napari_unetpp.arrays import Image
    from napari_unetpp.inference import Event, SavedSegmentation
    from napari_unetpp.nn import Model
    from napari_unetpp.tiling import Focus


def job_request(
    image: object,
    folder: Path,
    model: Model,
    settings: PredictionConfig,
    outputs: OutputConfig,
    workers: WorkersConfig,
    *,
    form: Literal["auto", "tif", "zarr"] = "auto",
    axes: str | None = None,
    channel: int | None = None,
    mask: object = None,
    overwrite: bool = False,
) -> JobRequest:
    """Check what is asked for, as far as no pixel has to be read.

    Parameters
    ----------
    image, folder, model, settings, form, axes, channel, mask, overwrite
        As in `segmenting_to`.
    outputs : OutputConfig
        What is kept; its form is decided by `form`.
    workers : WorkersConfig
        Who does the work.

    Raises
    ------
    InputError, OutputError
        As in `segmenting_to`.
    """
    found = as_image(image, axes, channel)
    outputs = outputs.model_copy(update={"form": choose_format(form, _n_pixels(found))})
    request = JobRequest(
        source=image,
        image=found,
        axes=axes,
        channel=channel,
        model=model,
        settings=settings,
        folder=folder,
        stem=stem(image) if isinstance(image, (str, os.PathLike)) else found.name,
        outputs=outputs,
        mask=mask,
        overwrite=overwrite,
        workers=workers,
    )
    check_shared(request)
    check_size(request)
    if not outputs.labels_beside:
        return request
    version = ome_zarr_version(request.image_path)  # all are of the image's own version
    outputs = outputs.model_copy(update={"ome_zarr": version})
    return replace(request, outputs=outputs)


def segmenting_to(
    image: object,
    output: str | Path,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    *,
    save: Sequence[str] | None = None,
    form: Literal["auto", "tif", "zarr"] = "auto",
    axes: str | None = None,
    channel: int | None = None,
    mask: object = None,
    overwrite: bool = False,
    probability: Literal["uint8", "float16"] = "uint8",
    ome_zarr: Literal["0.5", "0.4"] = "0.5",
    labels_beside: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    first: Box | Focus | None = None,
    preview: bool = False,
) -> Generator[Event, None, SavedSegmentation]:
    """Segment into files step by step; closing the generator stops the run.

    A run that was stopped, or killed, is gone on with by the same call: what is done
    stays in the folder ``<name>.job`` beside the results until they are complete.

    Parameters
    ----------
    image, model, axes, channel
        As in `predict`.
    output : path
        Folder for the results, ``<name>_labels.tif`` and so on, or ``<name>.ome.zarr``;
        made if needed.
    settings : PredictionConfig, optional
        How the model is run.
    save : sequence of str, optional
        Results to keep, of ``"labels"``, ``"mean"``, ``"heads"``, ``"uncertainty"``;
        all that there are by default.
    form : {"auto", "tif", "zarr"}
        TIFF files or OME-Zarr; by default TIFF unless the image is huge.
    mask : path, array or layer, optional
        Only where it is not 0 is anything predicted. It has the axes of the results, or
        their spatial axes only.
    overwrite : bool
        Replace results that were made in another way, and start anew where a job was
        begun in another way.
    probability : {"uint8", "float16"}
        How probabilities are stored: in steps of 1/255, or in half precision.
    ome_zarr : {"0.5", "0.4"}
        Version of OME-Zarr.
    labels_beside : bool
        Put the labels into the ``labels`` of the OME-Zarr that the image is in; results
        are then of its version.
    workers : int
        Processes of this machine that share the work (extra ``distributed``).
    scheduler : str, optional
        Address of a dask scheduler whose workers do the work instead.
    shard : tuple of int, optional
        ``(i, n)``: do part i of n only, counted from 1. The process that does the last
        part makes the labels.
    first : Box or Focus, optional
        What is looked at, as in `segmenting`; a `Focus` may move during the run.
    preview : bool
        Whether what is looked at is predicted by head 1 first, as a preview.

    Yields
    ------
    BlockDone, Rescaled
        If the settings have a diameter: while it is measured, and what follows from it.
    RunStarted
        Once, with the store in which the results grow, and the tiles done before.
    TileDone, MemoryLow, BadPixels
        While tiles are predicted.
    BlockDone
        While labels and the smaller sizes of the results are made.
    Finished
        At last, with the `SavedSegmentation`, which is also returned.

    Raises
    ------
    InputError, ModelFileError, DeviceError
        As in `predict`.
    OutputError
        If results cannot be written; what is done stays.
    OutputExistsError
        If other results are there.
    JobChangedError
        If an unfinished job was begun with another image, model or setting.
    OutputBusyError
        If another process works on the same results.

    Examples
    --------
    >>> import tempfile, napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = napari_unetpp.segmenting_to(image, folder, save=["labels"])
    ...     names = [type(event).__name__ for event in run]
    >>> names[0], names[-1]
    ('RunStarted', 'Finished')
    """
    settings, loaded = settings or PredictionConfig(), load_model(model)
    request = job_request(
        image,
        Path(output),
        loaded,
        settings,
        OutputConfig(
            kinds=result_kinds(loaded, settings, save),
            probability=probability,
            ome_zarr=ome_zarr,
            labels_beside=labels_beside,
        ),
        WorkersConfig(workers=workers, scheduler=scheduler, shard=shard),
        form=form,
        axes=axes,
        channel=channel,
        mask=mask,
        overwrite=overwrite,
    )
    return run_job(request, uuid4().hex, first=first, preview=preview)


def segment_to(
    image: object,
    output: str | Path,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    **options: Any,
) -> SavedSegmentation:
    """Segment into files, as `segmenting_to` does, without telling what happens.

    Parameters
    ----------
    image, output, model, settings, **options
        As in `segmenting_to`.

    Returns
    -------
    SavedSegmentation
        Where the results are, and what was found.

    Raises
    ------
    InputError, ModelFileError, DeviceError, OutputError
        As in `segmenting_to`.

    Examples
    --------
    >>> import tempfile, napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = napari_unetpp.segment_to(image, folder, save=["labels"])
    ...     saved.outputs["labels"].name
    'image_labels.tif'
    """
    run = segmenting_to(image, output, model, settings, **options)
    return result_of(run)


def _n_pixels(image: Image) -> int:
    """Return the pixels of a result: all but the channels'."""
    sizes = zip(image.axes, image.data.shape, strict=True)
    return math.prod(size for axis, size in sizes if axis != "C")
