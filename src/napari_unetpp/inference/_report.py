"""The scores of images as one dict that can be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unetpp.errors import InputError
from napari_unetpp.inference._sureness import told
from napari_unetpp.inference._truth import Meaning
from napari_unetpp.nn._metrics import (
    ImageScore,
    boundary_f,
    class_measures,
    pooled,
    summarise,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetpp.config import ModelConfig
    from napari_unetpp.inference._sureness import Sureness

ACCURATE = "accurate"
"""What the mean of the heads is called among them."""


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
    sureness : Sureness, optional
        How sure the model was where it is right and where it is wrong.
    """

    name: str
    shape: tuple[int, ...]
    accurate: ImageScore
    heads: dict[str, ImageScore]
    sureness: Sureness | None = None


def report(
    scored: Sequence[ScoredImage], config: ModelConfig, meaning: Meaning | None = None
) -> dict[str, Any]:
    """Return what `evaluate` returns, of images that are scored already.

    Parameters
    ----------
    scored : sequence of ScoredImage
        At least one.
    config : ModelConfig
        Of the model.
    meaning : Meaning, optional
        How labels were compared, if not as usual.
    """
    if not scored:
        raise InputError("there are no images to evaluate; give at least one")
    meaning = meaning or Meaning.of_model(config)
    return {
        "n_images": len(scored),
        "model": config.name,
        "task": config.task,
        "boundary_tolerance": meaning.tolerance,
        "accurate": measures([each.accurate for each in scored], meaning),
        "heads": [
            {"name": name, **measures([each.heads[name] for each in scored], meaning)}
            for name in scored[0].heads
        ],
        "uncertainty": _uncertainty(scored),
        "images": [_row(each, meaning) for each in scored],
    }


def _uncertainty(scored: Sequence[ScoredImage]) -> dict[str, Any] | None:
    """Return what is told of the uncertainty, of images where it is known."""
    known = [each.sureness for each in scored if each.sureness is not None]
    return told(known, list(scored[0].heads)) if known else None


def measures(scores: Sequence[ImageScore], meaning: Meaning) -> dict[str, Any]:
    """Summarise the scores of one head over at least one image.

    Returns
    -------
    dict
        What `summarise` returns, and ``classes``: for each class its label ``value``,
        ``name``, and the measures of `class_measures`, pooled over all pixels, with
        ``boundary_f``, ``n_true`` and ``n_pred`` (pixels). ``None`` stands where there
        is nothing to measure. Class models also have ``class_iou`` by label value.
    """
    result: dict[str, Any] = dict(summarise(scores, background=meaning.background))
    result["classes"] = _classes(pooled(scores), meaning)
    if meaning.task == "classes":
        result["class_iou"] = {
            str(each["value"]): each["iou"] for each in result["classes"]
        }
    return result


def _classes(total: ImageScore, meaning: Meaning) -> list[dict[str, Any]]:
    """Return what is measured of every class."""
    found = class_measures(total.confusion)
    true, predicted = (total.confusion.sum(axis=axis) for axis in (1, 0))
    outline = None if total.boundary is None else boundary_f(total.boundary)
    rows = []
    for i, (value, name) in enumerate(zip(meaning.values, meaning.names, strict=True)):
        rows.append(
            {
                "value": value,
                "name": name,
                "iou": _number(found.iou[i]),
                "dice": _number(found.dice[i]),
                "precision": _number(found.precision[i]),
                "recall": _number(found.recall[i]),
                "n_true": int(true[i]),
                "n_pred": int(predicted[i]),
            }
        )
        if outline is not None and meaning.task == "classes":
            rows[-1]["boundary_f"] = _number(outline[i])
    return rows


def _number(value: float) -> float | None:
    """Return a number as JSON knows it."""
    return float(value) if value == value else None


def _row(scored: ScoredImage, meaning: Meaning) -> dict[str, Any]:
    """Return what is reported of one image."""
    heads = [
        {"name": name, **_own_measures(score, meaning)}
        for name, score in scored.heads.items()
    ]
    own = _own_measures(scored.accurate, meaning)
    return {"name": scored.name, "shape": list(scored.shape), **own, "heads": heads}


def _own_measures(score: ImageScore, meaning: Meaning) -> dict[str, Any]:
    """Return the measures of one image; over one, pooling changes nothing."""
    found = summarise([score], background=meaning.background)
    return {name: value for name, value in found.items() if "pooled" not in name}
