"""Before a run is trusted: whether tiles show, and what it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_unetpp import inference
from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.config import PredictionConfig
from napari_unetpp.inference import result_of
from napari_unetpp.io import as_image

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_unetpp._types import Box
    from napari_unetpp.inference import Preflight, SeamCheck
    from napari_unetpp.nn import Model


def checking_seams(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    *,
    axes: str | None = None,
    channel: int | None = None,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
) -> Generator[Any, None, SeamCheck]:
    """Do what `check_seams` does, telling what happens.

    Parameters
    ----------
    image, model, settings, axes, channel, region, loop
        As in `check_seams`.

    Yields
    ------
    BlockDone
        After each tile.
    """
    found = as_image(image, axes, channel)
    settings = settings or PredictionConfig()
    return inference.check_seams(
        found, load_model(model), settings, uuid4().hex, region=region, loop=loop
    )


def check_seams(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    *,
    axes: str | None = None,
    channel: int | None = None,
    region: Box | None = None,
    loop: tuple[int, ...] | None = None,
) -> SeamCheck:
    """Check on a part of an image whether the borders of tiles show in the result.

    The part is predicted twice, on two grids of tiles whose borders lie at different
    places, and the two are compared.

    Parameters
    ----------
    image : path, array or layer
        As in `predict`.
    model : str, Path or Model
        As in `load_model`.
    settings : PredictionConfig, optional
        How the model is run; its tile and diameter are left out.
    axes, channel : str, int, optional
        As in `predict`.
    region : Box, optional
        (start, stop) in pixels along each spatial axis: the part from whose middle a
        piece of at most 640 x 640 pixels (48 x 160 x 160) is taken; the middle of the
        image by default.
    loop : tuple of int, optional
        Index along each of the other axes; the middle ones by default.

    Returns
    -------
    SeamCheck
        ``passed``, ``largest`` (difference of a probability, 0...1) and ``text``, which
        says it in words.

    Raises
    ------
    InputError, ModelFileError, DeviceError
        As in `predict`.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> found = napari_unetpp.check_seams(immunohistochemistry()[:160, :160])
    >>> found.passed
    True
    """
    return result_of(
        checking_seams(
            image,
            model,
            settings,
            axes=axes,
            channel=channel,
            region=region,
            loop=loop,
        )
    )


def preflighting(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    *,
    axes: str | None = None,
    channel: int | None = None,
    timed: bool = True,
) -> Generator[Any, None, Preflight]:
    """Do what `preflight` does, telling what happens.

    Parameters
    ----------
    image, model, settings, axes, channel, timed
        As in `preflight`.

    Yields
    ------
    Event
        While a piece of the image is segmented.
    """
    found = as_image(image, axes, channel)
    settings = settings or PredictionConfig()
    return inference.preflight(
        found, load_model(model), settings, uuid4().hex, timed=timed
    )


def preflight(
    image: object,
    model: str | Path | Model = DEFAULT_MODEL,
    settings: PredictionConfig | None = None,
    *,
    axes: str | None = None,
    channel: int | None = None,
    timed: bool = True,
) -> Preflight:
    """Tell what the segmentation of an image will take, before it starts.

    Parameters
    ----------
    image : path, array or layer
        As in `predict`.
    model : str, Path or Model
        As in `load_model`.
    settings : PredictionConfig, optional
        How the model is run. A diameter of ``"auto"`` is left out, as it is not
        measured.
    axes, channel : str, int, optional
        As in `predict`.
    timed : bool
        Segment a small piece of the image, to tell the time.

    Returns
    -------
    Preflight
        Device, precision, memory, tiles, ``seconds``; ``lines`` says it in words.

    Raises
    ------
    InputError, ModelFileError, DeviceError
        As in `predict`.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> plan = napari_unetpp.preflight(immunohistochemistry(), timed=False)
    >>> plan.n_pixels, plan.n_tiles > 0
    (262144, True)
    """
    return result_of(
        preflighting(image, model, settings, axes=axes, channel=channel, timed=timed)
    )
