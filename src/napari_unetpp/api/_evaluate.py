"""Scores of a model on labelled images, and of labels against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetpp.api._models import DEFAULT_MODEL, load_model
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import LabelsError
from napari_unetpp.inference._compare import Comparison, compare_labels
from napari_unetpp.inference._evaluate import Evaluation, compare_images
from napari_unetpp.io import as_image, read_labels
from napari_unetpp.io._scores_file import ScoreFiles
from napari_unetpp.nn._metrics import BOUNDARY_TOLERANCE
from napari_unetpp.nn._object_errors import FOUND_IOU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.config import Nonfinite, Precision, Task
    from napari_unetpp.nn import Model

WORST = 5
"""How many of the worst images get a picture, unless another number is asked for."""


def evaluate(
    images: Sequence[object],
    labels: Sequence[object],
    model: str | Path | Model = DEFAULT_MODEL,
    *,
    axes: str | None = None,
    channel: int | None = None,
    level: int | None = None,
    device: str = "auto",
    diameter: float | str | None = None,
    tile: int | None = None,
    batch: int = 1,
    nonfinite: Nonfinite = "error",
    link: bool = False,
    tta: bool = False,
    precision: Precision = "auto",
    unlabelled: int | None = None,
    boundary_tolerance: float = BOUNDARY_TOLERANCE,
    csv: str | Path | None = None,
    pictures: str | Path | None = None,
    worst: int = WORST,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Compare what a model finds with labels, for every head and their mean.

    Parameters
    ----------
    images : sequence of paths, arrays, layers or Images
        What is segmented.
    labels : sequence of paths, arrays, layers or Images
        The truth of each, in the same order.
    model, axes, channel, level, device, diameter, tile, batch, nonfinite, link, tta, \
    precision
        As in `predict` and `segment`.
    unlabelled : int, optional
        Label value of pixels that nobody labelled; they are in no sum.
    boundary_tolerance : float
        Distance in pixels up to which two outlines are taken for the same.
    csv : path, optional
        CSV file for the scores of every image and head, and of all images.
    pictures : path, optional
        Folder for pictures of the worst images with their errors marked.
    worst : int
        How many of them: those of lowest AP50, or mean IoU of class models.
    overwrite : bool
        Replace the table and the pictures of an earlier evaluation.

    Returns
    -------
    dict
        ``n_images``; ``accurate``, the measures of the mean of the heads; ``heads``,
        those of each head, head 1 first; ``images``, those of each image and its
        heads; with pictures, ``pictures``: their files, the worst image first.

    Raises
    ------
    InputError
        If there are no images, or labels do not fit them.
    ModelFileError, DeviceError, OutputError
        As in `predict`; `OutputExistsError` if a result is there already.

    Examples
    --------
    >>> import napari_unetpp
    >>> from skimage.data import immunohistochemistry
    >>> image = immunohistochemistry()[:128, :160]
    >>> labels = napari_unetpp.segment(image, device="cpu").labels
    >>> scores = napari_unetpp.evaluate([image], [labels], device="cpu")
    >>> scores["n_images"], scores["accurate"]["iou"], scores["accurate"]["pq"]
    (1, 1.0, 1.0)
    """
    if len(images) != len(labels):
        raise LabelsError(
            f"{len(images)} images and {len(labels)} labels: give labels for each"
            " image, in the same order"
        )
    files = ScoreFiles(_path(csv), _path(pictures), overwrite)
    files.check()
    settings = PredictionConfig(
        level=level,
        device=device,
        diameter=diameter,
        tile=tile,
        batch=batch,
        nonfinite=nonfinite,
        link=link,
        tta=tta,
        precision=precision,
    )
    pairs = (
        (as_image(image, axes, channel), read_labels(truth))
        for image, truth in zip(images, labels, strict=True)
    )
    network = load_model(model)
    n_pictures = worst if pictures is not None else 0
    found = Evaluation(network.config, worst=n_pictures, tolerance=boundary_tolerance)
    for compared in compare_images(
        pairs, network, settings, unlabelled=unlabelled, tolerance=boundary_tolerance
    ):
        found.add(compared)
    report = found.report()
    written = files.write(report, found.pictures)
    return report | ({"pictures": [str(path) for path in written]} if written else {})


def compare(
    labels: object,
    truth: object,
    *,
    task: Task = "instances",
    axes: str | None = None,
    unlabelled: int | None = None,
    background: bool = True,
    boundary_tolerance: float = BOUNDARY_TOLERANCE,
    iou: float = FOUND_IOU,
) -> Comparison:
    """Compare labels, whoever made them, with the truth.

    Parameters
    ----------
    labels, truth : path, array, layer or Image
        Labels of the same shape and order of axes.
    task : {"instances", "classes"}
        Whether their values number objects or classes.
    axes : str, optional
        What the axes of both are, where they do not say so.
    unlabelled : int, optional
        Value of `truth` at pixels that nobody labelled; they are in no sum.
    background : bool
        Of classes: whether 0 is the background, rather than a class as others.
    boundary_tolerance : float
        Distance in pixels up to which two outlines are taken for the same.
    iou : float
        IoU from which an object counts as found on the map of errors.

    Returns
    -------
    Comparison
        The measures, and a map of what is wrong where.

    Raises
    ------
    LabelsError
        If they are no labels, or do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_unetpp
    >>> truth = np.array([[1, 1, 0, 2, 2]] * 4)
    >>> labels = np.array([[1, 1, 0, 0, 0]] * 4)
    >>> found = napari_unetpp.compare(labels, truth)
    >>> found.scores["n_missed"], found.names[found.errors[0, 3]]
    (1, 'missed')
    """
    return compare_labels(
        read_labels(labels, axes),
        read_labels(truth, axes),
        task,
        unlabelled=unlabelled,
        background=background,
        tolerance=boundary_tolerance,
        iou=iou,
    )


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
