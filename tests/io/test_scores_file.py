"""Scores as a table, and pictures of errors."""

import csv

import numpy as np
import pytest
from PIL import Image as Pillow

from napari_unetpp.errors import OutputExistsError
from napari_unetpp.io._error_figure import write_error_picture
from napari_unetpp.io._error_picture import ERROR_COLOURS, ErrorPicture
from napari_unetpp.io._scores_file import ScoreFiles, write_scores
from napari_unetpp.nn._object_errors import OBJECT_ERRORS, ErrorKind


def scores(iou):
    return {"iou": iou, "ap50": iou, "n_true": 3}


def classes(iou):
    return [{"value": 7, "name": "cell", "iou": iou, "precision": None, "n_true": 5}]


REPORT = {
    "accurate": {**scores(0.5), "classes": classes(0.4), "class_iou": {"7": 0.4}},
    "heads": [{"name": "head 1", **scores(0.25), "classes": classes(0.2)}],
    "images": [
        {"name": "a, b", "shape": [4, 5], **scores(1.0), "heads": [
            {"name": "head 1", **scores(0.75)}]},
    ],
}  # fmt: skip


def test_a_table_has_a_row_for_each_image_and_head(tmp_path):
    write_scores(REPORT, tmp_path / "scores.csv")

    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = [(row["scope"], row["image"], row["head"], row["iou"]) for row in rows]
    assert places == [
        ("image", "a, b", "accurate", "1.0"),
        ("image", "a, b", "head 1", "0.75"),
        ("all", "", "accurate", "0.5"),
        ("all", "", "head 1", "0.25"),
    ]
    assert [row["shape"] for row in rows] == ["4x5", "4x5", "", ""]
    assert [row["iou:7"] for row in rows] == ["", "", "0.4", "0.2"]
    assert "precision:7" not in rows[0]
    assert [row["n_true:7"] for row in rows][2:] == ["5", "5"]


def picture_of(kind, n_right=1, name="cells"):
    """An object of 6 by 6 pixels in an image of 40 by 50."""
    labels = np.zeros((40, 50), np.uint16)
    labels[10:16, 20:26] = 3
    kinds = np.where(labels > 0, np.uint8(kind), np.uint8(0))
    true, found = (
        (labels, 0 * labels) if kind == ErrorKind.MISSED else (0 * labels,) * 2
    )
    found = labels if kind in (ErrorKind.FALSE, ErrorKind.FOUND) else found
    return ErrorPicture(
        name=name,
        place="Z 3",
        scores="AP50 0.500",
        image=np.full((40, 50), 100, np.uint8),
        true=true,
        found=found,
        true_kinds=np.where(true > 0, kinds, 0),
        found_kinds=np.where(found > 0, kinds, 0),
        counts=dict.fromkeys(OBJECT_ERRORS, 2),
        n_right=n_right,
    )


def colours_of(path):
    """Number of pixels of each colour, above the legend."""
    image = Pillow.open(path).convert("RGB")
    pixels = np.asarray(image)[: 14 * 40].astype(int) @ (1 << 16, 1 << 8, 1)
    found = np.unique(pixels, return_counts=True)
    return {f"#{colour:06x}": n for colour, n in zip(*found, strict=True)}


@pytest.mark.parametrize("kind", [ErrorKind.MISSED, ErrorKind.FALSE])
def test_an_error_is_drawn_in_its_colour(kind, tmp_path):
    write_error_picture(tmp_path / "one.png", picture_of(kind))

    found = colours_of(tmp_path / "one.png")

    assert found[ERROR_COLOURS[kind]] >= 4 * 6 * 14 - 4  # enlarged 14 times
    for other in ERROR_COLOURS.values():
        assert other == ERROR_COLOURS[kind] or other not in found


def test_objects_that_are_right_are_not_in_the_colour_of_an_error(tmp_path):
    write_error_picture(tmp_path / "one.png", picture_of(ErrorKind.FOUND))

    assert not set(ERROR_COLOURS.values()) & set(colours_of(tmp_path / "one.png"))


def test_legend_and_title_say_what_is_seen():
    picture = picture_of(ErrorKind.MISSED)

    words = [words for _, words in picture.legend]
    assert picture.title == "cells (Z 3): AP50 0.500"
    assert words[0] == "missed: 2"
    assert words[-1] == "right: 1"


def test_pictures_are_numbered_and_replace_earlier_ones(tmp_path):
    folder = tmp_path / "worst"
    files = ScoreFiles(tmp_path / "scores.csv", folder)
    files.check()
    pictures = [picture_of(ErrorKind.MISSED, name=name) for name in ("a/b c", "d")]
    written = files.write(REPORT, pictures)
    assert [path.name for path in written] == ["01_a-b-c.png", "02_d.png"]
    (folder / "mine.png").touch()

    with pytest.raises(OutputExistsError, match=r"scores\.csv"):
        files.check()
    with pytest.raises(OutputExistsError, match=r"01_a-b-c\.png"):
        ScoreFiles(None, folder).check()

    again = ScoreFiles(tmp_path / "scores.csv", folder, overwrite=True)
    again.check()
    again.write(REPORT, pictures[1:])
    assert sorted(path.name for path in folder.iterdir()) == ["01_d.png", "mine.png"]
