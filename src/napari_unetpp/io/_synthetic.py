"""Generated fluorescence images of nuclei whose truth is known to the pixel.

Ellipsoids with a grainy texture are placed at random without touching, blurred as a
microscope does (more along Z than across), laid on an uneven ground, and counted with
Poisson noise. The same seed gives the same image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray

OFFSET = 100.0
"""Counts that the camera adds to every pixel."""


@dataclass(frozen=True, slots=True)
class SyntheticImage:
    """A generated image with its truth.

    Attributes
    ----------
    data : array of uint16
        Counts.
    labels : array of uint16
        The objects: 1...n, 0 is background; shape of `data`. A number stays with its
        object through all planes and times.
    axes : str
        "ZYX" or "TYX".
    scale : tuple of float
        Size of a pixel along each axis: micrometres, seconds for T.
    """

    data: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.uint16]
    axes: str
    scale: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Nucleus:
    """An ellipsoid: centre and radii in pixels, angle in the plane, brightness."""

    centre: tuple[float, ...]
    radii: tuple[float, ...]
    angle: float
    brightness: float

    def moved(self, shift: npt.NDArray[np.float64]) -> _Nucleus:
        """Return the same nucleus somewhere else."""
        centre = tuple(float(c + s) for c, s in zip(self.centre, shift, strict=True))
        return _Nucleus(centre, self.radii, self.angle, self.brightness)


def nuclei_stack(
    shape: tuple[int, int, int] = (16, 256, 256), n_nuclei: int = 60, seed: int = 0
) -> SyntheticImage:
    """Generate a stack of planes through nuclei.

    Parameters
    ----------
    shape : tuple of int
        Planes, rows and columns.
    n_nuclei : int
        Objects wanted; fewer are made where no more fit without touching.
    seed : int
        Start of the random numbers.

    Returns
    -------
    SyntheticImage
        With the axes "ZYX".

    Examples
    --------
    >>> stack = nuclei_stack((8, 64, 64), n_nuclei=5, seed=1)
    >>> stack.data.shape, int(stack.labels.max())
    ((8, 64, 64), 5)
    """
    rng = np.random.default_rng(seed)
    nuclei = _place(rng, shape, n_nuclei)
    labels, light = _draw(nuclei, shape)
    data = _expose(rng, light, blur=(0.5, 1.0, 1.0))
    return SyntheticImage(data, labels, "ZYX", (1.5, 0.4, 0.4))


def nuclei_movie(
    shape: tuple[int, int, int] = (12, 256, 256), n_nuclei: int = 40, seed: int = 0
) -> SyntheticImage:
    """Generate a movie of nuclei that drift.

    Parameters
    ----------
    shape : tuple of int
        Times, rows and columns.
    n_nuclei : int
        Objects wanted; fewer are made where no more fit without touching at the start.
        They may leave the image, or pass over each other, later.
    seed : int
        Start of the random numbers.

    Returns
    -------
    SyntheticImage
        With the axes "TYX".
    """
    rng = np.random.default_rng(seed)
    nuclei = _place(rng, shape[1:], n_nuclei)
    shifts = rng.normal(0, 0.6, (len(nuclei), 2))
    frames = []
    for time in range(shape[0]):
        moved = [n.moved(time * s) for n, s in zip(nuclei, shifts, strict=True)]
        labels, light = _draw(moved, shape[1:])
        frames.append((_expose(rng, light, blur=(1.0, 1.0)), labels))
    data, labels_of_all = (np.stack(arrays) for arrays in zip(*frames, strict=True))
    return SyntheticImage(data, labels_of_all, "TYX", (60.0, 0.4, 0.4))


def _place(
    rng: np.random.Generator, shape: tuple[int, ...], n_wanted: int
) -> list[_Nucleus]:
    """Throw ellipsoids into the image and keep those that touch no other."""
    flat = np.ones(len(shape))
    flat[:-2] = 0.4  # planes lie further apart than columns
    nuclei: list[_Nucleus] = []
    for _ in range(50 * n_wanted):
        if len(nuclei) == n_wanted:
            break
        radii = rng.uniform(6.0, 11.0) * rng.uniform(0.8, 1.2, len(shape)) * flat
        centre = rng.uniform(0.0, shape)
        nucleus = _Nucleus(
            tuple(centre), tuple(radii), rng.uniform(0, np.pi), rng.uniform(0.5, 1.5)
        )
        if not any(_touch(nucleus, other, flat) for other in nuclei):
            nuclei.append(nucleus)
    return nuclei


def _touch(a: _Nucleus, b: _Nucleus, flat: npt.NDArray[np.float64]) -> bool:
    """Whether the balls around two nuclei come closer than two pixels."""
    distance = np.linalg.norm(np.subtract(a.centre, b.centre) / flat)
    reach = max(a.radii / flat) + max(b.radii / flat) + 2.0
    return bool(distance < reach)


def _draw(
    nuclei: list[_Nucleus], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.uint16], FloatArray]:
    """Return the labels and the light, both of `shape`, of the nuclei."""
    labels = np.zeros(shape, np.uint16)
    light = np.zeros(shape, np.float32)
    for number, nucleus in enumerate(nuclei, start=1):
        reach = np.ceil(max(nucleus.radii)) + 1
        box = tuple(
            slice(max(int(c - reach), 0), max(min(int(c + reach) + 1, n), 0))
            for c, n in zip(nucleus.centre, shape, strict=True)
        )
        inside = _ellipsoid(nucleus, box)
        labels[box][inside] = number
        light[box][inside] = nucleus.brightness
    return labels, light


def _ellipsoid(nucleus: _Nucleus, box: tuple[slice, ...]) -> npt.NDArray[np.bool_]:
    """Return which pixels of `box` lie in the nucleus."""
    grids = np.ogrid[box]
    *rest, y, x = [g - c for g, c in zip(grids, nucleus.centre, strict=True)]
    cos, sin = np.cos(nucleus.angle), np.sin(nucleus.angle)
    turned = [*rest, cos * y - sin * x, sin * y + cos * x]
    parts = [(d / r) ** 2 for d, r in zip(turned, nucleus.radii, strict=True)]
    return np.asarray(sum(parts) <= 1.0)


def _expose(
    rng: np.random.Generator, light: FloatArray, blur: tuple[float, ...]
) -> npt.NDArray[np.uint16]:
    """Return what a camera counts: grain, blur, uneven ground and Poisson noise."""
    grain = ndimage.gaussian_filter(rng.normal(size=light.shape), blur)
    textured = light * (1.0 + 0.2 * grain / grain.std())
    seen = ndimage.gaussian_filter(textured, blur)
    ground = np.linspace(0.05, 0.35, light.shape[-1])  # brighter to the right
    photons = 400.0 * np.clip(seen + ground, 0.0, None)
    return np.asarray(rng.poisson(photons) + OFFSET, np.uint16)
