"""What the Segment panel asks for, frozen when a button is pressed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from napari_unetpp._napari._colours import model_colours
from napari_unetpp._napari._layers import ResultGroup

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unetpp._napari._inside import Inside
    from napari_unetpp._napari._source import Geometry, Source
    from napari_unetpp._napari._view import View
    from napari_unetpp.config import PredictionConfig
    from napari_unetpp.nn import Model
    from napari_unetpp.tiling import Focus

VIEW = " (view)"
"""Behind the image's name in the results of a view."""


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """What the Segment panel asks for.

    Attributes
    ----------
    source : Source
        The image, with the axes that the user confirmed.
    channel : int or None
        The one channel that is used.
    model : str
        Name or path.
    settings : PredictionConfig
        How the model is run.
    view : View or None
        The part that is segmented, ``None`` for all.
    focus : Focus
        What the user looks at: its tiles come first.
    heads : bool
        Show each head and the uncertainty, not only the mean.
    inside : Inside or None
        Where the user wants results.
    folder : Path or None
        Where results of a whole image are kept.
    spare_cores : int
        Processor cores left to the viewer.
    preview : bool
        Whether head 1 answers first where the user looks.
    """

    source: Source
    channel: int | None
    model: str
    settings: PredictionConfig
    view: View | None
    focus: Focus
    heads: bool
    inside: Inside | None
    folder: Path | None
    spare_cores: int
    preview: bool = True

    @property
    def n_pixels(self) -> int:
        """Pixels of the result."""
        if self.view is not None:
            return math.prod(stop - start for start, stop in self.view.region)
        shape = zip(self.source.shown_axes, self.source.shown_shape, strict=True)
        return math.prod(size for letter, size in shape if letter != "C")

    def group(
        self, model: Model, shown_shape: tuple[int, ...] | None = None
    ) -> ResultGroup:
        """Return what the layers of the results share.

        Parameters
        ----------
        model : Model
            What makes them.
        shown_shape : tuple of int, optional
            Pixels of the layers over the whole image, if they are not the image's own.
        """
        source = self.source
        provenance = {
            "image": source.name,
            "axes": source.axes,
            "channel": self.channel,
            "model": model.config.name,
            "model_file": self.model,
            "task": model.config.task,
            "recipe": self.settings.model_dump(),
            "inside": None if self.inside is None else self.inside.name,
            "version": version("napari-unetpp"),
        }
        return ResultGroup(
            name=source.name + (VIEW if self.view else ""),
            geometry=self._geometry(shown_shape),
            provenance=provenance,
            folder=None if self.folder is None else str(self.folder),
            replaces=self.view is not None or self.folder is not None,
            class_colours=model_colours(model.config),
        )

    def _geometry(self, shown_shape: tuple[int, ...] | None) -> Geometry:
        """Return the place of a result, which is the view or the whole, without C."""
        axes = self.source.shown_axes
        geometry = self.source.geometry
        if self.view is not None:
            geometry = geometry.shifted(self.view.origin(axes))
        if "C" in axes:
            at = axes.index("C")
            geometry = geometry.flattened(at, self.source.shown_shape[at])
        if shown_shape is not None:
            sizes = zip(axes, self.source.shown_shape, strict=True)
            own = tuple(1 if a == "C" else size for a, size in sizes)
            geometry = geometry.with_shape(own, shown_shape)
        return geometry
