"""The heads of a stream: logits, or probabilities, of the rows that are complete.

Everything is made of functions that give a pixel the same bits wherever it stands in
memory and however many threads there are: the exponential of torch's softmax rounds
differently where a vector is not full, and so do its matrix products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unetpp.nn._kernels import Kernels
    from napari_unetpp.nn._rows import Rows


class HeadStep:
    """A head, which reads the rows of a node.

    Parameters
    ----------
    kernels : Kernels
        What computes.
    source : Rows
        Maps of the node.
    weights : tuple of Tensor
        Weights (n_out, n_in, 1, 1(, 1)) and bias (n_out,), float32; the classes are the
        first of the n_out channels, the others are there for the vector units.
    temperature : float, optional
        What logits are divided by before they become probabilities; with none, the
        logits themselves are given.
    most : int
        Rows to compute at a time.
    """

    def __init__(
        self,
        kernels: Kernels,
        source: Rows,
        weights: tuple[Tensor, Tensor],
        temperature: float | None,
        most: int,
    ) -> None:
        self._kernels, self._source, self._weights = kernels, source, weights
        self._temperature, self._most = temperature, most
        self._reader = source.reader()
        self._given = 0

    @property
    def ready(self) -> int:
        """Rows that can be given and were not."""
        return self._source.stop - self._given

    def waiting(self, n_rows: int) -> int:
        """Return how many of the first `n_rows` rows were not given yet."""
        return n_rows - self._given

    def pass_over(self, n_rows: int) -> None:
        """Leave the next rows out."""
        self._given += n_rows
        self._source.release(self._reader, self._given)

    def give(self, target: Tensor) -> None:
        """Write what the next rows give into a float32 tensor (K, m, *inner)."""
        n_classes, n_rows = target.shape[:2]
        for at in range(0, n_rows, self._most):
            part = target[:, at : at + self._most]
            start = self._given + at
            rows = self._source.view(start, start + part.shape[1]).float()
            found = self._kernels.spread(rows, *self._weights)
            logits = found[..., :n_classes].movedim(-1, 0)
            if self._temperature is None:
                part.copy_(logits)
            else:
                part.copy_(steady_probabilities(logits, self._temperature))
        self.pass_over(n_rows)


def steady_probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return float32 probabilities (K, *S) of float32 logits, the same for any order.

    One class is a yes or no (sigmoid); several exclude each other (softmax).
    """
    values = logits.clone(memory_format=torch.contiguous_format)
    if temperature != 1:
        values.div_(temperature)
    if len(values) == 1:
        return values.neg_().exp_().add_(1).reciprocal_()
    highest = torch.maximum(values[0], values[1])
    for each in values[2:]:
        torch.maximum(highest, each, out=highest)
    values.sub_(highest).exp_()
    total = torch.add(values[0], values[1], out=highest)
    for each in values[2:]:
        total.add_(each)
    return values.div_(total)
