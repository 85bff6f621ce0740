"""What is wanted of an image, and what must be read for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_unetpp._types import slices
from napari_unetpp.errors import ImageError, SettingsError
from napari_unetpp.tiling import Focus

if TYPE_CHECKING:
    from napari_unetpp._types import Box, LazyArray
    from napari_unetpp.arrays import Canonical, Rescaling


def check_mask(whole: Canonical, mask: LazyArray | None) -> None:
    """Refuse a mask that does not lie over the image pixel by pixel.

    Raises
    ------
    ImageError
        If it has another shape than a result, and than its spatial axes.
    """
    if mask is None or tuple(mask.shape) in (whole.result_shape, whole.spatial_shape):
        return
    raise ImageError(
        f"the mask has the shape {tuple(mask.shape)}, but the result of"
        f" {whole.image.name} has {whole.result_shape} (axes {whole.result_axes}); give"
        f" a mask of that shape, or of {whole.spatial_shape} for all of"
        f" {whole.loop_axes or 'it'}"
    )


def wanted_box(
    whole: Canonical,
    shape: tuple[int, ...],
    region: Box | None,
    loop: tuple[int, ...] | None,
) -> Box:
    """Return what is wanted, one interval for each loop and spatial axis.

    Parameters
    ----------
    whole : Canonical
        The image.
    shape : tuple of int
        Its size along the spatial axes, on the grid on which `region` is given.
    region, loop : Box, tuple of int, optional
        As in `make_plan`.

    Raises
    ------
    SettingsError
        If it is not inside the image.
    """
    n = len(whole.loop_axes)
    sizes = whole.loop_shape + shape
    everything = tuple((0, size) for size in sizes)
    loops = everything[:n] if loop is None else tuple((at, at + 1) for at in loop)
    box = loops + (everything[n:] if region is None else tuple(region))
    fits = len(box) == len(everything) and all(
        0 <= start < stop <= size
        for (start, stop), (_, size) in zip(box, everything, strict=True)
    )
    if not fits:
        raise SettingsError(
            f"region={region}, loop={loop}: not inside the image, whose axes"
            f" {whole.result_axes} have the sizes {sizes}; give a start"
            f" and stop for each of {whole.spatial_axes} and an index for each of"
            f" {whole.loop_axes or 'no other axis'}"
        )
    return box


@dataclass(frozen=True, slots=True)
class View:
    """What is read for a part that is wanted, on the pooling grid of the whole image.

    Attributes
    ----------
    outer, kept : Box
        What is read, and where in it lies what is wanted; one interval for each loop
        and spatial axis.
    n_loops : int
        How many of these are loop axes.
    """

    outer: Box
    kept: Box
    n_loops: int

    @classmethod
    def of(
        cls,
        wanted: Box,
        shape: tuple[int, ...],
        halo: tuple[int, ...],
        alignment: tuple[int, ...],
    ) -> View:
        """Add the context to `wanted` that a whole of the spatial `shape` has."""
        n = len(wanted) - len(shape)
        spans = zip(wanted[n:], shape, halo, alignment, strict=True)
        outer = wanted[:n] + tuple(
            (
                max(start // align * align - context, 0),
                min(-(-stop // align) * align + context, size),
            )
            for (start, stop), size, context, align in spans
        )
        kept = tuple(
            (start - first, stop - first)
            for (start, stop), (first, _) in zip(wanted, outer, strict=True)
        )
        return cls(outer, kept, n)

    @property
    def start(self) -> tuple[int, ...]:
        """First pixel that is read."""
        return tuple(start for start, _ in self.outer)

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along the spatial axes."""
        return tuple(stop - start for start, stop in self.outer[self.n_loops :])

    @property
    def is_whole(self) -> bool:
        """Whether all that is read is wanted."""
        return all(
            stop - start == end - first
            for (start, stop), (first, end) in zip(self.kept, self.outer, strict=True)
        )

    def cut(self, whole: Canonical, rescaling: Rescaling | None) -> Canonical:
        """Return what is read of the image, on its own grid."""
        loops, spatial = self.outer[: self.n_loops], self.outer[self.n_loops :]
        if rescaling is not None:
            spatial = rescaling.needed(spatial)
        index: Any = (*slices(loops), slice(None), *slices(spatial))
        return replace(whole, data=whole.data[index])


class RescaledFocus(Focus):
    """What is looked at, in pixels of the grid on which a network reads an image.

    Parameters
    ----------
    seen : Box or Focus, optional
        The same in pixels of the image; a `Focus` goes on to be moved in these.
    rescaling : Rescaling
        From the image's own grid to that of the network.
    """

    def __init__(self, seen: Box | Focus | None, rescaling: Rescaling) -> None:
        super().__init__()
        self._focus = seen if isinstance(seen, Focus) else Focus(seen)
        self._rescaling = rescaling

    @property
    def seen(self) -> tuple[int, Box | None]:
        """Version and box, as they belong together."""
        version, box = self._focus.seen
        if box is None:
            return version, None
        n = len(box) - len(self._rescaling.shape)
        return version, box[:n] + self._rescaling.covering(box[n:])

    @property
    def box(self) -> Box | None:
        """What is looked at now."""
        return self.seen[1]

    @property
    def version(self) -> int:
        """How often the focus has moved."""
        return self._focus.version

    def look_at(self, box: Box | None) -> None:
        """Move to `box`, in pixels of the image."""
        self._focus.look_at(box)
