"""Temperatures, shares of the heads and thresholds, fitted on what is held out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from napari_unetpp.arrays import IGNORE, mean_of_heads
from napari_unetpp.nn import Model, probabilities
from napari_unetpp.training._head_weights import fit_head_weights
from napari_unetpp.training._judge import target_maker
from napari_unetpp.training._recovery import free_memory, is_out_of_memory
from napari_unetpp.training._temperatures import (
    fit_factor,
    fit_temperature,
    loss_of,
    loss_of_mean,
    scaled_by,
)
from napari_unetpp.training._thresholds import STEPS, Shown, choosing_thresholds
from napari_unetpp.training._validation import _MAX_EDGE, _window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pydantic import JsonValue
    from torch import Tensor

    from napari_unetpp._types import FloatArray, LabelArray, TargetArray
    from napari_unetpp.config import InstanceConfig, ModelConfig, TrainingConfig
    from napari_unetpp.data import TrainingPair
    from napari_unetpp.training._thresholds import ObjectFinder

FEW_PIXELS = 1000
FEW_OBJECTS = 20
"""Held-out pixels and objects from which on anything is fitted to them."""

_MAX_PIXELS = 2**21
"""Pixels of pieces that the network is run over: bounds time and memory."""
_SAMPLED = 2**18
"""Pixels of all pieces together that temperatures are fitted on."""


class Progress(NamedTuple):
    """How far a calibration is, in its own steps."""

    done: int
    n: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of a calibration.

    Attributes
    ----------
    model : Model
        The same network with fitted temperatures, shares and thresholds; its training
        record tells of them under ``calibration``.
    notices : tuple of str
        What was left as it was, and why.
    """

    model: Model
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A held-out piece: image (C, *S), target and labels (*S), -1 where none counts."""

    image: FloatArray
    target: TargetArray
    labels: LabelArray


@dataclass(slots=True)
class _Gathered:
    """What the network makes of the pieces."""

    logits: list[Tensor] = field(default_factory=list)
    """Of sampled pixels, each (H, K, n)."""
    targets: list[Tensor] = field(default_factory=list)
    maps: list[Tensor] = field(default_factory=list)
    """Of instance models: all logits of a piece, (H, K, *S)."""


def calibrating(
    model: Model,
    held_out: Sequence[TrainingPair],
    settings: TrainingConfig,
    device: torch.device,
    find_objects: ObjectFinder | None = None,
) -> Generator[Progress, None, Calibrated]:
    """Fit temperatures, and thresholds of objects, telling how far that is.

    Deterministic: the same model, data and seed give the same on the same machine.

    Parameters
    ----------
    model : Model
        What is calibrated; temperatures and shares are fitted anew. Meanwhile its
        network lies on `device`, afterwards in main memory.
    held_out : sequence of TrainingPair
        Labelled images, or parts of them, that the network has not learnt.
    settings : TrainingConfig
        How targets are made; the seed.
    device : torch.device
        Where the network is run, in float32 as predictions are.
    find_objects : callable, optional
        Finds the objects of an instance model; without it thresholds stay.

    Yields
    ------
    Progress
        Between its steps.

    Returns
    -------
    Calibrated
    """
    pieces = _pieces(model, held_out, settings)
    n_pixels = sum(int((piece.target >= 0).sum()) for piece in pieces)
    if n_pixels < FEW_PIXELS:
        return Calibrated(model, (_too_few_pixels(n_pixels),))
    find = find_objects if model.config.task == "instances" else None
    try:
        return (yield from _calibrated(model, pieces, settings.seed, device, find))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    free_memory(device)
    return Calibrated(model, (_too_little_memory(device),))


def _calibrated(
    model: Model,
    pieces: Sequence[_Piece],
    seed: int,
    device: torch.device,
    find: ObjectFinder | None,
) -> Generator[Progress, None, Calibrated]:
    gathered = _Gathered()
    n = len(pieces) * (1 if find is None else 2)  # thresholds take about as long
    rng = np.random.default_rng(seed)
    network = model.network.eval().to(device)
    try:
        for done, piece in enumerate(pieces):
            yield Progress(done, n)
            logits = _logits(network, piece, device)
            _gather(gathered, logits, piece, _SAMPLED // len(pieces), rng)
            if find is not None:
                gathered.maps.append(logits)
    finally:
        network.cpu()
    record: dict[str, JsonValue] = {"n_pieces": len(pieces)}
    config = model.config.model_copy(update=_fitted(gathered, record))
    notices: tuple[str, ...] = ()
    if find is not None:
        maps = zip(gathered.maps, pieces, strict=True)
        shown = [_shown(logits, config, piece) for logits, piece in maps]
        gathered.maps.clear()
        instances, notices = yield from _thresholds(
            shown, config.instances, find, record
        )
        config = config.model_copy(update={"instances": instances})
    training = {**config.training, "calibration": record}
    config = config.model_copy(update={"training": training})
    return Calibrated(Model(model.network, config), notices)


def _thresholds(
    shown: Sequence[Shown],
    present: InstanceConfig,
    find: ObjectFinder,
    record: dict[str, JsonValue],
) -> Generator[Progress, None, tuple[InstanceConfig, tuple[str, ...]]]:
    """Return the thresholds to use, and what is to be said; record what they mend."""
    n_objects = sum(len(np.unique(each.labels[each.labels > 0])) for each in shown)
    record["n_objects"] = n_objects
    if n_objects < FEW_OBJECTS:
        return present, (_too_few_objects(n_objects),)
    n, tries = len(shown), choosing_thresholds(shown, present, find)
    choice = next(tries)
    for done, better in enumerate(tries):
        choice = better
        yield Progress(min(n + done, 2 * n - 1), 2 * n)
    record["instances"] = choice.instances.model_dump(mode="json")
    record["mean_ap"] = [round(choice.before, 4), round(choice.after, 4)]
    return choice.instances, ()


def _fitted(
    gathered: _Gathered, record: dict[str, JsonValue]
) -> dict[str, tuple[Any, ...]]:
    """Return temperatures and shares of the heads, and record what they mend."""
    logits, target = torch.cat(gathered.logits, dim=2), torch.cat(gathered.targets)
    alone = tuple(fit_temperature(head, target) for head in logits)
    weights = fit_head_weights(logits, alone, target)
    factor = fit_factor(logits, alone, target, weights[-1])
    found = scaled_by(alone, factor)
    ones = (1.0,) * len(found)
    record["n_pixels"] = len(target)
    record["temperatures"] = list(found)
    record["factor"] = factor
    record["head_weights"] = [list(shares) for shares in weights]
    record["nll"] = {
        "heads": [
            [round(loss_of(head / t, target), 5) for t in (1.0, temperature)]
            for head, temperature in zip(logits, found, strict=True)
        ],
        "accurate": [
            round(loss_of_mean(logits, ones, target), 5),
            round(loss_of_mean(logits, found, target, weights[-1]), 5),
        ],
    }
    return {"temperatures": found, "head_weights": weights}


def _pieces(
    model: Model, pairs: Sequence[TrainingPair], settings: TrainingConfig
) -> list[_Piece]:
    """Return the middles of evenly chosen regions, in sizes that the network takes."""
    network = model.config.network
    target = target_maker(model.config, settings)
    edge = _MAX_EDGE[network.spatial_dims]
    return [
        _piece(pair, target, edge, network.alignment()) for pair in _some(pairs, edge)
    ]


def _some(pairs: Sequence[TrainingPair], edge: int) -> Iterator[TrainingPair]:
    """Yield regions, evenly chosen, of as many pixels as there is time for."""
    sizes = [math.prod(min(n, edge) for n in pair.labels.shape) for pair in pairs]
    share = min(1.0, _MAX_PIXELS / max(1, sum(sizes)))
    n = max(1, int(share * len(pairs))) if pairs else 0
    for k in np.unique(np.rint(np.linspace(0, len(pairs) - 1, n)).astype(int)):
        yield pairs[k]


def _piece(
    pair: TrainingPair,
    target: Callable[[LabelArray], TargetArray],
    edge: int,
    alignment: tuple[int, ...],
) -> _Piece:
    box = _window(pair, edge)
    labels = np.array(pair.labels[box])
    truth = np.array(target(labels))
    if pair.counts is not None:
        for each in (truth, labels):
            each[~pair.counts[box]] = IGNORE
    padding = [(0, -n % m) for n, m in zip(truth.shape, alignment, strict=True)]
    return _Piece(
        np.pad(pair.image[(slice(None), *box)], [(0, 0), *padding], mode="edge"),
        np.pad(truth, padding, constant_values=IGNORE),
        np.pad(labels, padding, constant_values=IGNORE),
    )


@torch.inference_mode()
def _logits(network: torch.nn.Module, piece: _Piece, device: torch.device) -> Tensor:
    """Return the logits of all heads (H, K, *S), in main memory."""
    heads = network(torch.from_numpy(piece.image)[None].to(device))
    return torch.stack([head[0].float().cpu() for head in heads])


def _gather(
    gathered: _Gathered,
    logits: Tensor,
    piece: _Piece,
    most: int,
    rng: np.random.Generator,
) -> None:
    """Keep the logits and targets of some pixels that count."""
    flat = piece.target.ravel()
    at = np.flatnonzero(flat >= 0)
    if len(at) > most:
        at = np.sort(rng.choice(at, most, replace=False))
    gathered.logits.append(logits.flatten(2)[..., torch.from_numpy(at)])
    gathered.targets.append(torch.from_numpy(flat[at]))


def _shown(logits: Tensor, config: ModelConfig, piece: _Piece) -> Shown:
    """Return the mean of the heads of a piece in steps, beside the true objects."""
    heads = [
        probabilities(head[None] / t)[0]
        for head, t in zip(logits, config.temperatures, strict=True)
    ]
    mean = mean_of_heads(torch.stack(heads).numpy(), config.head_weights[-1])
    return Shown(np.rint(mean * STEPS).astype(np.uint8), piece.labels)


def _too_few_pixels(n: int) -> str:
    if n == 0:
        return (
            "nothing is held out to calibrate on: probabilities and thresholds stay as"
            " they are; label more places or images"
        )
    return (
        f"only {n} labelled pixels to calibrate on: probabilities and thresholds stay"
        f" as they are; {FEW_PIXELS} are needed, so label more"
    )


def _too_little_memory(device: torch.device) -> str:
    return (
        f"not enough memory on {device} to calibrate the model: its probabilities and"
        " thresholds stay as they are"
    )


def _too_few_objects(n: int) -> str:
    return (
        f"only {n} objects to calibrate on: the thresholds of objects stay as they are;"
        f" {FEW_OBJECTS} are needed to choose them, so label more"
    )
