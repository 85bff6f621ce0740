"""Draw how tiles and heads work, as SVG: python docs/make_drawings.py."""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).parent / "images"

INK, FAINT, PAPER = "#37474f", "#b0bec5", "#ffffff"
CORE, HALO, REACH = "#0072b2", "#b87a00", "#d55e00"  # told apart by the colour-blind
USED, UNUSED = "#0072b2", "#eceff1"


class Drawing:
    """Shapes in the order in which they are drawn, on paper of a size in pixels."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size = width, height
        self.title = title
        self.shapes: list[str] = []

    def rect(self, x: float, y: float, w: float, h: float, **style: object) -> None:
        self._add("rect", style, x=x, y=y, width=w, height=h)

    def circle(self, x: float, y: float, r: float, **style: object) -> None:
        self._add("circle", style, cx=x, cy=y, r=r)

    def line(self, *points: tuple[float, float], **style: object) -> None:
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        self.path(path, **style)

    def path(self, path: str, **style: object) -> None:
        style = {"fill": "none", "stroke": INK, "stroke_width": 1.5} | style
        self._add("path", style, d=path)

    def text(self, x: float, y: float, words: str, **style: object) -> None:
        style = {"fill": INK, "font_size": 14} | style
        marks = _attributes({"x": x, "y": y} | style)
        self.shapes.append(f"<text {marks}>{words}</text>")

    def _add(self, kind: str, style: dict[str, object], **place: object) -> None:
        self.shapes.append(f"<{kind} {_attributes(place | style)}/>")

    def save(self, name: str) -> None:
        """Write the drawing among the pictures of the docs."""
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / name).write_text(str(self), encoding="utf-8")

    def __str__(self) -> str:
        width, height = self.size
        return "\n".join(
            [
                '<svg xmlns="http://www.w3.org/2000/svg" role="img"'
                f' viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
                ' font-family="Helvetica, Arial, sans-serif">',
                f"<title>{self.title}</title>",
                '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4"'
                ' markerWidth="7" markerHeight="7" orient="auto">'
                f'<path d="M0 0 L8 4 L0 8 z" fill="{INK}"/></marker></defs>',
                f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
                *self.shapes,
                "</svg>\n",
            ]
        )


def _attributes(values: dict[str, object]) -> str:
    return " ".join(
        f'{name.replace("_", "-")}="{value:g}"'
        if isinstance(value, float)
        else f'{name.replace("_", "-")}="{value}"'
        for name, value in values.items()
    )


def draw_tiling() -> Drawing:
    """An image cut into cores; two tiles with their halos; one pixel and its reach."""
    drawing = Drawing(860, 430, "Cores partition the image; a halo is what they need")
    left, top, core, halo = 40, 60, 90, 45
    columns, rows = 4, 3
    drawing.text(left, 36, "An image, cut into cores; two of its tiles")
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * core, top + row * core
            drawing.rect(x, y, core, core, fill="#f5f7f8", stroke=FAINT)
    _tile(drawing, left, top, core, halo, 2, 1, (columns, rows))
    _tile(drawing, left, top, core, halo, 0, 0, (columns, rows))
    drawing.rect(
        left, top, columns * core, rows * core, fill="none", stroke=INK, stroke_width=2
    )
    drawing.text(
        left, top + rows * core + 26, "core: what a tile answers for", fill=CORE
    )
    drawing.text(
        left,
        top + rows * core + 46,
        "halo: what it reads besides, at least as far as",
        fill=HALO,
    )
    drawing.text(left, top + rows * core + 64, "the network sees", fill=HALO)
    drawing.text(left, top + rows * core + 84, "a tile ends where the image ends")
    _close_up(drawing, 470, 60)
    return drawing


def _tile(
    drawing: Drawing,
    left: float,
    top: float,
    core: float,
    halo: float,
    column: int,
    row: int,
    count: tuple[int, int],
) -> None:
    """Draw one tile: its core, and its halo as far as the image reaches."""
    x0 = max(left, left + column * core - halo)
    y0 = max(top, top + row * core - halo)
    x1 = min(left + count[0] * core, left + (column + 1) * core + halo)
    y1 = min(top + count[1] * core, top + (row + 1) * core + halo)
    drawing.rect(x0, y0, x1 - x0, y1 - y0, fill=HALO, fill_opacity=0.25, stroke=HALO)
    x, y = left + column * core, top + row * core
    drawing.rect(x, y, core, core, fill=PAPER)
    drawing.rect(x, y, core, core, fill=CORE, fill_opacity=0.45, stroke=CORE)


def _close_up(drawing: Drawing, left: float, top: float) -> None:
    """Draw a tile at large: the pixel in the corner of its core and what it sees."""
    step, halo, core = 15, 5, 8  # pixels of the drawing; pooling cells
    n = core + 2 * halo
    drawing.text(left, 36, "One tile: all that a pixel of its core sees lies in it")
    drawing.rect(
        left, top, n * step, n * step, fill=HALO, fill_opacity=0.25, stroke=HALO
    )
    inner = left + halo * step, top + halo * step
    size = core * step
    drawing.rect(*inner, size, size, fill=PAPER)
    drawing.rect(*inner, size, size, fill=CORE, fill_opacity=0.45, stroke=CORE)
    for k in range(n + 1):
        style = {"stroke": FAINT, "stroke_width": 0.5}
        drawing.line((left + k * step, top), (left + k * step, top + n * step), **style)
        drawing.line((left, top + k * step), (left + n * step, top + k * step), **style)
    reach = 4 * step
    x, y = inner
    drawing.rect(
        x - reach,
        y - reach,
        2 * reach + step / 2,
        2 * reach + step / 2,
        fill="none",
        stroke=REACH,
        stroke_width=2,
        stroke_dasharray="5 3",
    )
    drawing.rect(x, y, step / 2, step / 2, fill=REACH)
    drawing.text(left, top + n * step + 26, "receptive field of that pixel", fill=REACH)
    drawing.text(
        left, top + n * step + 46, "grid: what is pooled together. Cores and halos are"
    )
    drawing.text(
        left,
        top + n * step + 64,
        "multiples of it, so every tile pools the same pixels",
    )


def draw_heads(depth: int = 4, level: int = 2) -> Drawing:
    """The nodes of UNet++, its heads, and which of them one level needs."""
    drawing = Drawing(960, 560, f"UNet++ of depth {depth}; level {level} in colour")
    place = {
        (i, j): (70.0 + 140 * j + 70 * i, 150.0 + 78 * i)
        for i in range(depth + 1)
        for j in range(depth + 1 - i)
    }
    for (i, j), (x, y) in place.items():
        _edges(drawing, place, i, j, x, y, used=i + j <= level)
    for (i, j), (x, y) in place.items():
        used = i + j <= level
        drawing.circle(x, y, 24, fill=USED if used else UNUSED, stroke=INK)
        drawing.text(
            x,
            y + 5,
            f"X{i},{j}",
            text_anchor="middle",
            fill=PAPER if used else INK,
        )
    _answers(drawing, place, depth, level)
    drawing.text(20, 520, "down: pooling; up: up-sampling", font_size=13)
    drawing.text(20, 540, "right: skip connections, all of a row", font_size=13)
    drawing.text(
        400,
        530,
        f"in colour: level {level}, the nodes with i + j &lt;= {level}. The others are"
        " never computed.",
        font_size=13,
        fill=USED,
    )
    return drawing


def _edges(
    drawing: Drawing,
    place: dict[tuple[int, int], tuple[float, float]],
    i: int,
    j: int,
    x: float,
    y: float,
    *,
    used: bool,
) -> None:
    """Draw what a node is made from: the row to its left, and the node below."""
    style = {"stroke": USED if used else FAINT}
    for k in range(j):
        from_x = place[i, k][0]
        bend = y - 26 - 14 * (j - k - 1) if k < j - 1 else y
        drawing.path(
            f"M{from_x + 17:g} {y - 17 if bend < y else y:g}"
            f" Q{(from_x + x) / 2:g} {bend - 12 if bend < y else y:g}"
            f" {x - 17 if bend < y else x - 25:g} {y - 17 if bend < y else y:g}",
            **style,
        )
    if j:
        below_x, below_y = place[i + 1, j - 1]
        drawing.line((below_x + 13, below_y - 20), (x - 13, y + 20), **style)
    elif i:
        above_x, above_y = place[i - 1, 0]
        drawing.line((above_x + 13, above_y + 20), (x - 13, y - 20), **style)


def _answers(
    drawing: Drawing,
    place: dict[tuple[int, int], tuple[float, float]],
    depth: int,
    level: int,
) -> None:
    """Draw the heads, and what is made of their probabilities."""
    for j in range(1, depth + 1):
        x, y = place[0, j]
        colour = USED if j <= level else FAINT
        drawing.line((x, y - 25), (x, 96), stroke=colour, marker_end="url(#tip)")
        drawing.rect(x - 34, 66, 68, 26, rx=4, fill=PAPER, stroke=colour)
        drawing.text(x, 84, f"head {j}", text_anchor="middle")
        drawing.line((x, 66), (x, 44), stroke=colour)
    first, last = place[0, 1][0], place[0, depth][0]
    drawing.line((first, 44), (last + 60, 44), marker_end="url(#tip)")
    drawing.text(last + 66, 40, "mean of the probabilities: accurate")
    drawing.text(last + 66, 58, "how unsure it is: uncertainty")
    drawing.text(last + 66, 84, "one head alone: fast")
    drawing.text(20, 30, "image", font_size=14)
    drawing.line((70, 38), (70, 124), marker_end="url(#tip)")


def main() -> None:
    """Draw all."""
    draw_tiling().save("tiling.svg")
    draw_heads().save("heads.svg")


if __name__ == "__main__":
    main()
