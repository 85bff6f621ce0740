"""Images and what is labelled of them, as a training sees it while labels are added."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp._types import slices
from napari_unetpp.arrays import align_labels, canonical
from napari_unetpp.data import TrainingPair
from napari_unetpp.errors import LabelsError
from napari_unetpp.training._crops import Crops, boxes_around, spread
from napari_unetpp.training._loop import TrainingData
from napari_unetpp.training._notices import notices
from napari_unetpp.training._places import EDGES, choose_sides
from napari_unetpp.training._scan import scan_labels, truth_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from napari_unetpp._types import Box, LabelArray, LazyArray
    from napari_unetpp.arrays import LabelRule
    from napari_unetpp.config import ModelConfig, Nonfinite, TrainingConfig
    from napari_unetpp.training._prepare import LabelledImage
    from napari_unetpp.training._scan import Scan

_CONTEXT = {2: 48, 3: 16}
"""Pixels around a held-out block that the network sees when it is validated."""


class LabelledSet:
    """Labelled images of one training.

    Of each image only the regions around labels are read and kept.

    Parameters
    ----------
    items : sequence of LabelledImage
        The images and the labels they have at the start.
    model : ModelConfig
        How the model reads an image.
    rule : LabelRule
        What the values of labels mean.
    settings : TrainingConfig
        Patches, share that is held out, seed.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or taken as background.
    sides : mapping of str to bool, optional
        `TrainingData.sides` of an earlier part of the same training: a place that was
        learnt then is never validated on.

    Raises
    ------
    AxesError
        If the model does not take an image's axes or channels.
    """

    def __init__(
        self,
        items: Sequence[LabelledImage],
        model: ModelConfig,
        rule: LabelRule,
        settings: TrainingConfig,
        nonfinite: Nonfinite = "error",
        sides: Mapping[str, bool] | None = None,
    ) -> None:
        self._items, self._model, self._rule = list(items), model, rule
        self._settings = settings
        self._sides = dict(sides or {})
        network = model.network
        self._images = [
            canonical(
                item.image, network.spatial_dims, model.channels, network.in_channels
            )
            for item in items
        ]
        self._crops = [Crops(one, model.intensity, nonfinite) for one in self._images]

    def data(self) -> TrainingData:
        """Return what is learnt from and what is held out.

        Raises
        ------
        LabelsError
            If labels do not fit their image, or nothing is labelled.
        ImageError
            If pixels cannot be read, or are not finite and that is an error.
        """
        labels = [
            align_labels(item.labels, image)
            for item, image in zip(self._items, self._images, strict=True)
        ]
        task, rule, settings = self._model.task, self._rule, self._settings
        edge = EDGES[self._model.network.spatial_dims][-1]
        scans = [
            scan_labels(one, image, task, rule, edge)
            for one, image in zip(labels, self._images, strict=True)
        ]
        if not any(scan.by_plane for scan in scans):
            raise LabelsError("no labelled pixel in any image: label some first")
        sides = choose_sides(
            [scan.counts for scan in scans],
            edge,
            settings.validation_fraction,
            settings.seed,
            self._sides,
        )
        self._sides = dict(sides.held)
        learnt: list[TrainingPair] = []
        held: list[TrainingPair] = []
        amounts = np.zeros((2, len(scans[0].counts)), np.int64)
        for index, (scan, one) in enumerate(zip(scans, labels, strict=True)):
            out = sides.blocks(index, scan.counts.shape[1:], edge)
            amounts[0] += scan.counts[:, ~out].sum(axis=1)
            amounts[1] += scan.counts[:, out].sum(axis=1)
            for box, pair in self._pairs(index, scan, one, edge):
                if sides.edge is None:
                    (held if out.any() else learnt).append(pair)
                    continue
                mask = spread(out, edge, box)
                learnt += _learnt(pair, mask)
                held += _held_blocks(pair, box, mask, sides.edge)
        stray = sorted({value for scan in scans for value in scan.stray})
        return TrainingData(
            learnt,
            held,
            sides.words,
            notices(self._model, rule, amounts[0], amounts[1], stray),
            self._sides,
        )

    def relabel(self, labels: Sequence[LabelArray]) -> TrainingData:
        """Return the same for newer labels, one array for each image as at the start.

        Images are not read or normalised again where they are known. A value that is
        no class of the model is left unlabelled, with a notice.

        Raises
        ------
        LabelsError
            If labels do not fit their image, or nothing is labelled: then the labels
            from before are kept.
        """
        before = self._items
        self._items = [
            replace(item, labels=replace(item.labels, data=new))
            for item, new in zip(before, labels, strict=True)
        ]
        try:
            return self.data()
        except LabelsError:
            self._items = before
            raise

    def _pairs(
        self, index: int, scan: Scan, labels: LazyArray, edge: int
    ) -> Iterator[tuple[Box, TrainingPair]]:
        """Yield each region around labels of one image and where it lies."""
        image, settings = self._images[index], self._settings
        margin = math.ceil(settings.patch / settings.augment.scale[0])
        shape = image.spatial_shape
        for loop, labelled in scan.by_plane.items():
            boxes = boxes_around(labelled, edge, margin, shape)
            where = f" {image.loop_axes}={loop}" if loop else ""
            for box, pixels in zip(
                boxes, self._crops[index].keep(loop, boxes), strict=True
            ):
                part = np.asarray(labels[(*loop, *slices(box))])
                yield (
                    box,
                    TrainingPair(
                        pixels,
                        truth_of(part, self._model.task, self._rule),
                        f"{image.image.name}{where}",
                        border=tuple(
                            (start == 0, stop == n)
                            for (start, stop), n in zip(box, shape, strict=True)
                        ),
                    ),
                )


def _learnt(pair: TrainingPair, out: npt.NDArray[np.bool_]) -> list[TrainingPair]:
    """Return a region without the pixels that are held out, if any are left."""
    if not ((pair.labels >= 0) & ~out).any():
        return []
    return [replace(pair, counts=~out) if out.any() else pair]


def _held_blocks(
    pair: TrainingPair, box: Box, out: npt.NDArray[np.bool_], size: int
) -> Iterator[TrainingPair]:
    """Yield each labelled held-out block of a region with some context around it."""
    context = _CONTEXT[len(box)]
    judged = out & (pair.labels >= 0)
    grids = [range(start - start % size, stop, size) for start, stop in box]
    for first in itertools.product(*grids):
        block = tuple(
            slice(max(0, at - start), at + size - start)
            for at, (start, _) in zip(first, box, strict=True)
        )
        if not judged[block].any():
            continue
        around = tuple(
            slice(max(0, side.start - context), side.stop + context) for side in block
        )
        counts = np.zeros_like(out)
        counts[block] = True
        yield replace(
            pair,
            image=pair.image[:, *around],
            labels=pair.labels[around],
            counts=(counts & judged)[around],
        )
