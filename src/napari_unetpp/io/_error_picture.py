"""What a picture of errors shows, and the colours of the errors, also in the viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_unetpp.nn._object_errors import ErrorKind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_unetpp._types import LabelArray

    Kinds = npt.NDArray[np.uint8]

# Okabe and Ito's colours, which the colour-blind can tell apart too.
ERROR_COLOURS: Final = {
    ErrorKind.MISSED: "#56b4e9",
    ErrorKind.FALSE: "#d55e00",
    ErrorKind.SPLIT: "#cc79a7",
    ErrorKind.MERGED: "#f0e442",
    ErrorKind.OUTLINE: "#009e73",
    ErrorKind.CONFUSED: "#e69f00",
}
"""Colour of each kind of error, in pictures and in the viewer."""

RIGHT: Final = "#ffffff"
"""Colour of the outlines of objects that are right."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorPicture:
    """A part of a plane of an image, and what is wrong there.

    Attributes
    ----------
    name : str
        Of the image.
    place : str
        Which plane and part of it, in words; empty if it is all of the image.
    scores : str
        Measures of the whole image, in words.
    image : array, (Y, X)
        Pixels in grey.
    true, found : array of int, (Y, X)
        Object ids; zeros for classes.
    true_kinds, found_kinds : array of uint8, (Y, X)
        `ErrorKind` of the true, and of the found, object of each pixel. Of classes both
        are that of the pixel.
    counts : dict of ErrorKind to int
        What is wrong in the whole image: objects, or pixels of classes.
    n_right : int or None
        True objects of the whole image with nothing wrong; ``None`` for classes.
    """

    name: str
    place: str
    scores: str
    image: npt.NDArray[Any]
    true: LabelArray
    found: LabelArray
    true_kinds: Kinds
    found_kinds: Kinds
    counts: dict[ErrorKind, int]
    n_right: int | None

    @property
    def title(self) -> str:
        """What stands above the picture."""
        where = f" ({self.place})" if self.place else ""
        return f"{self.name}{where}: {self.scores}"

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Colour and words of each kind of error that there can be."""
        unit = " px" if self.n_right is None else ""
        own = [
            (ERROR_COLOURS[kind], f"{kind.words}: {n:,}{unit}")
            for kind, n in self.counts.items()
        ]
        return (
            own if self.n_right is None else [*own, (RIGHT, f"right: {self.n_right:,}")]
        )

    @property
    def note(self) -> str:
        """How to read the picture."""
        if self.n_right is None:
            return "Right: wrong pixels tinted."
        return "Right: tint and thin line, true objects; thick line, predicted objects."
