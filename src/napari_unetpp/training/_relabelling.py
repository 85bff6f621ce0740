"""Labels that change while a training runs, and the classes they bring."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.training._labelled import LabelledSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_unetpp._types import LabelArray
    from napari_unetpp.arrays import LabelRule
    from napari_unetpp.config import ModelConfig, Nonfinite, TrainingConfig
    from napari_unetpp.training._loop import TrainingData
    from napari_unetpp.training._prepare import LabelledImage

_MAX_CLASSES = 256
"""More than these are objects with numbers, not classes: `LabelledSet` says so."""

_SLAB = 1 << 24
"""Pixels of labels that are looked at together."""


class Relabelling:
    """The training data of the labels as they are now.

    Parameters
    ----------
    items : sequence of LabelledImage
        The images and the labels they have at the start.
    config : ModelConfig
        The model to train.
    rule : LabelRule
        What values mean: the classes of `config` in their order, then others that are
        to be learnt too.
    settings : TrainingConfig
        Patches, share that is held out, seed.
    nonfinite : {"error", "background"}
        Whether NaN and infinite pixels are refused or taken as background.
    sides : mapping of str to bool
        Which places were learnt and held out by an earlier part of the run.
    class_names, class_colours : mapping of int to str
        What is known of the classes, by label value.
    """

    def __init__(
        self,
        items: Sequence[LabelledImage],
        config: ModelConfig,
        rule: LabelRule,
        settings: TrainingConfig,
        nonfinite: Nonfinite = "error",
        *,
        sides: Mapping[str, bool],
        class_names: Mapping[int, str],
        class_colours: Mapping[int, str],
    ) -> None:
        self._items, self._rule, self._sides = list(items), rule, sides
        self._settings, self._nonfinite = settings, nonfinite
        self._names, self._colours = class_names, class_colours
        self._config = self._grown(config, rule)
        self._set = self._new_set(self._config, rule)

    def data(self) -> TrainingData:
        """Return what is learnt from and held out; see `LabelledSet.data`."""
        return self._told(self._set.data())

    def relabel(self, labels: Sequence[LabelArray]) -> TrainingData:
        """Return the same for newer labels; see `LabelledSet.relabel`.

        Values of a class model that are no class yet become one.
        """
        nothing = self._rule.unlabelled
        found = {value for one in labels for value in _values(one, nothing)}
        new = sorted(found - {*self._rule.class_values})
        n_classes = len(self._rule.class_values) + len(new)
        if self._config.task == "instances" or not new or n_classes > _MAX_CLASSES:
            return self._told(self._set.relabel(labels))
        rule = replace(self._rule, class_values=(*self._rule.class_values, *new))
        config = self._grown(self._config, rule)
        more = self._new_set(config, rule)
        data = more.relabel(labels)
        self._rule, self._config, self._set = rule, config, more
        return self._told(data)

    def _new_set(self, config: ModelConfig, rule: LabelRule) -> LabelledSet:
        return LabelledSet(
            self._items, config, rule, self._settings, self._nonfinite, self._sides
        )

    def _told(self, data: TrainingData) -> TrainingData:
        self._sides = data.sides
        return replace(data, grown=self._config)

    def _grown(self, config: ModelConfig, rule: LabelRule) -> ModelConfig:
        """Return the config of a model of all classes of the rule."""
        new = rule.class_values[len(config.class_values) :]
        if config.task == "instances" or not new:
            return config
        names, colours = list(config.class_names), list(config.class_colours)
        for value in new:
            name = self._names.get(value, "").strip()
            names.append(name if name and name not in names else f"class {value}")
        if colours and set(new) <= set(self._colours):
            colours += [self._colours[value] for value in new]
        else:
            colours = []  # all or none: the viewer chooses
        network = config.network.model_copy(
            update={"out_channels": len(rule.class_values)}
        )
        return config.model_copy(
            update={
                "network": network,
                "class_values": rule.class_values,
                "class_names": tuple(names),
                "class_colours": tuple(colours),
            }
        )


def _values(labels: LabelArray, unlabelled: int | None) -> set[int]:
    """Return the values of what is labelled; the rest is not sorted, it may be much."""
    rows = max(1, _SLAB * len(labels) // max(1, labels.size))
    found: set[int] = set()
    for start in range(0, len(labels), rows):
        part = np.asarray(labels[start : start + rows])
        if unlabelled is not None:
            part = part[part != unlabelled]
        found.update(np.unique(part).tolist())
    return found
