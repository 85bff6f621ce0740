"""Scores of every head on held-out images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_unetpp.arrays import IGNORE
from napari_unetpp.data import class_index
from napari_unetpp.nn import probabilities
from napari_unetpp.nn._metrics import confusion_matrix, foreground_iou, mean_iou

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from napari_unetpp._types import FloatArray, LabelArray, TargetArray
    from napari_unetpp.config import Task
    from napari_unetpp.data import TrainingPair
    from napari_unetpp.nn import Network

_HALF = 0.5
_MAX_PIECES = 64
_MAX_EDGE = {2: 512, 3: 96}
"""Longest edge of a validated piece in pixels: bounds time and memory per epoch."""


@dataclass(frozen=True, slots=True)
class Scores:
    """IoU of every head and of their mean, pooled over all held-out pixels.

    For instance models `heads` and `accurate` are the IoU of the foreground; for class
    models the mean of the IoU of the classes. `selection`, which picks the best
    epoch, is the mean IoU of all output classes in both cases, so that an instance
    model is picked for its boundaries too.
    """

    heads: tuple[float, ...]
    accurate: float
    selection: float
    error: float = 0.0
    """Standard error of `selection` over the pieces; 0 of one piece, which has none."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A held-out piece: normalised image (C, *S) and target (*S)."""

    image: FloatArray
    target: TargetArray


def cut_pieces(
    pairs: Sequence[TrainingPair],
    target: Callable[[LabelArray], TargetArray],
    alignment: tuple[int, ...],
) -> list[Piece]:
    """Return pieces to validate on: the middle of evenly chosen held-out regions.

    Sizes are made multiples of `alignment` by repeating the border, which is ignored.
    """
    chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), _MAX_PIECES))
    pieces = []
    for pair in [pairs[int(k)] for k in np.unique(np.rint(chosen))]:
        box = _window(pair, _MAX_EDGE[len(alignment)])
        truth = np.array(target(pair.labels[box]))
        if pair.counts is not None:
            truth[~pair.counts[box]] = IGNORE
        image = pair.image[(slice(None), *box)]
        padding = [(0, -n % m) for n, m in zip(truth.shape, alignment, strict=True)]
        pieces.append(
            Piece(
                np.pad(image, [(0, 0), *padding], mode="edge"),
                np.pad(truth, padding, constant_values=IGNORE),
            )
        )
    return pieces


def count(
    network: Network,
    piece: Piece,
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[None]],
    task: Task,
) -> npt.NDArray[np.int64]:
    """Return the confusion of every head, then of their mean, on one piece.

    The shape is (heads + 1, K, K). Tables of several pieces are summed.
    """
    n_classes = max(2, network.config.out_channels)
    image = torch.from_numpy(piece.image)[None].to(device)
    with torch.inference_mode(), autocast():
        logits = network(image)
    heads = [probabilities(each.float())[0] for each in logits]
    heads.append(torch.stack(heads).mean(0))
    truth = class_index(piece.target)
    return np.stack(
        [confusion_matrix(truth, _decide(each, task), n_classes) for each in heads]
    )


def scores_of(tables: Sequence[npt.NDArray[np.int64]], task: Task) -> Scores:
    """Return the scores from what `count` returned for each piece."""
    confusion = np.sum(tables, axis=0)
    if task == "instances":
        shown = [foreground_iou(table) for table in confusion]
    else:
        shown = [mean_iou(table) for table in confusion]
    selection = mean_iou(confusion[-1])
    error = _standard_error([table[-1] for table in tables])
    return Scores(tuple(shown[:-1]), shown[-1], selection, error)


def _standard_error(tables: Sequence[npt.NDArray[np.int64]]) -> float:
    """Return the standard error of the mean IoU of all pieces, by the jackknife.

    Each piece is left out once (Efron and Stein, Ann. Statist. 9(3), 1981): pixels of
    one piece are alike, so the number of pieces counts, not that of pixels.
    """
    n = len(tables)
    if n < 2:
        return 0.0
    total = np.sum(tables, axis=0)
    without = np.array([mean_iou(total - table) for table in tables])
    return float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))


def _window(pair: TrainingPair, edge: int) -> tuple[slice, ...]:
    """Return at most `edge` pixels along each axis: the middle of what is labelled."""
    labelled = pair.labels >= 0
    window = []
    for axis, n in enumerate(labelled.shape):
        others = tuple(k for k in range(labelled.ndim) if k != axis)
        at = np.flatnonzero(labelled.any(axis=others))
        middle = int(at[len(at) // 2]) if len(at) else n // 2
        start = min(max(0, middle - edge // 2), max(0, n - edge))
        window.append(slice(start, min(n, start + edge)))
    return tuple(window)


def _decide(probability: torch.Tensor, task: Task) -> npt.NDArray[np.int64]:
    """Return the class index (*S) from probabilities (K, *S).

    Objects cover what is likelier not background, however interior and boundary share
    it, as `inference` has it.
    """
    if probability.shape[0] == 1:
        return (probability[0] > _HALF).long().cpu().numpy()
    if task == "classes":
        return probability.argmax(0).cpu().numpy()
    inside = probability[1:].argmax(0) + 1
    return torch.where(probability[0] < _HALF, inside, 0).cpu().numpy()
