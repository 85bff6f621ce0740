"""What a job keeps of the probabilities of a tile, as its store takes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unetpp.arrays import entropy_of_mean, mean_of_heads
from napari_unetpp.config import INSTANCE_CLASSES
from napari_unetpp.inference._encoded import EncodedTile, told_depths
from napari_unetpp.inference._labelling import class_labels

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_unetpp._types import FloatArray
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.io._result_store import ResultStore
    from napari_unetpp.tiling import Tile

_BACKGROUND = INSTANCE_CLASSES.index("background")
_INTERIOR = INSTANCE_CLASSES.index("interior")
_STEPS = 255
_AT_ONCE = 2**16
"""Pixels that are encoded at once: what is made of them stays in a core's cache."""


class JobSink:
    """Writes the tiles of a job to its store.

    Instance models keep the foreground, in exactly the steps that objects are made
    from; class models keep each class, and their labels are written with the tile.

    Parameters
    ----------
    store : ResultStore
        Takes the tiles; its layout says what is kept, and how.
    model : ModelConfig
        Says what the classes are.
    head_weights : tuple of float
        Shares of the heads in their mean.
    """

    def __init__(
        self, store: ResultStore, model: ModelConfig, head_weights: tuple[float, ...]
    ) -> None:
        self._store, self._layout, self._model = store, store.layout, model
        self._head_weights = head_weights
        self._instances = model.task == "instances"

    def encode(
        self,
        probabilities: FloatArray,
        inside: npt.NDArray[np.bool_] | None = None,
        *,
        preview: bool = False,
        depths: npt.NDArray[np.uint8] | None = None,
    ) -> EncodedTile:
        """Return what the store takes of (H, K, *core).

        The record is the largest value of the foreground (uint8) for models that find
        objects, so that a core without any is known unread; empty for class models.
        """
        n = max(_AT_ONCE // math.prod(probabilities.shape[3:]), 1)
        parts = [
            self._values(probabilities[:, :, at : at + n], preview=preview)
            for at in range(0, probabilities.shape[2], n)
        ]
        axis = 2 - probabilities.ndim  # the first along which a core has pixels
        values = {
            name: np.concatenate([part[name] for part in parts], axis=axis)
            for name in parts[0]
        }
        if "depth" in self._layout.kinds:
            values["depth"] = told_depths(depths, probabilities.shape[2:], None)
        if inside is not None:
            values = {name: value * inside for name, value in values.items()}
        found = values.get("foreground")
        record = b"" if found is None else bytes([int(found.max())])
        return EncodedTile(values, record)

    def _values(
        self, probabilities: FloatArray, *, preview: bool
    ) -> dict[str, npt.NDArray[Any]]:
        """Return what is kept of some rows (H, K, ...), by name."""
        if self._instances:  # what is left to 1 is neither kept nor looked at
            probabilities = probabilities[:, : max(_BACKGROUND, _INTERIOR) + 1]
        mean = mean_of_heads(probabilities, self._head_weights)  # (K, ...)
        values = self._maps(probabilities, mean)
        if not preview and "labels" in self._layout.kinds:
            values |= self._for_labels(mean)
        return values

    def write(self, tile: Tile, encoded: EncodedTile) -> None:
        """Keep what `encode` has made for the core of `tile`.

        Raises
        ------
        OutputError
            If the disk is full or cannot be written.
        """
        self._store.write_tile(tile, encoded.values)

    def skip(self, tile: Tile) -> None:
        """Leave the core of `tile` as it is: a store holds 0 where nothing is."""

    def _maps(
        self, probabilities: FloatArray, mean: FloatArray
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the kept maps that a viewer shows."""
        kinds = self._layout.kinds
        values: dict[str, npt.NDArray[Any]] = {}
        if "mean" in kinds:
            values["mean"] = self._shown(mean)
        if "heads" in kinds:
            values["heads"] = np.stack([self._shown(head) for head in probabilities])
        if "uncertainty" in kinds:
            unsure = entropy_of_mean(mean, objects=self._instances)
            values["uncertainty"] = self._coded(unsure)
        return values

    def _for_labels(self, mean: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the labels of a class model, or what objects are made from."""
        if not self._instances:
            return {"labels": class_labels(mean, self._model)}
        return {
            "foreground": _STEPS - _in_steps(mean[_BACKGROUND]),
            "interior": _in_steps(mean[_INTERIOR]),
        }

    def _shown(self, classes: FloatArray) -> npt.NDArray[Any]:
        """Return what a viewer shows of (K, *core).

        The foreground (*core) of objects, the only class (*core), or all (K, *core).
        """
        if not self._instances:
            return self._coded(classes if len(classes) > 1 else classes[0])
        if self._layout.probability == "uint8":
            return np.asarray(_STEPS - _in_steps(classes[_BACKGROUND]))
        return self._coded(1 - classes[_BACKGROUND])

    def _coded(self, values: FloatArray) -> npt.NDArray[Any]:
        """Return 0...1 as it is stored."""
        if self._layout.probability == "uint8":
            return _in_steps(values)
        return values.astype(np.float16)


def _in_steps(values: FloatArray) -> npt.NDArray[np.uint8]:
    """Return 0...1 as 0...255."""
    steps = np.clip(values, 0, 1)
    steps *= _STEPS
    return np.rint(steps, out=steps).astype(np.uint8)
