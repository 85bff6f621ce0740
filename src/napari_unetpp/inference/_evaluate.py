"""How well a model does on labelled images: every head and their mean, in one pass.

The measures themselves, with their names, pooling and rules, are in `nn._metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.arrays import (
    IGNORE,
    LabelRule,
    align_labels,
    canonical,
    labelled_mask,
    to_class_index,
)
from napari_unetpp.config import PredictionConfig
from napari_unetpp.errors import InputError, SettingsError
from napari_unetpp.inference._events import result_of
from napari_unetpp.inference._labelling import label, label_values
from napari_unetpp.inference._predicting import predict_image
from napari_unetpp.nn._metrics import (
    ImageScore,
    class_iou,
    confusion_matrix,
    match_instances,
    summarise,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_unetpp._types import LabelArray, LazyArray
    from napari_unetpp.arrays import Image
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference._results import Prediction
    from napari_unetpp.nn import Model

_RUN = "evaluate"
_ROW = ("iou", "mean_iou", "dice", "ap50", "ap75", "mean_ap", "n_true", "n_pred")
"""Measures that are reported of each image; over one image pooling changes nothing."""


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """The scores of one image.

    Attributes
    ----------
    name : str
        Of the image.
    shape : tuple of int
        Of its labels.
    accurate : ImageScore
        Score of the mean of the heads.
    heads : dict of str to ImageScore
        Score of each head on its own: its objects come from its own probabilities.
    """

    name: str
    shape: tuple[int, ...]
    accurate: ImageScore
    heads: dict[str, ImageScore]


def evaluate(
    images: Iterable[tuple[Image, Image]],
    model: Model,
    settings: PredictionConfig | None = None,
    *,
    unlabelled: int | None = None,
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

    Returns
    -------
    dict
        ``n_images``, ``model``, ``task``; ``accurate``: the measures of the mean of
        the heads; ``heads``: those of each head, head 1 first, with its ``name``;
        ``images``: some measures of ``accurate`` for each image, with its ``name``
        and ``shape``. The measures are those of `nn._metrics.summarise`; for class
        models also ``class_iou``, pooled over all pixels, by label value (``None``
        for a class that is nowhere).

    Raises
    ------
    InputError
        If there are no images, or an image or its labels do not fit the model.
    SettingsError
        If the mode is not accurate.
    """
    scored = list(score_images(images, model, settings, unlabelled=unlabelled))
    return report(scored, model.config)


def score_images(
    images: Iterable[tuple[Image, Image]],
    model: Model,
    settings: PredictionConfig | None = None,
    *,
    unlabelled: int | None = None,
) -> Iterator[ScoredImage]:
    """Yield the scores of one image after the other; see `evaluate`."""
    settings = settings or PredictionConfig()
    if settings.mode != "accurate":
        raise SettingsError(
            f"mode={settings.mode!r} computes one head, but all are scored; leave the"
            " mode accurate, whose report holds every head too"
        )
    network = model.config.network
    for image, labels in images:
        read = canonical(
            image, network.spatial_dims, model.config.channels, network.in_channels
        )
        aligned = align_labels(labels, read)
        prediction = result_of(predict_image(image, model, settings, _RUN))
        truth = _Truth.of(aligned, image.name, model.config, unlabelled)
        heads = zip(prediction.head_names, prediction.heads, strict=True)
        yield ScoredImage(
            image.name,
            prediction.shape,
            truth.score(prediction),
            {name: truth.score(replace(prediction, mean=head)) for name, head in heads},
        )


def report(scored: Sequence[ScoredImage], config: ModelConfig) -> dict[str, Any]:
    """Return what `evaluate` returns, of images that are scored already."""
    if not scored:
        raise InputError("there are no images to evaluate; give at least one")
    return {
        "n_images": len(scored),
        "model": config.name,
        "task": config.task,
        "accurate": _measures([each.accurate for each in scored], config),
        "heads": [
            {"name": name, **_measures([each.heads[name] for each in scored], config)}
            for name in scored[0].heads
        ],
        "images": [_row(each, config) for each in scored],
    }


@dataclass(frozen=True, slots=True)
class _Truth:
    """Labels of an image as object ids or class indices, `IGNORE` where unlabelled."""

    values: LabelArray
    config: ModelConfig

    @classmethod
    def of(
        cls, labels: LazyArray, name: str, config: ModelConfig, unlabelled: int | None
    ) -> _Truth:
        """Read labels that lie as the prediction does."""
        values = np.asarray(labels[...]).astype(np.int64)
        rule = LabelRule(label_values(config), unlabelled)
        if config.task == "classes":
            return cls(to_class_index(values, rule, name), config)
        return cls(np.where(labelled_mask(values, rule), values, IGNORE), config)

    def score(self, prediction: Prediction) -> ImageScore:
        """Compare what a prediction's mean shows with these labels."""
        found = np.asarray(result_of(label(prediction, self.config, _RUN)).labels)
        if self.config.task == "classes":
            values = label_values(self.config)
            index = to_class_index(found, LabelRule(values, None))
            return ImageScore(confusion_matrix(self.values, index, len(values)))
        foreground = np.sign(self.values)  # `IGNORE` stays
        return ImageScore(
            confusion_matrix(foreground, found > 0, 2),
            match_instances(self.values, found),
        )


def _measures(scores: list[ImageScore], config: ModelConfig) -> dict[str, Any]:
    """Summarise the scores of one head, with the IoU of the classes if it has them."""
    measures: dict[str, Any] = dict(
        summarise(scores, background=_has_background(config))
    )
    if config.task == "classes":
        total = np.sum([score.confusion for score in scores], axis=0)
        iou = [None if np.isnan(value) else float(value) for value in class_iou(total)]
        names = map(str, label_values(config))
        measures["class_iou"] = dict(zip(names, iou, strict=True))
    return measures


def _has_background(config: ModelConfig) -> bool:
    """Whether class 0 is all that is not looked for, rather than a class as others."""
    return len(config.class_names) == 1 or config.class_names[0] == "background"


def _row(scored: ScoredImage, config: ModelConfig) -> dict[str, Any]:
    """Return what is reported of one image."""
    measures = summarise([scored.accurate], background=_has_background(config))
    kept = {name: measures[name] for name in _ROW if name in measures}
    return {"name": scored.name, "shape": list(scored.shape), **kept}
