"""Scores as a table in a CSV file, and the pictures beside it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_unetpp.errors import OutputExistsError
from napari_unetpp.io._disk import beside, disk_errors
from napari_unetpp.io._output import check_outputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_unetpp.io._error_picture import ErrorPicture

_FIRST = ("scope", "image", "head", "shape")
_OF_CLASSES = ("iou", "dice", "precision", "recall", "boundary_f", "n_true", "n_pred")
_PICTURES = "[0-9][0-9]*_*.png"


@dataclass(frozen=True, slots=True)
class ScoreFiles:
    """Where the scores of an evaluation go, beside what it returns.

    Attributes
    ----------
    csv : Path, optional
        Table of all scores.
    pictures : Path, optional
        Folder for pictures of the worst images, numbered from 1.
    overwrite : bool
        Whether files of an earlier evaluation may be replaced.
    """

    csv: Path | None = None
    pictures: Path | None = None
    overwrite: bool = False

    def check(self) -> None:
        """Refuse what cannot be written or is there already, before any work.

        Raises
        ------
        OutputExistsError
            If there is an earlier table, or pictures, and they may not be replaced.
        OutputError
            If a folder cannot be made or written to.
        """
        if self.csv is not None:
            check_outputs([self.csv], self.overwrite)
        if self.pictures is None:
            return
        earlier = sorted(self.pictures.glob(_PICTURES))
        if earlier and not self.overwrite:
            raise OutputExistsError(
                f"{self.pictures} holds pictures of an earlier evaluation"
                f" ({earlier[0].name}), which are not replaced; choose another folder,"
                " or allow it (overwrite=True, --overwrite)"
            )
        with disk_errors(self.pictures):
            self.pictures.mkdir(parents=True, exist_ok=True)

    def write(
        self, report: dict[str, Any], pictures: Sequence[ErrorPicture]
    ) -> list[Path]:
        """Write the table and the pictures; return the files of the pictures.

        Parameters
        ----------
        report : dict
            What `inference.evaluate_images` returns.
        pictures : sequence of ErrorPicture
            The worst first.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        if self.csv is not None:
            write_scores(report, self.csv)
        return [] if self.pictures is None else _write_pictures(self.pictures, pictures)


def write_scores(report: dict[str, Any], path: Path) -> None:
    """Write all scores as a CSV file.

    A row for each image and head, with ``scope`` "image", and one for each head over
    all images, with ``scope`` "all". The mean of the heads is the head "accurate".
    What a row does not have is empty. Measures of one class stand in columns such as
    ``iou:7``, for label value 7, in the rows of all images.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = [*_image_rows(report["images"]), *_total_rows(report)]
    columns = dict.fromkeys((*_FIRST, *(name for row in rows for name in row)))
    with beside(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="")
        writer.writeheader()
        writer.writerows(rows)


def _image_rows(images: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each image and head."""
    for image in images:
        shape = "x".join(map(str, image["shape"]))
        place = {"scope": "image", "image": image["name"], "shape": shape}
        for head in ({"name": "accurate", **_numbers(image)}, *image["heads"]):
            yield {**place, "head": head["name"], **_numbers(head)}


def _total_rows(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for each head, of all images."""
    for head in ({"name": "accurate", **report["accurate"]}, *report["heads"]):
        row = {"scope": "all", "head": head["name"], **_numbers(head)}
        for each in head["classes"]:
            for name in _OF_CLASSES:
                if each.get(name) is not None:
                    row[f"{name}:{each['value']}"] = each[name]
        yield row


def _numbers(scores: dict[str, Any]) -> dict[str, float]:
    """Return the entries that are one number."""
    return {name: v for name, v in scores.items() if isinstance(v, int | float)}


def _write_pictures(folder: Path, pictures: Sequence[ErrorPicture]) -> list[Path]:
    """Write pictures in the place of those of an earlier evaluation."""
    from napari_unetpp.io._error_figure import write_error_picture

    with disk_errors(folder):
        for earlier in folder.glob(_PICTURES):
            earlier.unlink()
    paths = []
    for number, picture in enumerate(pictures, 1):
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in picture.name)
        paths.append(folder / f"{number:02}_{name}.png")
        write_error_picture(paths[-1], picture)
    return paths
