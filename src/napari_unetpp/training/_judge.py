"""Validation during a run: it can be watched, given up, and made to fit memory."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.data import distance_target, instance_target
from napari_unetpp.errors import TrainingError
from napari_unetpp.training._events import Validating
from napari_unetpp.training._precision import autocast
from napari_unetpp.training._recovery import free_memory
from napari_unetpp.training._validation import Piece, count, cut_pieces, scores_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import numpy.typing as npt
    import torch

    from napari_unetpp._types import LabelArray, TargetArray
    from napari_unetpp.config import ModelConfig, TrainingConfig
    from napari_unetpp.data import TrainingPair
    from napari_unetpp.nn import Network
    from napari_unetpp.training._validation import Scores


_TELL = 0.5
"""Seconds between two words about how far a validation is."""


class Judge:
    """Scores a network on held-out pieces of images.

    Parameters
    ----------
    held_out : sequence of TrainingPair
        What is validated on.
    model : ModelConfig
        Task and alignment.
    settings : TrainingConfig
        How boundaries are drawn.
    device : torch.device
        Where the network is.
    precision : str
        That of its forward pass.
    """

    def __init__(
        self,
        held_out: Sequence[TrainingPair],
        model: ModelConfig,
        settings: TrainingConfig,
        device: torch.device,
        precision: str,
    ) -> None:
        self._task, self._alignment = model.task, model.network.alignment()
        self._device, self._precision = device, precision
        self.pieces: list[Piece] = []
        if held_out:
            target = target_maker(model, settings)
            self.pieces = cut_pieces(held_out, target, self._alignment)

    def scored(
        self, network: Network, run_id: str, not_wanted: Callable[[], bool]
    ) -> Generator[Validating, None, Scores | None]:
        """Return the scores of a network; tell now and then how far that is.

        ``None`` if nothing is held out, or if it was not wanted to the end.
        """
        forward = partial(autocast, self._precision, self._device)
        network.eval()
        told = time.monotonic()
        tables: list[npt.NDArray[np.int64]] = []
        for piece in self.pieces:
            if not_wanted():
                return None
            if time.monotonic() - told > _TELL:
                told = time.monotonic()
                yield Validating(run_id, len(tables), len(self.pieces))
            tables.append(count(network, piece, self._device, forward, self._task))
        return scores_of(tables, self._task) if tables else None

    def halve(self) -> str:
        """Keep the middle of every piece, half as long, and say so.

        Raises
        ------
        TrainingError
            If pieces are as small as the network takes them.
        """
        free_memory(self._device)
        halved = [_middle(piece, self._alignment) for piece in self.pieces]
        before, after = (max(p.target.shape for p in x) for x in (self.pieces, halved))
        if before == after:
            raise TrainingError(
                f"not enough memory on {self._device} to validate on pieces of"
                f" {before} pixels: close other programs, or train a smaller network"
            )
        self.pieces = halved
        return (
            f"not enough memory to validate on pieces of {before} pixels: they are"
            f" {after} from now on"
        )


def target_maker(
    model: ModelConfig, config: TrainingConfig
) -> Callable[[LabelArray], TargetArray]:
    """Return what turns a patch of labels into what this model learns."""
    if model.task == "instances":
        if config.instance_target == "distance":
            return partial(distance_target, reach=config.distance_reach)
        return partial(instance_target, width=config.boundary_width)
    return partial(np.asarray, dtype=np.int64)


def _middle(piece: Piece, alignment: tuple[int, ...]) -> Piece:
    """Return the middle half of a piece along every axis, in aligned sizes."""
    cut = []
    for n, m in zip(piece.target.shape, alignment, strict=True):
        kept = max(m, n // 2 // m * m)
        start = (n - kept) // 2
        cut.append(slice(start, start + kept))
    return Piece(piece.image[(slice(None), *cut)], piece.target[tuple(cut)])
