"""Probabilities and labels of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import (
    Finished,
    aligned_mask,
    label,
    predict_image,
    result_of,
)
from napari_unetpp.io import as_image

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_unetpp._types import Box
    from napari_unetpp.config import Mode, Nonfinite, Precision
    from napari_unetpp.inference import Event, Prediction, Segmentation
    from napari_unetpp.nn import Model
    from napari_unetpp.tiling import Focus


def predict(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    *,
    axes: str | None = None,
    channel: int | None = None,
    mode: Mode = "accurate",
    level: int | None = None,
    device: str = "auto",
    diameter: float | str | None = None,
    tile: int | None = None,
    batch: int = 1,
    nonfinite: Nonfinite = "error",
    tta: bool = False,
    precision: Precision = "auto",
    adaptive: float | None = None,
    store: str | Path | None = None,
) -> Prediction:
    """Predict the probability of every class by every head.

    Parameters
    ----------
    image : path, array, layer or Image
        A file, a NumPy, dask or zarr array, or a napari image layer, of any size.
    model : str, Path or Model
        As in `load_model`.
    axes : str, optional
        What the axes of `image` are, for example ``"TZYX"``, where it does not say so.
    channel : int, optional
        The one channel to take, counted from 0.
    mode : {"accurate", "fast"}
        The mean of the heads 1...`level`, or head `level` alone.
    level : int, optional
        Deepest level computed, 1...L; all by default. Shallower is faster.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda:0"`` or ``"mps"``.
    diameter : float or str, optional
        Diameter of the objects in the image, in pixels or as a length (``"12 um"``): it
        is read at the size at which they are what the model has learnt, and results lie
        on its own pixels. ``"auto"`` measures it; by default the image is read as it
        is.
    tile : int, optional
        Wanted edge of a tile in pixels. It changes time and memory, not the result.
    batch : int
        Tiles that go through the network together.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or taken as background.
    tta : bool
        Average over the flips and right-angle turns of the image (test-time
        augmentation): usually a little better, for eight times the work.
    precision : {"auto", "float32", "bfloat16"}
        Of the network. bfloat16 takes half the time and memory where the device
        computes with it, which "auto" takes it for, and changes few labels; float32 is
        exact.
    adaptive : float, optional
        Stop at the level that settles a block of pixels: what another level may still
        change of a probability, such as 0.1. All levels are computed everywhere by
        default. UNet++ on a CPU only.
    store : path, optional
        Folder for probabilities that do not fit in memory; the system's temporary
        folder by default. They are deleted when the result is dropped.

    Returns
    -------
    Prediction
        Lazy arrays ``heads`` (H, K, ...), ``mean`` (K, ...), ``uncertainty`` and
        ``foreground`` (...), over the axes of the image without its channels.

    Raises
    ------
    InputError
        If the image or a setting cannot be used.
    ModelFileError
        If the model cannot.
    DeviceError
        If the device is not there or too small.
    OutputError
        If the disk is full.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> prediction = napari_unetpp.predict(image, device="cpu")
    >>> prediction.axes, prediction.mean.shape
    ('YX', (3, 128, 160))
    >>> bool(prediction.foreground.max() > 0.5)
    True
    """
    settings = PredictionConfig(
        mode=mode,
        level=level,
        device=device,
        diameter=diameter,
        tile=tile,
        batch=batch,
        nonfinite=nonfinite,
        tta=tta,
        precision=precision,
        adaptive=adaptive,
    )
    found = as_image(image, axes, channel)
    folder = None if store is None else Path(store)
    run = predict_image(found, load_model(model), settings, uuid4().hex, folder=folder)
    return result_of(run)


def segment(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    *,
    axes: str | None = None,
    channel: int | None = None,
    mode: Mode = "accurate",
    level: int | None = None,
    device: str = "auto",
    diameter: float | str | None = None,
    tile: int | None = None,
    batch: int = 1,
    nonfinite: Nonfinite = "error",
    link: bool = False,
    tta: bool = False,
    precision: Precision = "auto",
    adaptive: float | None = None,
    store: str | Path | None = None,
) -> Segmentation:
    """Label the objects of an image, or its classes, as the model has learnt.

    Parameters
    ----------
    image, model, axes, channel, mode, level, device, diameter, tile, batch, \
    nonfinite, tta, precision, adaptive, store
        As in `predict`.
    link : bool
        Join the objects that a 2-D model finds in neighbouring Z planes into objects of
        the stack: each the other's best match, with an IoU of at least 0.25.

    Returns
    -------
    Segmentation
        ``labels`` (...) over the axes of the image without its channels: objects
        1...n, or the label values of the classes; and the ``prediction`` behind them.

    Raises
    ------
    InputError, ModelFileError, DeviceError, OutputError
        As in `predict`.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> segmentation = napari_unetpp.segment(image, device="cpu")
    >>> segmentation.labels.shape
    (128, 160)
    >>> bool(segmentation.n_objects == segmentation.labels.max() > 0)
    True
    """
    settings = PredictionConfig(
        mode=mode,
        level=level,
        device=device,
        diameter=diameter,
        tile=tile,
        batch=batch,
        nonfinite=nonfinite,
        link=link,
        tta=tta,
        precision=precision,
        adaptive=adaptive,
    )
    return result_of(
        segmenting(image, model, settings, axes=axes, channel=channel, store=store)
    )


def segmenting(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    *,
    axes: str | None = None,
    channel: int | None = None,
    store: str | Path | None = None,
    heads: bool = True,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
    first: Box | Focus | None = None,
    mask: object = None,
    preview: bool = False,
) -> Generator[Event, None, Segmentation]:
    """Segment step by step, telling what happens; closing the generator cancels.

    Parameters
    ----------
    image, model, axes, channel, store
        As in `predict`.
    settings : PredictionConfig, optional
        How the model is run.
    heads : bool
        Whether the heads are kept beside their mean.
    region : Box, optional
        The part that is wanted: (start, stop) in pixels for each spatial axis. It
        equals that part of the whole result, but for objects cut by its border.
    loop : tuple of int, optional
        The one index that is wanted along the loop axes (those of the result that are
        not spatial).
    first : Box or Focus, optional
        What is looked at: (start, stop) in pixels for each axis of the result. Tiles
        are predicted from there outwards; the result is the same. A `Focus` may be
        moved by another thread while the run goes on.
    mask : path, array or layer, optional
        Only where it is not 0 is anything predicted. It has the axes of the results, or
        their spatial axes only.
    preview : bool
        Whether what is looked at is predicted by head 1 first, as a preview.

    Yields
    ------
    BlockDone, Rescaled
        If the settings have a diameter: while it is measured, and what follows from it.
    RunStarted
        Once, with the arrays that fill.
    TileDone, MemoryLow, BadPixels
        While tiles are predicted.
    BlockDone
        While labels are made.
    Finished
        At last, with the `Segmentation`, which is also returned.

    Raises
    ------
    InputError, ModelFileError, DeviceError, OutputError
        As in `predict`.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> for event in napari_unetpp.segmenting(image):
    ...     pass
    >>> event.result.axes
    'YX'
    """
    run_id = uuid4().hex
    settings = settings or PredictionConfig()
    loaded = load_model(model)
    folder = None if store is None else Path(store)
    found = as_image(image, axes, channel)
    prediction = yield from predict_image(
        found,
        loaded,
        settings,
        run_id,
        folder=folder,
        keep_heads=heads,
        region=region,
        loop=loop,
        first=first,
        mask=aligned_mask(mask, found, loaded),
        preview=preview,
    )
    result = yield from label(
        prediction, loaded.config, run_id, folder, link=settings.link
    )
    yield Finished(run_id, result)
    return result
