"""A picture of what is wrong with the labels of an image, as a PNG file.

::

    name, place: scores
    image | image with its errors
    legend: colour, kind of error, how many

Objects that are wrong are drawn in the colour of their error: the true one as a tint
with a thin outline, the found one as a thick outline. Objects that are right have a
thin white outline. Pixels of a wrong class are tinted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from napari_unetpp.io._error_picture import ERROR_COLOURS, RIGHT
from napari_unetpp.io._figure import image_panel, save_figure
from napari_unetpp.nn._metrics_boundary import near, outlines

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp.io._error_picture import ErrorPicture

    Pixels = npt.NDArray[np.uint8]

_WANTED_EDGE = 720  # small images are enlarged to about this many pixels
_GAP = 8
_LINE = 22  # height of a line of text
_TINT = 0.4
_CLASS_TINT = 0.65
_RIGHT_TINT = 0.55  # white outlines of what is right, not to outshine the rest


def write_error_picture(path: Path, picture: ErrorPicture) -> None:
    """Write a picture to a PNG file, replacing what is there.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    factor = max(1, _WANTED_EDGE // max(picture.image.shape))
    plain = _enlarged(image_panel("", picture.image).pixels, factor)
    views = [plain, _marked(plain, picture, factor)]
    height, width = plain.shape[:2]
    font = ImageFont.load_default(size=15)
    lines = _legend_lines(picture, font, 2 * width + _GAP)
    size = 2 * width + 3 * _GAP, height + 2 * _GAP + _LINE * (2 + len(lines))
    figure = Pillow.new("RGB", size, "white")
    draw = ImageDraw.Draw(figure)
    draw.text((_GAP, _GAP // 2), picture.title, fill="black", font=font)
    for i, view in enumerate(views):
        place = _GAP + i * (width + _GAP), _LINE + _GAP
        figure.paste(Pillow.fromarray(view), place)
    top = height + _LINE + 2 * _GAP
    for line in lines:
        _draw_legend(draw, line, (_GAP, top), font)
        top += _LINE
    draw.text((_GAP, top), picture.note, fill="black", font=font)
    save_figure(figure, path)


def _marked(plain: Pixels, picture: ErrorPicture, factor: int) -> Pixels:
    """Return the enlarged image with its errors drawn over it."""
    true, found, true_kinds, found_kinds = (
        _enlarged(each, factor)
        for each in (
            picture.true,
            picture.found,
            picture.true_kinds,
            picture.found_kinds,
        )
    )
    pixels = plain.copy()
    tint = _CLASS_TINT if picture.n_right is None else _TINT
    for kind, colour in ERROR_COLOURS.items():
        _blend(pixels, true_kinds == kind, _rgb(colour), tint)
    true_lines = outlines(true)
    found_lines = outlines(found)
    right = found_lines & (found_kinds == 0)
    _blend(pixels, right, _rgb(RIGHT), _RIGHT_TINT)
    for kind, colour in ERROR_COLOURS.items():
        _blend(pixels, true_lines & (true_kinds == kind), _rgb(colour), 1.0)
    for kind, colour in ERROR_COLOURS.items():
        thick = near(found_lines & (found_kinds == kind), 1.0)
        _blend(pixels, thick, _rgb(colour), 1.0)
    return pixels


def _enlarged(array: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """Return an array with each pixel repeated."""
    if factor == 1:
        return array
    return array.repeat(factor, axis=0).repeat(factor, axis=1)


def _blend(
    pixels: Pixels,
    where: npt.NDArray[np.bool_],
    colour: tuple[int, int, int],
    share: float,
) -> None:
    """Mix a colour into some pixels, in place."""
    mixed = (1 - share) * pixels[where] + share * np.array(colour)
    pixels[where] = mixed.astype(np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    """Return "#rrggbb" as three numbers."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def _legend_lines(
    picture: ErrorPicture, font: Any, width: int
) -> list[list[tuple[str, str, float]]]:
    """Return lines of (colour, words, width) that fit into the picture."""
    lines: list[list[tuple[str, str, float]]] = [[]]
    used = 0.0
    for colour, words in picture.legend:
        own = font.getlength(words) + 2 * _LINE
        if lines[-1] and used + own > width:
            lines.append([])
            used = 0.0
        lines[-1].append((colour, words, own))
        used += own
    return lines


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    line: list[tuple[str, str, float]],
    place: tuple[int, int],
    font: Any,
) -> None:
    """Draw a patch of each colour and the words behind it."""
    left, top = float(place[0]), place[1]
    for colour, words, width in line:
        box = (left, top + 3, left + 14, top + 17)
        draw.rectangle(box, fill=colour, outline="black")
        draw.text((left + _LINE, top), words, fill="black", font=font)
        left += width
