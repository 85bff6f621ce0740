"""Pictures of the paper's table: models against each other, IoU against time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from _paper_networks import titles
from _paper_report import COMPARED, Group, Spread, fast_rows, grouped, isolated
from _paper_sets import SETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from matplotlib.axes import Axes

    from _paper_cost import Cost

_OURS, _OTHERS = "#0072b2", "#8a8a8a"  # told apart by colour-blind eyes too
_ISOLATED = "#d55e00"


def draw(
    rows: Sequence[Mapping[str, Any]],
    costs: Mapping[int, Sequence[Cost]],
    output: Path,
) -> None:
    """Write ``table.png`` and ``fast_mode.png``."""
    groups = grouped(rows)
    names = list(dict.fromkeys(name for name, _ in groups))
    figure = _figure(len(names), 3.2)
    for axes, name in zip(figure.axes, names, strict=True):
        of_set = [g for (of, _), g in groups.items() if of == name]
        _models(axes, [g for g in of_set if not g.model.startswith("isolated")])
        axes.set_title(f"{name}: {SETS[name].title}", fontsize=9, loc="left")
    figure.savefig(output / "table.png", dpi=150)
    deep = [name for name in names if (name, "unetpp-ds") in groups]
    if not deep:
        return
    figure = _figure(len(deep), 3.0)
    for axes, name in zip(figure.axes, deep, strict=True):
        _levels(axes, name, groups, costs[SETS[name].spatial_dims])
    figure.savefig(output / "fast_mode.png", dpi=150)


def _figure(n: int, height: float) -> Figure:
    """Return a figure of n axes, two beside each other."""
    columns = min(2, n)
    lines = -(-n // columns)
    figure = Figure(figsize=(5.2 * columns, height * lines), layout="constrained")
    for axes in list(figure.subplots(lines, columns, squeeze=False).flat)[n:]:
        axes.remove()
    return figure


def _models(axes: Axes, groups: Sequence[Group]) -> None:
    """Draw a dot for each seed and a line at the mean, models from top to bottom."""
    for y, group in enumerate(groups):
        values = group.values(COMPARED, group.answers[-1]).values()
        shares = [100 * value for value in values]
        mean = sum(shares) / len(shares)
        colour = _OURS if group.model.startswith("unetpp") else _OTHERS
        axes.plot(shares, [y] * len(shares), "o", color=colour, ms=4, alpha=0.7)
        axes.plot([mean, mean], [y - 0.3, y + 0.3], color=colour, lw=2)
        axes.annotate(f"{mean:.2f}", (mean, y - 0.34), ha="center", fontsize=7)
    axes.set_yticks(range(len(groups)), [titles(9)[g.model] for g in groups])
    axes.tick_params(labelsize=7)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.margins(x=0.08)
    axes.set_ylim(len(groups) - 0.5, -0.8)
    axes.set_xlabel("mean IoU over the classes, %", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _levels(
    axes: Axes,
    name: str,
    groups: Mapping[tuple[str, str], Group],
    costs: Sequence[Cost],
) -> None:
    """Draw IoU against time: levels of the whole network, and trained alone."""
    group = groups[name, "unetpp-ds"]
    seconds = [row["seconds_per_mpx"] for row in fast_rows(group, groups, costs)]
    spreads = [group.spread(COMPARED, answer) for answer in group.answers]
    _points(axes, seconds[:-1], spreads[:-1], "o-", _OURS, "trained whole, pruned")
    _points(axes, seconds[-1:], spreads[-1:], "s", "black", "mean of the heads")
    found = {k: isolated(groups, name, k) for k in range(1, len(seconds))}
    alone = {k: spread for k, spread in found.items() if spread is not None}
    if alone:
        at = [seconds[k - 1] for k in alone]
        _points(axes, at, list(alone.values()), "^--", _ISOLATED, "trained alone")
    axes.set_title(f"{name}: {SETS[name].title}", fontsize=9, loc="left")
    axes.set_xlabel("seconds for a million pixels", fontsize=8)
    axes.set_ylabel("mean IoU, %", fontsize=8)
    axes.set_xlim(left=0)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)


def _points(
    axes: Axes,
    x: Sequence[float],
    spreads: Sequence[Spread],
    form: str,
    colour: str,
    label: str,
) -> None:
    means = [spread.mean for spread in spreads]
    errors = [spread.deviation or 0 for spread in spreads]
    axes.errorbar(
        x, means, errors, fmt=form, color=colour, ms=4, lw=1, capsize=2, label=label
    )
