"""Inputs of recipes: opened, and written where they lie in no file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da

from napari_unetpp._recipe import SegmentInput, TrainInput
from napari_unetpp.arrays import PIXEL
from napari_unetpp.errors import AxesError
from napari_unetpp.io import as_image, read_labels
from napari_unetpp.io._region_mask import region_mask
from napari_unetpp.io._write_input import (
    find_channel,
    holds,
    small_labels,
    write_input,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unetpp.arrays import Image


def open_training_input(item: TrainInput) -> tuple[Image, Image]:
    """Open an image and its labels; no pixel is read.

    Raises
    ------
    ImageError, AxesError, LabelsError
        If a file is missing, damaged or does not suit.
    """
    images = [as_image(path, item.axes, item.channel) for path in item.image]
    image = images[0] if len(images) == 1 else stack_channels(images)
    if item.scale is not None:
        image = _scaled(image, item.scale)
    if item.name is not None:
        image = replace(image, name=item.name)
    of_labels = item.axes and item.axes.upper().replace("C", "")
    return image, read_labels(item.labels, of_labels)


def open_mask(item: SegmentInput) -> Path | Image | None:
    """Return where results of an image are wanted, ``None`` for everywhere.

    Raises
    ------
    ImageError, AxesError
        If there is a region and it does not lie in the image, or the mask does not.
    """
    if item.region is None:
        return item.mask
    region = region_mask(as_image(item.image, item.axes, item.channel), item.region)
    return region if item.mask is None else _both(region, as_image(item.mask))


def stack_channels(images: Sequence[Image]) -> Image:
    """Return several images of one scene as one image with channels first.

    Raises
    ------
    AxesError
        If they differ in axes or shape, or have channels themselves.
    """
    first = images[0]
    for image in images:
        if image.axes != first.axes or image.shape != first.shape:
            raise AxesError(
                f"{image.name} ({image.axes} {image.shape}) and {first.name}"
                f" ({first.axes} {first.shape}) cannot be channels of one image; they"
                " need the same axes and shape"
            )
        if "C" in image.axes:
            raise AxesError(
                f"{image.name} has channels itself and cannot be one of several; pick"
                " one of them"
            )
    data: Any = da.stack([image.data for image in images])
    where = first.translate
    return replace(
        first,
        data=data,
        axes=f"C{first.axes}",
        scale=(1.0, *first.scale),
        units=(PIXEL, *first.units),
        translate=None if where is None else (0.0, *where),
    )


def recipe_folder(recipe: str | Path) -> Path:
    """Return the folder beside a recipe for inputs that lie in no other file.

    Parameters
    ----------
    recipe : str or Path
        The file of the recipe; it need not be there yet.
    """
    path = Path(recipe)
    return path.with_name(f"{path.stem}.files")


def save_training_input(
    folder: Path,
    number: int,
    images: Sequence[object],
    labels: object,
    *,
    axes: str | None = None,
    channel: int | None = None,
    image_files: Sequence[Path | None] = (),
    labels_file: Path | None = None,
) -> TrainInput:
    """Return files that hold an image and its labels, written where there are none.

    Parameters
    ----------
    folder : Path
        Where files are written, as `recipe_folder` names it; made if needed.
    number : int
        Of the pair, counted from 1: ``image-1.tif``, ``labels-1.tif``.
    images : sequence of arrays, layers or Images
        The image, or several that are its channels.
    labels : array, layer or Image
        Its labels.
    axes, channel : str, int, optional
        What the axes of each image are, and the one channel that is learnt from.
    image_files, labels_file : paths, optional
        Files from which they may have come: one that holds the same pixels is named
        instead of being written again.

    Raises
    ------
    InputError
        If they are no image or no labels.
    OutputError
        If a file cannot be written.
    """
    opened, truth = _opened(images, labels, axes)
    item = _planned(folder, number, opened, axes, channel)
    found: dict[str, Any]
    if len(opened) == 1:
        origin = image_files[0] if image_files else None
        place, axes, channel = _image_file(
            opened[0], item.image[0], origin, axes, channel
        )
        found = {"image": (place,), "axes": axes, "channel": channel}
    else:
        origins = [*image_files, *[None] * len(opened)]
        pairs = zip(opened, item.image, origins, strict=False)
        found = {"image": tuple(_own_file(i, p, o, whole=False) for i, p, o in pairs)}
    found["labels"] = _own_file(
        small_labels(truth), item.labels, labels_file, whole=True
    )
    return item.model_copy(update=found)


def planned_training_input(
    folder: Path,
    number: int,
    images: Sequence[object],
    labels: object,
    *,
    axes: str | None = None,
    channel: int | None = None,
    image_files: Sequence[Path | None] = (),
    labels_file: Path | None = None,
) -> TrainInput:
    """Return files that an image and its labels lie in, or would be written to.

    Nothing is read or written: this is for the record of a training whose layers are
    perhaps never saved.

    Parameters
    ----------
    folder, number, images, labels, axes, channel, image_files, labels_file
        As in `save_training_input`; that the files hold what the layers show is taken
        for granted.
    """
    opened, _ = _opened(images, labels, axes)
    item = _planned(folder, number, opened, axes, channel)
    origins = [*image_files, *[None] * len(opened)]
    places = [
        origin or place for place, origin in zip(item.image, origins, strict=False)
    ]
    return item.model_copy(
        update={"image": tuple(places), "labels": labels_file or item.labels}
    )


def save_segment_input(
    folder: Path,
    number: int,
    image: object,
    *,
    axes: str | None = None,
    channel: int | None = None,
    image_file: Path | None = None,
    mask: object = None,
    region: Mapping[str, tuple[int, int]] | None = None,
) -> SegmentInput:
    """Return a file that holds an image to segment, written where there is none.

    Parameters
    ----------
    folder, number, axes, channel
        As in `save_training_input`.
    image : array, layer or Image
        What is segmented.
    image_file : Path, optional
        File from which it may have come; named if it holds the same pixels.
    mask : array, layer, Image or path, optional
        Only where it is not 0 are results wanted; written as ``mask-1.tif``.
    region : mapping of str to (int, int), optional
        The part that is wanted, as in `SegmentInput`.

    Raises
    ------
    InputError, OutputError
        As in `save_training_input`.
    """
    opened = as_image(image, axes)
    place = folder / f"image-{number}.tif"
    place, axes, channel = _image_file(opened, place, image_file, axes, channel)
    return SegmentInput(
        image=place,
        axes=axes,
        channel=channel,
        mask=None if mask is None else _mask_file(mask, opened, folder, number),
        region=None if region is None else dict(region),
    )


def _opened(
    images: Sequence[object], labels: object, axes: str | None
) -> tuple[list[Image], Image]:
    of_labels = axes and axes.upper().replace("C", "")
    return [as_image(image, axes) for image in images], read_labels(labels, of_labels)


def _planned(
    folder: Path,
    number: int,
    images: Sequence[Image],
    axes: str | None,
    channel: int | None,
) -> TrainInput:
    """Return the input whose files are all still to be written."""
    first = images[0]
    names = [f"image-{number}.tif"]
    if len(images) > 1:
        names = [f"image-{number}-channel-{k}.tif" for k in range(len(images))]
    # Said even where it is 1: the file may have another scale than the layer.
    scale = {a: s for a, s in zip(first.axes, first.scale, strict=True) if a in "ZYX"}
    return TrainInput(
        image=tuple(folder / name for name in names),
        labels=folder / f"labels-{number}.tif",
        axes=axes,
        channel=channel,
        scale=scale,
        name=first.name,
    )


def _image_file(
    image: Image,
    place: Path,
    origin: Path | None,
    axes: str | None,
    channel: int | None,
) -> tuple[Path, str | None, int | None]:
    """Return a file that holds an image, its axes, and which channel is meant."""
    if origin is not None and channel is None and not holds(origin, image, whole=False):
        of_file = find_channel(origin, image)  # viewers split files into channels
        if of_file is not None:
            return origin, None, of_file
    return _own_file(image, place, origin, whole=False), axes, channel


def _own_file(image: Image, place: Path, origin: Path | None, *, whole: bool) -> Path:
    """Return `origin` if it holds this image, else write it to `place`."""
    if origin is not None and holds(origin, image, whole=whole):
        return origin
    write_input(image, place)
    return place


def _mask_file(mask: object, image: Image, folder: Path, number: int) -> Path:
    """Return a file that holds a mask; its axes are the last ones of its image."""
    if isinstance(mask, (str, Path)):
        return Path(mask)
    found = as_image(mask)
    axes = image.axes.replace("C", "")[-len(found.shape) :]
    if found.axes_guessed and len(axes) == len(found.shape):
        found = replace(found, axes=axes, axes_guessed=False)
    place = folder / f"mask-{number}.tif"
    write_input(found, place)
    return place


def _both(region: Image, mask: Image) -> Image:
    """Return where both a region and a mask are, along the axes of the region."""
    n = len(mask.shape)
    axes = region.axes[-n:] if mask.axes_guessed else mask.axes
    sizes = dict(zip(region.axes, region.shape, strict=True))
    if tuple(sizes.get(letter) for letter in axes) != mask.shape:
        raise AxesError(
            f"mask {mask.name} has axes {mask.axes} and shape {mask.shape}, but"
            f" the image {sizes}; give one value for each pixel"
        )
    kept = [letter for letter in region.axes if letter in axes]
    data: Any = mask.data
    wide: Any = data.transpose([axes.index(letter) for letter in kept])[
        tuple(slice(None) if letter in axes else None for letter in region.axes)
    ]
    both: Any = region.data
    return replace(
        region,
        data=both * (wide != 0).astype(both.dtype),
        name=f"{region.name} inside {mask.name}",
    )


def _scaled(image: Image, scale: Mapping[str, float]) -> Image:
    """Return an image with the pixel sizes that a recipe tells."""
    stray = sorted(set(scale) - set(image.axes))
    if stray:
        raise AxesError(
            f"scale tells of {', '.join(stray)}, but {image.name} has the axes"
            f" {image.axes}; name these"
        )
    sizes = zip(image.axes, image.scale, strict=True)
    return replace(image, scale=tuple(scale.get(axis, old) for axis, old in sizes))
