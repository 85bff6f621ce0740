"""How well a model does on labelled images: every head and their mean, in one pass.

The measures themselves, with their names, pooling and rules, are in `nn._metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.arrays import align_labels, canonical
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import SettingsError
from napari_unetpp.inference._error_views import error_picture
from napari_unetpp.inference._events import result_of
from napari_unetpp.inference._labelling import label
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.inference._report import ScoredImage, report
from napari_unetpp.inference._sureness import sureness_of
from napari_unetpp.inference._truth import Meaning, Truth
from napari_unetpp.nn._metrics import BOUNDARY_TOLERANCE, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_unetpp.arrays import Canonical, Image
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference._results import Prediction
    from napari_unetpp.inference._truth import Compared
    from napari_unetpp.io._error_picture import ErrorPicture
    from napari_unetpp.nn import Model

_RUN = "evaluate"


@dataclass(frozen=True, slots=True, eq=False)
class ComparedImage:
    """An image whose labels were compared with the truth.

    Attributes
    ----------
    scored : ScoredImage
        Scores of all heads; small, unlike the rest.
    image : Canonical
        The image as the network reads it, lazy.
    accurate : Compared
        Labels of the mean of the heads, and the truth.
    """

    scored: ScoredImage
    image: Canonical
    accurate: Compared


class Evaluation:
    """Takes compared images in one by one; keeps scores, and pictures of the worst.

    Parameters
    ----------
    config : ModelConfig
        Of the model.
    worst : int
        How many of the worst images are kept for pictures: those of lowest AP50
        (instances) or mean IoU (classes), of equals those of lowest panoptic quality.
    tolerance : float
        Distance in pixels up to which two outlines are taken for the same.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        worst: int = 0,
        tolerance: float = BOUNDARY_TOLERANCE,
    ) -> None:
        self.meaning = Meaning.of_model(config, tolerance)
        self._config = config
        self._n_worst = worst
        self._scored: list[ScoredImage] = []
        self._pictures: list[tuple[tuple[float, ...], ErrorPicture]] = []

    def add(self, compared: ComparedImage) -> None:
        """Take an image."""
        self._scored.append(compared.scored)
        rank = self._rank(compared.scored)
        pictures = self._pictures
        if len(pictures) < self._n_worst or (pictures and rank < pictures[-1][0]):
            pictures.append((rank, error_picture(compared.image, compared.accurate)))
            pictures.sort(key=lambda each: each[0])
            del pictures[self._n_worst :]

    def report(self) -> dict[str, Any]:
        """Return what `evaluate` returns, of the images so far."""
        return report(self._scored, self._config, self.meaning)

    @property
    def pictures(self) -> list[ErrorPicture]:
        """The worst images so far, the worst first."""
        return [picture for _, picture in self._pictures]

    def _rank(self, scored: ScoredImage) -> tuple[float, ...]:
        """Return what images are ordered by; of equals the first goes first."""
        found = summarise([scored.accurate], background=self.meaning.background)
        if self.meaning.task == "instances":
            return found["ap50"], found["pq"], len(self._scored)
        return found["mean_iou"], len(self._scored)


def evaluate(
    images: Iterable[tuple[Image, Image]],
    model: Model,
    settings: PredictionConfig | None = None,
    *,
    unlabelled: int | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> dict[str, Any]:
    """Compare what a model finds with labels.

    Parameters
    ----------
    images : iterable of (Image, Image)
        Images with their labels, read one at a time.
    model : Model
        Its task says what the labels mean: objects, or classes by their values.
    settings : PredictionConfig, optional
        How to run it, in accurate mode, since all heads are scored.
    unlabelled : int, optional
        Label value of pixels that nobody labelled; they are in no sum.
    tolerance : float
        Distance in pixels up to which two outlines are taken for the same.

    Returns
    -------
    dict
        ``n_images``, ``model``, ``task``, ``boundary_tolerance``; ``accurate``: the
        measures of the mean of the heads; ``heads``: those of each head, head 1 first,
        with its ``name``; ``images``: those of ``accurate`` for each image, with its
        ``name``, ``shape`` and ``heads``; ``uncertainty``: whether the model knows
        where it is wrong (see `_sureness.told`). The measures are those of
        `nn._metrics.summarise`, and ``classes`` (see `_report.measures`); for class
        models also ``class_iou``, pooled over all pixels, by label value (``None``
        for a class that is nowhere).

    Raises
    ------
    InputError
        If there are no images, or an image or its labels do not fit the model.
    SettingsError
        If the mode is not accurate.
    """
    evaluation = Evaluation(model.config, tolerance=tolerance)
    compared = compare_images(
        images, model, settings, unlabelled=unlabelled, tolerance=tolerance
    )
    for each in compared:
        evaluation.add(each)
    return evaluation.report()


def score_images(
    images: Iterable[tuple[Image, Image]],
    model: Model,
    settings: PredictionConfig | None = None,
    *,
    unlabelled: int | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> Iterator[ScoredImage]:
    """Yield the scores of one image after the other; see `evaluate`."""
    compared = compare_images(
        images, model, settings, unlabelled=unlabelled, tolerance=tolerance
    )
    return (each.scored for each in compared)


def compare_images(
    images: Iterable[tuple[Image, Image]],
    model: Model,
    settings: PredictionConfig | None = None,
    *,
    unlabelled: int | None = None,
    tolerance: float = BOUNDARY_TOLERANCE,
) -> Iterator[ComparedImage]:
    """Yield one image after the other with its scores and labels; see `evaluate`.

    Labels and truth are in memory: keep what is needed of an image, not the image.
    """
    settings = settings or PredictionConfig()
    if settings.mode != "accurate":
        raise SettingsError(
            f"mode={settings.mode!r} computes one head, but all are scored; leave the"
            " mode accurate, whose report holds every head too"
        )
    network, meaning = model.config.network, Meaning.of_model(model.config, tolerance)
    for image, labels in images:
        read = canonical(
            image, network.spatial_dims, model.config.channels, network.in_channels
        )
        aligned = align_labels(labels, read)
        prediction = result_of(predict_image(image, model, settings, _RUN))
        truth = Truth.of(np.asarray(aligned[...]), image.name, meaning, unlabelled)
        yield _compared(read, truth, prediction, model.config, link=settings.link)


def _compared(
    image: Canonical,
    truth: Truth,
    prediction: Prediction,
    config: ModelConfig,
    *,
    link: bool,
) -> ComparedImage:
    """Compare what each head, and their mean, shows with the truth."""

    def compare(shown: Prediction) -> Compared:
        labels = result_of(label(shown, config, _RUN, link=link)).labels
        return truth.compare(np.asarray(labels))

    accurate = compare(prediction)
    names = enumerate(prediction.head_names)
    scores = {name: compare(prediction.of_head(k)).score for k, name in names}
    scored = ScoredImage(
        image.image.name,
        prediction.shape,
        accurate.score,
        scores,
        sureness_of(prediction, accurate),
    )
    return ComparedImage(scored, image, accurate)
