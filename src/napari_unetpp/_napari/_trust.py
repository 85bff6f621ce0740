"""What a panel finds out before a run: what it takes, and whether tiles would show."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unetpp._napari._background import behind_the_viewer
from napari_unetpp._napari._messages import Progress

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from typing import Self

    from napari_unetpp._napari._request import SegmentRequest
    from napari_unetpp._napari._source import Source
    from napari_unetpp._napari._view import View
    from napari_unetpp._types import Box
    from napari_unetpp.config import PredictionConfig


@dataclass(frozen=True, slots=True, eq=False)
class TrustRequest:
    """What a run would be of.

    Attributes
    ----------
    image : Path or Source
        A file, or a layer as it is now.
    name : str
        What it is called.
    axes, channel : str or None, int or None
        As in `segment`.
    model : str
        Name or path.
    settings : PredictionConfig
        How the model is run.
    region : Box or None
        What is looked at, along the spatial axes, in pixels.
    loop : tuple of int or None
        The plane that is looked at.
    spare_cores : int
        Processor cores left to the viewer.
    """

    image: Path | Source
    name: str
    axes: str | None
    channel: int | None
    model: str
    settings: PredictionConfig
    region: Box | None = None
    loop: tuple[int, ...] | None = None
    spare_cores: int = 1

    @classmethod
    def of(cls, request: SegmentRequest, view: View | None) -> Self:
        """Return what is found out before a run, where somebody looks."""
        return cls(
            image=request.source,
            name=request.source.name,
            axes=request.source.axes,
            channel=request.channel,
            model=request.model,
            settings=request.settings,
            region=view.region if view else None,
            loop=view.loop if view else None,
            spare_cores=request.spare_cores,
        )


@dataclass(frozen=True, slots=True)
class TrustTold:
    """What was found out.

    Attributes
    ----------
    text : str
        In words.
    good : bool
        Whether there is nothing to be done about it.
    """

    text: str
    good: bool


def estimate(request: TrustRequest) -> Generator[Progress | TrustTold, None, None]:
    """Find out what the run will take: device, memory, tiles and time.

    Yields
    ------
    Progress
        While a piece of the image is tried.
    TrustTold
        At last.

    Raises
    ------
    UnetppError
        If image, model or device do not fit.
    """
    from napari_unetpp import api

    run = api.preflighting(
        request.image,
        request.model,
        request.settings,
        axes=request.axes,
        channel=request.channel,
    )
    with behind_the_viewer(request.spare_cores):
        found = yield from _watched(run)
    text = "\n".join([f"{request.name}:", *found.lines])
    yield TrustTold(text, found.fits and found.hint is None)


def check_for_seams(
    request: TrustRequest,
) -> Generator[Progress | TrustTold, None, None]:
    """Check whether the borders of tiles show in what is looked at.

    Yields
    ------
    Progress
        After each tile.
    TrustTold
        At last.

    Raises
    ------
    UnetppError
        If image, model or device do not fit.
    """
    from napari_unetpp import api

    run = api.checking_seams(
        request.image,
        request.model,
        request.settings,
        axes=request.axes,
        channel=request.channel,
        region=request.region,
        loop=request.loop,
    )
    with behind_the_viewer(request.spare_cores):
        found = yield from _watched(run)
    yield TrustTold(f"{request.name}: {found.text}", found.passed)


def _watched(run: Generator[Any, None, Any]) -> Generator[Progress, None, Any]:
    """Hand on how far a run is; return what it returns."""
    from napari_unetpp.inference import BlockDone, TileDone

    with closing(run):
        while True:
            try:
                event = next(run)
            except StopIteration as end:
                return end.value
            if isinstance(event, (TileDone, BlockDone)):
                yield Progress(event.stage, event.n_done, event.n_tiles, event.seconds)
