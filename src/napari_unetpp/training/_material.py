"""What a run learns from and is judged by, which changes as labels are added."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.data import PatchSampler
from napari_unetpp.errors import TrainingError
from napari_unetpp.training._batches import BatchesAhead
from napari_unetpp.training._checkpoint import fingerprint_of_labels
from napari_unetpp.training._judge import Judge, target_maker
from napari_unetpp.training._recovery import patch_size, smaller

if TYPE_CHECKING:
    import torch

    from napari_unetpp.config import ModelConfig, TrainingConfig
    from napari_unetpp.training._batches import Batch
    from napari_unetpp.training._loop import TrainingData


class Material:
    """Batches to learn from and pieces to validate on.

    Parameters
    ----------
    model : ModelConfig
        Task and shape of the network.
    settings : TrainingConfig
        Patches and augmentation.
    device : torch.device
        Where the network is validated.
    precision : str
        That of its forward pass.

    Attributes
    ----------
    settings : TrainingConfig
        Those in use: batch and patch as they fit into memory.
    data : TrainingData
        What was handed to `use` last.
    judge : Judge
        Validates on what it holds out.
    labels : str
        Fingerprint of its labels.
    n_labelled : int
        Its labelled pixels, learnt and held out.
    """

    data: TrainingData
    judge: Judge

    def __init__(
        self,
        model: ModelConfig,
        settings: TrainingConfig,
        device: torch.device,
        precision: str,
    ) -> None:
        self.settings = settings
        self.labels, self.n_labelled = "", 0
        self._model, self._device, self._precision = model, device, precision
        self._batches = BatchesAhead()

    def use(self, data: TrainingData, first: int) -> None:
        """Learn from this data, beginning with batch `first`.

        Raises
        ------
        LabelsError
            If nothing in it is labelled; what was used before stays in use.
        """
        sampler = PatchSampler(
            data.pairs,
            patch_size(self._model.network, self.settings),
            target_maker(self._model, self.settings),
            self.settings.augment,
            task=self._model.task,
            rim=self.settings.rim,
            seed=self.settings.seed,
        )
        judge = Judge(
            data.validation, self._model, self.settings, self._device, self._precision
        )
        self.data, self.judge = data, judge
        self.labels = fingerprint_of_labels(data)
        self.n_labelled = _n_labelled(data)
        self._make = partial(sampler.batch, n=self.settings.batch)
        self.restart(first)

    def restart(self, first: int) -> None:
        """Go on with batch `first`, whichever were made ahead."""
        self._batches.restart(self._make, first)

    def batch(self) -> Batch:
        """Return the next batch."""
        return self._batches.take()

    def take_less(self, first: int, said: str) -> str:
        """Make smaller batches or patches from now on, and say so.

        Parameters
        ----------
        first : int
            The batch to go on with.
        said : str
            What the device has said.

        Raises
        ------
        TrainingError
            If they are as small as they can be.
        """
        now = self.settings
        less = smaller(self._model.network, now)
        if less is None:
            raise TrainingError(
                f"not enough memory on {self._device} even for {now.batch} patches of"
                f" {now.patch} pixels ({_shortened(said)}): close other programs, train"
                " a smaller network (size), or train on another device"
            )
        self.settings = less
        self.use(self.data, first)
        return (
            f"not enough memory on {self._device} for {now.batch} patches of"
            f" {now.patch} pixels a step: {less.batch} of {less.patch} from now on"
        )

    def close(self) -> None:
        """End the thread that makes batches."""
        self._batches.close()


def _shortened(said: str) -> str:
    """Return the beginning of what torch says, which may be pages."""
    lines = said.strip().splitlines() or ["no reason given"]
    return lines[0][:120]


def _n_labelled(data: TrainingData) -> int:
    """Return how many pixels are labelled."""
    total = 0
    for pair in (*data.pairs, *data.validation):
        labelled = pair.labels >= 0
        if pair.counts is not None:
            labelled = labelled & pair.counts
        total += int(np.count_nonzero(labelled))
    return total
