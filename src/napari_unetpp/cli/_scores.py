"""Scores as tables on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS = (
    "iou",
    "mean_iou",
    "dice",
    "boundary_f",
    "ap50",
    "ap75",
    "mean_ap",
    "pq",
    "n_true",
    "n_pred",
)
_OF_CLASSES = ("iou", "dice", "precision", "recall", "boundary_f")
_OF_IMAGES = ("iou", "mean_iou", "boundary_f", "ap50", "pq", "n_true", "n_pred")
_N_WORST = 5


def print_scores(scores: dict[str, Any]) -> None:
    """Print a row for the mean of the heads and each head, then what is behind it.

    Of class models the classes; of instance models how many objects are found, missed,
    ...; of several images those that are worst.
    """
    console = Console(width=max(110, Console().width))
    console.print(_heads(scores))
    if scores["task"] == "classes":
        console.print(_classes(scores["accurate"]["classes"]))
    else:
        console.print(_objects(scores["accurate"]), markup=False, highlight=False)
    if scores["uncertainty"]:
        console.print(_sure(scores["uncertainty"]), markup=False, highlight=False)
    if scores["n_images"] > 1:
        console.print(_worst(scores))


def _heads(scores: dict[str, Any]) -> Table:
    """Return the table of the heads."""
    rows = [("accurate", scores["accurate"])]
    rows += [(head["name"], head) for head in scores["heads"]]
    n = scores["n_images"]
    title = f"{scores['model']}: {n} image{'s' * (n != 1)}"
    return _table(title, rows, [c for c in _COLUMNS if c in scores["accurate"]])


def _classes(classes: Sequence[dict[str, Any]]) -> Table:
    """Return the table of the classes."""
    rows = [(f"{each['value']}  {each['name']}", each) for each in classes]
    columns = [name for name in _OF_CLASSES if name in classes[0]]
    return _table("classes, pixels of all images", rows, columns)


def _worst(scores: dict[str, Any]) -> Table:
    """Return the table of the worst images."""
    order = "ap50" if scores["task"] == "instances" else "mean_iou"
    images = sorted(scores["images"], key=lambda image: image[order])[:_N_WORST]
    rows = [(image["name"], image) for image in images]
    columns = [name for name in _OF_IMAGES if name in images[0]]
    return _table(f"worst images, by {order}", rows, columns)


def _objects(measures: dict[str, Any]) -> str:
    """Return in words how many objects are found, and what is wrong with others."""
    return (
        f"objects: {measures['n_true']:,} true, {measures['n_pred']:,} predicted;"
        f" {measures['n_found']:,} found, {measures['n_missed']:,} missed,"
        f" {measures['n_false']:,} false; {measures['n_split']:,} split,"
        f" {measures['n_merged']:,} merged; number of objects of an image off by"
        f" {measures['count_error']:.2f}"
    )


def _sure(found: dict[str, Any]) -> str:
    """Return in words whether the model knows where it is wrong."""
    names = {"spread": "spread of the heads", "entropy": "entropy of their mean"}
    aurocs = [
        f"{words} {found[name]['auroc']:.4f}"
        for name, words in names.items()
        if found[name] is not None and found[name]["auroc"] is not None
    ]
    error = found["calibration_error"]["accurate"]
    return (
        f"uncertainty: {found['n_pixels']:,} pixels, {found['error_rate'] or 0:.2%}"
        f" wrong; AUROC of finding them: {', '.join(aurocs) or '-'}; calibration error"
        f" {_words(error)}"
    )


def _table(
    title: str, rows: Sequence[tuple[str, dict[str, Any]]], columns: Sequence[str]
) -> Table:
    """Return a table of some measures of each row."""
    table = Table("", *columns, title=escape(title))
    for name, measures in rows:
        cells = (_words(measures.get(column)) for column in columns)
        table.add_row(escape(name), *cells)
    return table


def _words(value: float | None) -> str:
    """Return a share with four digits, a number as it is, nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
