"""Labels of an image as the truth, and labels that were compared with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unetpp.arrays import (
    IGNORE,
    LabelRule,
    known_class_index,
    labelled_mask,
    to_class_index,
)
from napari_unetpp.inference._labelling import label_values
from napari_unetpp.nn._metrics import (
    BOUNDARY_TOLERANCE,
    ImageScore,
    class_boundaries,
    confusion_matrix,
    match_instances,
    object_boundaries,
)
from napari_unetpp.nn._object_errors import (
    FOUND_IOU,
    ErrorKind,
    class_error_map,
    object_error_map,
    object_errors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray
    from napari_unetpp.config import ModelConfig, Task
    from napari_unetpp.nn._object_errors import ObjectErrors

    Kinds = npt.NDArray[np.uint8]

_OBJECTS = ("background", "objects")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What label values mean, and how they are compared.

    Attributes
    ----------
    task : {"instances", "classes"}
        Whether they number objects or classes.
    values : tuple of int
        Label value of each class, (0, 1) standing for the background and all objects.
    names : tuple of str
        What each of them is called.
    background : bool
        Whether class 0 is all that is not looked for, rather than a class as others.
    tolerance : float
        Distance in pixels up to which two outlines are taken for the same.
    """

    task: Task
    values: tuple[int, ...]
    names: tuple[str, ...]
    background: bool = True
    tolerance: float = BOUNDARY_TOLERANCE

    @classmethod
    def of_model(
        cls, config: ModelConfig, tolerance: float = BOUNDARY_TOLERANCE
    ) -> Meaning:
        """Return what the labels of a model mean."""
        if config.task == "instances":
            return cls.of_objects(tolerance)
        names = config.class_names
        background = len(names) == 1 or names[0] == "background"
        names = names if len(names) > 1 else ("background", *names)
        return cls("classes", label_values(config), names, background, tolerance)

    @classmethod
    def of_objects(cls, tolerance: float = BOUNDARY_TOLERANCE) -> Meaning:
        """Return what object ids mean."""
        return cls("instances", (0, 1), _OBJECTS, tolerance=tolerance)

    @classmethod
    def of_classes(
        cls,
        values: Sequence[int],
        tolerance: float = BOUNDARY_TOLERANCE,
        *,
        background: bool,
    ) -> Meaning:
        """Return what class values mean that have no names; 0 may be background."""
        names = tuple(
            "background" if background and value == 0 else f"class {value}"
            for value in values
        )
        return cls("classes", tuple(values), names, background, tolerance)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Labels of an image as object ids or class indices, `IGNORE` where unlabelled."""

    values: LabelArray
    meaning: Meaning

    @classmethod
    def of(
        cls, labels: LabelArray, name: str, meaning: Meaning, unlabelled: int | None
    ) -> Truth:
        """Take labels in.

        Parameters
        ----------
        labels : array of int, (*S)
            As somebody made them.
        name : str
            What their image is called in messages.
        meaning : Meaning
            What they number.
        unlabelled : int, optional
            Label value of pixels that nobody labelled.

        Raises
        ------
        LabelsError
            If a value is none of the classes.
        """
        values = np.asarray(labels).astype(np.int64)
        rule = LabelRule(meaning.values, unlabelled)
        if meaning.task == "classes":
            return cls(to_class_index(values, rule, name), meaning)
        return cls(np.where(labelled_mask(values, rule), values, IGNORE), meaning)

    def compare(self, found: LabelArray) -> Compared:
        """Compare labels with these, which have the same shape.

        Of classes, pixels with a value that is none of them are ignored.
        """
        meaning = self.meaning
        if meaning.task == "classes":
            index = known_class_index(found, LabelRule(meaning.values, None))
            n = len(meaning.values)
            score = ImageScore(
                confusion_matrix(self.values, index, n),
                boundary=class_boundaries(self.values, index, n, meaning.tolerance),
            )
            return Compared(self, index, score)
        objects = np.asarray(found)
        score = ImageScore(
            confusion_matrix(np.sign(self.values), objects > 0, 2),  # `IGNORE` stays
            match_instances(self.values, objects),
            object_boundaries(self.values, objects, meaning.tolerance),
        )
        return Compared(self, objects, score)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Labels that were compared with the truth.

    Attributes
    ----------
    truth : Truth
        What is right.
    found : array of int, (*S)
        Object ids or class indices.
    score : ImageScore
        What the measures are made of.
    """

    truth: Truth
    found: LabelArray
    score: ImageScore

    def object_errors(self, threshold: float = FOUND_IOU) -> ObjectErrors | None:
        """Return what is wrong with each object; ``None`` for classes."""
        match = self.score.instances
        return None if match is None else object_errors(match, threshold)

    def kinds(self, threshold: float = FOUND_IOU) -> Kinds:
        """Return the `ErrorKind` of every pixel, (*S)."""
        errors = self.object_errors(threshold)
        if errors is not None:
            return object_error_map(self.truth.values, self.found, errors)
        background = self.truth.meaning.background
        return class_error_map(self.truth.values, self.found, background=background)

    def said(
        self, threshold: float = FOUND_IOU
    ) -> tuple[LabelArray, dict[int, tuple[ErrorKind, str]]]:
        """Return what is wrong with every pixel, and what to call it.

        Parameters
        ----------
        threshold : float
            IoU from which two objects are partners.

        Returns
        -------
        array of unsigned int, (*S)
            0 where a pixel is right or ignored. Objects: its `ErrorKind`. Classes: a
            number of its own for each pair of true and found class.
        dict of int to (ErrorKind, str)
            What each number that occurs stands for.
        """
        kinds = self.kinds(threshold)
        if self.score.instances is not None:
            there = [ErrorKind(int(kind)) for kind in np.unique(kinds[kinds > 0])]
            return kinds, {int(kind): (kind, kind.words) for kind in there}
        true, found, n = self.truth.values, self.found, len(self.truth.meaning.values)
        codes = np.where(kinds > 0, 1 + true * n + found, 0)
        codes = codes.astype(np.min_scalar_type(n * n))
        present = np.unique(codes[codes > 0])
        return codes, {int(code): self._pair(int(code) - 1, n) for code in present}

    def _pair(self, code: int, n: int) -> tuple[ErrorKind, str]:
        """Return what a pair of classes is called."""
        names, (true, found) = self.truth.meaning.names, divmod(code, n)
        if self.truth.meaning.background and found == 0:
            return ErrorKind.MISSED, f"missed: {names[true]}"
        if self.truth.meaning.background and true == 0:
            return ErrorKind.FALSE, f"false: {names[found]}"
        return ErrorKind.CONFUSED, f"{names[true]} taken for {names[found]}"
