"""What the Batch panel asks for and is told: many images, segmented into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_unetpp._image_files import expand
from napari_unetpp._napari._source import Source

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from napari_unetpp._napari._messages import Progress
    from napari_unetpp._recipe import SegmentInput
    from napari_unetpp.config import OutputKind, PredictionConfig


@dataclass(frozen=True, slots=True, eq=False)
class BatchItem:
    """One image of a batch.

    Attributes
    ----------
    name : str
        What it is called.
    image : Path or Source
        A file, or a layer as it was when it was read.
    file : Path or None
        The file, also that of a layer, if it has one.
    own : SegmentInput or None
        What a recipe says of this image, in place of what the panel says.
    """

    name: str
    image: Path | Source
    file: Path | None = None
    own: SegmentInput | None = None

    @property
    def short_name(self) -> str:
        """The name without the ending of a file."""
        if isinstance(self.image, Source):
            return self.name
        return self.name.split(".ome.")[0].removesuffix(self.image.suffix)

    @classmethod
    def of_file(cls, path: Path) -> BatchItem:
        """Return the item of a file."""
        return cls(path.name, path, path)

    @classmethod
    def of_recipe(cls, one: SegmentInput) -> BatchItem:
        """Return the item of an input of a recipe."""
        return cls(one.image.name, one.image, one.image, one)


@dataclass(frozen=True, slots=True, eq=False)
class BatchRequest:
    """What the Batch panel asks for.

    Attributes
    ----------
    items : tuple of BatchItem
        The images.
    model : str
        Name or path.
    settings : PredictionConfig
        How the model is run.
    folder : Path
        Where results lie.
    kinds : tuple of str or None
        Results that are kept; ``None`` for all that there are.
    form : {"auto", "tif", "zarr"}
        TIFF files or OME-Zarr.
    axes, channel : str or None, int or None
        Of every image file, where it does not say so itself, and the one channel used.
    overwrite : bool
        Whether results that were made in another way may be replaced.
    spare_cores : int
        Processor cores left to the viewer.
    """

    items: tuple[BatchItem, ...]
    model: str
    settings: PredictionConfig
    folder: Path
    kinds: tuple[OutputKind, ...] | None = None
    form: Literal["auto", "tif", "zarr"] = "auto"
    axes: str | None = None
    channel: int | None = None
    overwrite: bool = False
    spare_cores: int = 1


@dataclass(frozen=True, slots=True)
class RowBegun:
    """The work on an image begins.

    Attributes
    ----------
    index : int
        Which image, counted from 0.
    n_pixels : int
        Pixels of its result.
    """

    index: int
    n_pixels: int


@dataclass(frozen=True, slots=True)
class RowProgress:
    """Some of an image is done."""

    index: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class RowNote:
    """Something the user should know of an image; the plan, at first."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class RowDone:
    """An image is done.

    Attributes
    ----------
    index : int
        Which image.
    found : str
        What was found, in words.
    outputs : mapping of kind to Path
        Where the results are.
    seconds : float
        How long it took.
    notes : tuple of str
        What was out of the ordinary.
    up_to_date : bool
        Whether there was nothing to do.
    """

    index: int
    found: str
    outputs: Mapping[OutputKind, Path]
    seconds: float
    notes: tuple[str, ...] = ()
    up_to_date: bool = False


@dataclass(frozen=True, slots=True)
class RowFailed:
    """An image could not be segmented, and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ItemsFound:
    """The images that files and folders stand for."""

    items: tuple[BatchItem, ...]


def find_items(paths: Sequence[Path]) -> Generator[ItemsFound, None, None]:
    """Find the images that files and folders stand for; folders may be slow disks.

    Yields
    ------
    ItemsFound
        Once.

    Raises
    ------
    ImageError
        If a folder holds no image.
    """
    yield ItemsFound(tuple(BatchItem.of_file(path) for path in expand(paths)))
