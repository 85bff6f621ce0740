"""How large the objects of an image are, against those that a model has learnt.

A network has seen objects of about one size. An image whose objects are twice as large
is read at half its size, so that they are what the network knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp._amounts import AUTO
from napari_unetpp.arrays import PIXEL, Rescaling
from napari_unetpp.errors import SettingsError

if TYPE_CHECKING:
    from napari_unetpp.arrays import Canonical
    from napari_unetpp.config import ModelConfig, PredictionConfig

NEAR = 0.05
"""Share by which sizes may differ without the image being rescaled: networks are
trained on objects scaled by much more, and an image as it is keeps all its detail."""

MOST_SHRUNK, MOST_ENLARGED = 1 / 32, 16
"""Factors beyond which a diameter is taken for a mistake."""

_METRES = {
    "angstrom": 1e-10,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "meter": 1.0,
    "inch": 0.0254,
}
_OF_SYMBOL = {"nm": 1e-9, "um": 1e-6, "mm": 1e-3}


@dataclass(frozen=True, slots=True)
class ObjectSize:
    """The size of an image's objects.

    Attributes
    ----------
    diameter : float or None
        Of a circle (3-D: a sphere) of their area (volume), in pixels of the image;
        ``None`` if it was to be measured and nothing of a steady size was found.
    learnt : float
        The same of the objects that the model has learnt.
    n_objects : int or None
        How many were measured; ``None`` if the diameter was given.
    """

    diameter: float | None
    learnt: float
    n_objects: int | None = None

    @property
    def factor(self) -> float:
        """How many times as large the image is read; 1 where that is near enough."""
        factor = 1.0 if self.diameter is None else self.learnt / self.diameter
        return 1.0 if abs(math.log(factor)) <= math.log1p(NEAR) else factor

    def rescaling(self, shape: tuple[int, ...]) -> Rescaling | None:
        """Return the rescaling of an image; ``None`` where it is read as it is."""
        if self.factor == 1:
            return None
        found = Rescaling.by(shape, self.factor)
        return None if found.target == found.shape else found

    @property
    def text(self) -> str:
        """What is done, in words."""
        if self.diameter is None:
            found = "what was found to be measured has no steady size, give a diameter"
            if not self.n_objects:
                found = "no object was found to be measured"
            return f"{found}: the image is read as it is"
        size = f"objects of {self.diameter:.3g} px"
        if self.n_objects is not None:
            size = (
                f"objects measure {self.diameter:.3g} px (median of {self.n_objects:,})"
            )
        if self.factor == 1:
            return f"{size}, as the model has learnt: the image is read as it is"
        return (
            f"{size}, the model has learnt {self.learnt:.3g} px: the image is read at"
            f" {self.factor:.3g} times its size"
        )


def check_diameter(model: ModelConfig, settings: PredictionConfig) -> None:
    """Refuse a diameter that a model can do nothing with.

    Raises
    ------
    SettingsError
        If a diameter is given, but the model does not know its own, or would have to
        measure objects that it does not find.
    """
    if settings.diameter is None:
        return
    if model.diameter is None:
        raise SettingsError(
            f"diameter={settings.diameter}: the model {model.name!r} does not say how"
            " large the objects are that it has learnt; leave the diameter out, or use"
            " a model of objects that was trained with this version"
        )
    if settings.diameter == AUTO and model.task != "instances":
        raise SettingsError(
            f"diameter='auto': the model {model.name!r} finds {model.task}, not objects"
            " that could be measured; give a number of pixels"
        )


def given_size(
    image: Canonical, model: ModelConfig, diameter: float | str
) -> ObjectSize:
    """Return the size of objects that a user has given.

    Parameters
    ----------
    image : Canonical
        The image, with the size of its pixels.
    model : ModelConfig
        With the diameter that it has learnt.
    diameter : float or str
        In pixels, or a length such as ``"12 um"``.

    Raises
    ------
    SettingsError
        If a length is given, but the image does not say how large its pixels are; or
        if the image would have to be shrunk or enlarged out of all proportion.
    """
    if model.diameter is None:
        raise ValueError("check_diameter comes first")
    pixels = diameter if isinstance(diameter, float) else _in_pixels(image, diameter)
    factor = model.diameter / pixels
    if not MOST_SHRUNK <= factor <= MOST_ENLARGED:
        least, most = model.diameter / MOST_ENLARGED, model.diameter / MOST_SHRUNK
        raise SettingsError(
            f"diameter={diameter}: objects of {pixels:.3g} px would have"
            f" {image.image.name} read at {factor:.3g} times its size, for the model"
            f" has learnt objects of {model.diameter:.3g} px; give what a line across"
            f" an object measures in pixels, {least:.2g} to {most:.2g}"
        )
    return ObjectSize(pixels, model.diameter)


def _in_pixels(image: Canonical, length: str) -> float:
    """Return a length in pixels of the image, of their geometric mean size."""
    number, symbol = length.split()
    n = len(image.loop_axes)
    sizes = [
        size * _METRES.get(unit, math.nan)
        for size, unit in zip(
            image.result_scale[n:], image.result_units[n:], strict=True
        )
    ]
    pixel = math.prod(sizes) ** (1 / len(sizes))
    if not 0 < pixel < math.inf:
        units = " ".join(image.result_units[n:])
        raise SettingsError(
            f"diameter={length}: {image.image.name} does not say how large its pixels"
            f" are (units {units}); give the diameter in pixels, or store the size of a"
            f" pixel in the file{'' if PIXEL in units else ' as a length'}"
        )
    return float(number) * _OF_SYMBOL[symbol] / pixel
