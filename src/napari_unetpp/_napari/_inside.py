"""Where the user wants results: a labels layer or drawn shapes, over an image's pixels.

Nothing here has the size of the image: pixels are looked up, and shapes filled in, for
the piece that is asked for.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from skimage.draw import polygon as filled

from napari_unetpp._napari._levels import as_tuple
from napari_unetpp._napari._source import CHANNEL, Geometry, Source, layer_geometry
from napari_unetpp.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Shapes

    from napari_unetpp._types import LazyArray

    Points = npt.NDArray[np.float64]

_TURNED = 0.5  # pixels by which a row of the mask may drift across rows of the image
_ELLIPSE_POINTS = 180
_AREAS = ("rectangle", "ellipse", "polygon")


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """A mask layer as it was when a button was pressed.

    Attributes
    ----------
    name : str
        Name of the layer.
    geometry : Geometry
        Where it lies.
    data : array or None
        Labels: results are wanted where they are not 0. Not a copy.
    shapes : tuple of (str, array)
        Shapes: kind and corners, (n, axes) in pixels of the layer.
    """

    name: str
    geometry: Geometry
    data: LazyArray | None
    shapes: tuple[tuple[str, Points], ...]

    def over(self, image: Source) -> Source:
        """Return a mask with the axes of `image` but C; call it in any thread.

        Its name tells it from another mask of the same layer.

        Raises
        ------
        ImageError
            If the layer does not lie over the image, or has no area.
        """
        place = _Placement.between(self, image)
        if self.data is None:
            mask: _Looked | _Drawn = _Drawn.of(self, place)
        else:
            mask = _Looked.of(self.data, place)
        return Source(
            name=f"{self.name} {mask.digest:08x}",
            data=mask,
            rgb=False,
            axes=place.axes,
            geometry=Geometry.plain(place.axes),
        )


def read_inside(layer: Labels | Shapes) -> Inside:
    """Read a mask layer, in the GUI thread."""
    data: LazyArray | None = None
    shapes: tuple[tuple[str, Points], ...] = ()
    if isinstance(layer, Labels):
        data = layer.data[0] if layer.multiscale else layer.data
    else:
        shapes = tuple(
            (str(kind), np.array(corners, float))
            for kind, corners in zip(layer.shape_type, layer.data, strict=True)
        )
    return Inside(str(layer.name), layer_geometry(layer), data, shapes)


@dataclass(frozen=True, slots=True, eq=False)
class _Placement:
    """How pixels of a mask layer lie over those of an image.

    Attributes
    ----------
    mask, image : str
        What the layers are called.
    axes : str
        Of the image as shown, without C.
    shape : tuple of int
        Its size along these.
    among : str
        Axes of the image that the mask layer has: the last of those shown.
    to_mask : array, (len(among) + 1, len(among) + 1)
        Pixels of the image, along `among`, to pixels of the mask layer.
    """

    mask: str
    image: str
    axes: str
    shape: tuple[int, ...]
    among: str
    to_mask: Points

    @classmethod
    def between(cls, inside: Inside, image: Source) -> _Placement:
        shown = image.shown_axes
        n = len(inside.geometry.scale)
        if n > len(shown):
            raise ImageError(
                f"{inside.name!r} has {n} axes, the image {image.name!r} has"
                f" {len(shown)}; draw on a layer with those of the image"
            )
        keep = [a for a in shown if a != CHANNEL]
        sizes = dict(zip(shown, image.shown_shape, strict=True))
        of_image = image.geometry.matrix[-n - 1 :, -n - 1 :]
        return cls(
            inside.name,
            image.name,
            "".join(keep),
            tuple(sizes[a] for a in keep),
            shown[-n:],
            np.linalg.inv(inside.geometry.matrix) @ of_image,
        )


class _Looked:
    """Where labels are not 0; each pixel of the image looks up the nearest of them."""

    def __init__(
        self,
        data: LazyArray,
        place: _Placement,
        steps: Sequence[tuple[float, float] | None],
    ) -> None:
        self._data, self._place, self._steps = data, place, steps
        self.shape, self.ndim = place.shape, len(place.shape)
        self.dtype = np.dtype(bool)
        self.digest = 0
        if isinstance(data, np.ndarray):  # the user may paint on while a run goes on
            self._data = np.not_equal(data, 0)
            self.digest = zlib.crc32(np.ascontiguousarray(self._data).data)

    @classmethod
    def of(cls, data: LazyArray, place: _Placement) -> _Looked:
        linear, offset = place.to_mask[:-1, :-1], place.to_mask[:-1, -1]
        sizes = dict(zip(place.axes, place.shape, strict=True))
        extent = np.array([sizes.get(letter, 1) for letter in place.among])
        flat = [i for i, letter in enumerate(place.among) if letter == CHANNEL]
        drift = np.abs(linear - np.diag(np.diag(linear))) * extent
        if np.delete(np.delete(drift, flat, 0), flat, 1).max(initial=0) > _TURNED:
            raise ImageError(
                f"the labels {place.mask!r} are turned or sheared against the image"
                f" {place.image!r}; make a labels layer with the rotation of the image"
            )
        steps = [
            None if letter == CHANNEL else (float(linear[i, i]), float(offset[i]))
            for i, letter in enumerate(place.among)
        ]
        found = cls(data, place, steps)
        found._check_lies_over()
        return found

    def __getitem__(self, key: Any, /) -> npt.NDArray[np.bool_]:
        spans = _spans(key, self.shape)
        wanted = dict(zip(self._place.axes, spans, strict=True))
        cuts: list[slice] = []
        takes: list[npt.NDArray[np.intp]] = []
        for axis, letter in enumerate(self._place.among):
            if letter == CHANNEL:
                cuts.append(slice(None))
                takes.append(np.zeros(1, np.intp))
                continue
            at, size = self._places(axis, wanted[letter]), self._data.shape[axis]
            hit = at[(at >= 0) & (at < size)]
            if not hit.size:
                return np.zeros([len(span) for span in spans], bool)
            first, stop = int(hit.min()), int(hit.max()) + 1
            cuts.append(slice(first, stop))
            takes.append(np.where((at >= first) & (at < stop), at - first, -1))
        return self._spread(np.asarray(self._data[tuple(cuts)]) != 0, takes, spans)

    def _spread(
        self,
        found: npt.NDArray[np.bool_],
        takes: list[npt.NDArray[np.intp]],
        spans: list[range],
    ) -> npt.NDArray[np.bool_]:
        """Return the pixels of the image of a piece of the mask (*its axes)."""
        among = self._place.among
        if CHANNEL in among:
            found = np.any(found, axis=(among.index(CHANNEL),), keepdims=True)
        found = np.pad(found, [(0, 1)] * found.ndim)  # index -1: not inside
        picked = found[np.ix_(*takes)]
        if CHANNEL in among:
            picked = picked.squeeze(among.index(CHANNEL))
        return np.broadcast_to(picked, [len(span) for span in spans]).copy()

    def _places(self, axis: int, span: range) -> npt.NDArray[np.intp]:
        """Return the pixels of the mask under those of the image along an axis."""
        step, offset = self._steps[axis] or (0.0, 0.0)
        at = step * np.arange(span.start, span.stop, dtype=np.float64) + offset
        nearest: npt.NDArray[np.intp] = np.rint(at).astype(np.intp)
        return nearest

    def _check_lies_over(self) -> None:
        sizes = dict(zip(self._place.axes, self._place.shape, strict=True))
        for axis, letter in enumerate(self._place.among):
            if letter == CHANNEL:
                continue
            at = self._places(axis, range(sizes[letter]))
            if not ((at >= 0) & (at < self._data.shape[axis])).any():
                raise ImageError(
                    f"the labels {self._place.mask!r} lie beside the image"
                    f" {self._place.image!r} along {letter}; make them over the image"
                )


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """A drawn area: its outline (n, 2) along Y and X, and the plane that it is on."""

    outline: Points
    plane: dict[str, int]

    def meets(self, spans: dict[str, range]) -> bool:
        low, high = self.outline.min(axis=0), self.outline.max(axis=0)
        y, x = spans["Y"], spans["X"]
        beside = high[0] < y.start or low[0] >= y.stop
        beside = beside or high[1] < x.start or low[1] >= x.stop
        return not beside and all(at in spans[a] for a, at in self.plane.items())


class _Drawn:
    """Where shapes were drawn: on all planes, or on one if the layer has planes."""

    def __init__(self, areas: list[_Area], place: _Placement) -> None:
        self._areas, self._place = areas, place
        self.shape, self.ndim = place.shape, len(place.shape)
        self.dtype = np.dtype(bool)
        self.digest = 0
        for area in areas:
            text = f"{area.plane} {np.round(area.outline, 3).tolist()}"
            self.digest = zlib.crc32(text.encode(), self.digest)

    @classmethod
    def of(cls, inside: Inside, place: _Placement) -> _Drawn:
        areas = [
            _area(_outline(kind, corners), inside, place)
            for kind, corners in inside.shapes
            if kind in _AREAS
        ]
        if not areas:
            raise ImageError(
                f"the shapes {inside.name!r} have no area; draw a rectangle, an ellipse"
                " or a polygon around what is wanted"
            )
        return cls(areas, place)

    def __getitem__(self, key: Any, /) -> npt.NDArray[np.bool_]:
        axes = self._place.axes
        spans = dict(zip(axes, _spans(key, self.shape), strict=True))
        rest = [a for a in axes if a not in "YX"]
        size = (len(spans["Y"]), len(spans["X"]))
        found = np.zeros([len(spans[a]) for a in rest] + list(size), bool)
        for area in self._areas:
            if area.meets(spans):
                y, x = (area.outline - (spans["Y"].start, spans["X"].start)).T
                planes = tuple(
                    area.plane[a] - spans[a].start if a in area.plane else slice(None)
                    for a in rest
                )
                found[(*planes, ..., *filled(y, x, size))] = True
        order = [*rest, "Y", "X"]
        return found.transpose([order.index(a) for a in axes])


def _outline(kind: str, corners: Points) -> Points:
    """Return the outline (n, axes) of a shape; ellipses come as four corners."""
    if kind != "ellipse":
        return corners
    centre = corners.mean(axis=0)
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    return np.asarray(centre + np.cos(angle) * across + np.sin(angle) * along)


def _area(outline: Points, inside: Inside, place: _Placement) -> _Area:
    to_image = np.linalg.inv(place.to_mask)
    pixels = outline @ to_image[:-1, :-1].T + to_image[:-1, -1]
    yx = [place.among.index("Y"), place.among.index("X")]
    plane = {}
    for i, letter in enumerate(place.among):
        if letter in "YX" or letter == CHANNEL:
            continue
        at = np.unique(np.rint(pixels[:, i]).astype(int))
        if len(at) > 1:
            raise ImageError(
                f"a shape in {inside.name!r} runs across the planes {at[0]} to {at[-1]}"
                f" of {letter}; draw it in one plane of Y and X"
            )
        plane[letter] = int(at[0])
    return _Area(pixels[:, yx], plane)


def _spans(key: Any, shape: tuple[int, ...]) -> list[range]:
    """Return what an index of slices, one for each axis, asks for."""
    cuts = as_tuple(key, len(shape))
    return [range(size)[cut] for size, cut in zip(shape, cuts, strict=True)]
