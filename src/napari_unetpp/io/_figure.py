"""A picture of an image beside what was found in it, as one PNG file.

Each row of the figure is an image, each panel of it a view: the image, the image with
its objects outlined and tinted, or a map such as a probability::

    image | labels | head 1 | ... | head L | mean | uncertainty
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from napari_unetpp.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_unetpp._types import LabelArray

    Pixels = npt.NDArray[np.uint8]

PROBABILITY_COLOURS = (
    (68, 1, 84),
    (59, 82, 139),
    (33, 145, 140),
    (94, 201, 98),
    (253, 231, 37),
)
"""Dark violet for 0, yellow for the top; told apart by the colour-blind too."""

UNSURE_COLOURS = (
    (0, 0, 4),
    (81, 18, 124),
    (183, 55, 121),
    (252, 137, 97),
    (252, 253, 191),
)
"""Black for 0, bright for the top."""

_EDGE = 280  # pixels of a panel's height
_CAPTION = 26  # pixels of the strip above it
_GAP = 6


@dataclass(frozen=True, slots=True)
class Panel:
    """One view and the words above it; `pixels` is (Y, X, 3) of uint8."""

    caption: str
    pixels: Pixels


def image_panel(caption: str, image: npt.NDArray[np.generic]) -> Panel:
    """Show an image of shape (Y, X) or (Y, X, 3), grey ones from dark to bright."""
    return Panel(caption, _to_rgb(image))


def labels_panel(
    caption: str, image: npt.NDArray[np.generic], labels: LabelArray
) -> Panel:
    """Show an image with its objects, `labels` of shape (Y, X), tinted and outlined."""
    pixels = _to_rgb(image)
    found = labels > 0
    rng = np.random.default_rng(0)
    colours = rng.integers(64, 256, (int(labels.max(initial=0)) + 1, 3), np.uint8)
    tint = colours[labels[found]]
    pixels[found] = (0.6 * pixels[found] + 0.4 * tint).astype(np.uint8)
    outline = find_boundaries(labels, mode="inner")
    pixels[outline] = colours[labels[outline]]
    return Panel(caption, pixels)


def map_panel(
    caption: str,
    values: npt.NDArray[np.floating],
    colours: Sequence[tuple[int, int, int]] = PROBABILITY_COLOURS,
    top: float = 1.0,
) -> Panel:
    """Show values of shape (Y, X) from 0 (first colour) to `top` (last colour)."""
    stops = np.linspace(0.0, top, len(colours))
    channels = [np.interp(values, stops, c) for c in zip(*colours, strict=True)]
    return Panel(caption, np.stack(channels, axis=-1).astype(np.uint8))


def write_figure(path: Path, rows: Sequence[Sequence[Panel]]) -> None:
    """Write rows of panels to a PNG file, replacing what is there.

    Parameters
    ----------
    path : Path
        File to make.
    rows : sequence of sequences of Panel
        Panels from left to right, rows from top to bottom.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    strips = [_strip(panels) for panels in rows]
    size = max(s.width for s in strips), sum(s.height for s in strips)
    figure = Pillow.new("RGB", size, "white")
    top = 0
    for strip in strips:
        figure.paste(strip, (0, top))
        top += strip.height
    save_figure(figure, path)


def save_figure(figure: Pillow.Image, path: Path) -> None:
    """Write a drawn figure to a PNG file, replacing what is there.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        figure.save(path, format="PNG")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: the figure could not be written ({error}); check the folder and"
            " the free space of its disk"
        ) from error


def _strip(panels: Sequence[Panel]) -> Pillow.Image:
    """Set panels side by side, their captions above them."""
    views = [_resized(panel.pixels) for panel in panels]
    width = sum(view.width + _GAP for view in views) + _GAP
    strip = Pillow.new("RGB", (width, _CAPTION + _EDGE), "white")
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=15)
    left = _GAP
    for panel, view in zip(panels, views, strict=True):
        draw.text((left, 5), panel.caption, fill="black", font=font)
        strip.paste(view, (left, _CAPTION))
        left += view.width + _GAP
    return strip


def _resized(pixels: Pixels) -> Pillow.Image:
    """Return the pixels as a picture of the height of a panel."""
    height, width = pixels.shape[:2]
    return Pillow.fromarray(pixels).resize((max(_EDGE * width // height, 1), _EDGE))


def _to_rgb(image: npt.NDArray[np.generic]) -> Pixels:
    """Return (Y, X, 3) of uint8; grey images are stretched to their own range."""
    if image.ndim == 3:
        return np.array(image[..., :3], np.uint8)
    grey = image.astype(np.float32)
    low, high = np.percentile(grey, (0.5, 99.8))
    grey = np.clip((grey - low) / max(high - low, 1e-6), 0.0, 1.0)
    return np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
