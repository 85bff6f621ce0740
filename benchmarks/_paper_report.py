"""Tables of the runs: means and spreads over the seeds, as CSV and Markdown."""

from __future__ import annotations

import csv
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from _paper_networks import titles
from _paper_sets import SETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from _paper_cost import Cost

METRICS = {
    "iou": "IoU",
    "pooled_iou": "IoU pooled",
    "mean_iou": "mean IoU",
    "pooled_mean_iou": "mean IoU pooled",
    "dice": "Dice",
}
"""Measures of the tables, by the names of `napari_unetpp.nn._metrics.summarise`."""
COMPARED = "mean_iou"
"""The measure by which models are told to differ, and that pictures show."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A number over the seeds, in per cent.

    Attributes
    ----------
    mean : float
        Its mean.
    deviation : float, optional
        Sample standard deviation; ``None`` of one seed.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of shares (0...1) as per cent."""
        shares = [100 * value for value in values]
        spread = statistics.stdev(shares) if len(shares) > 1 else None
        return cls(statistics.mean(shares), spread)

    def __str__(self) -> str:
        if self.deviation is None:
            return f"{self.mean:.2f}"
        return f"{self.mean:.2f} ± {self.deviation:.2f}"

    @property
    def signed(self) -> str:
        """The same of a difference, with its sign."""
        return f"{self.mean:+.2f}" + str(self).removeprefix(f"{self.mean:.2f}")


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one network on one set, a row for each seed."""

    set_name: str
    model: str
    rows: tuple[Mapping[str, Any], ...]

    @property
    def answers(self) -> list[str]:
        """What its networks answer; the last is the one to go by."""
        return list(self.rows[0]["answers"])

    @property
    def kinds(self) -> list[str]:
        """Kinds of images, "all" first."""
        return list(self.rows[0]["scores"])

    def values(self, metric: str, answer: str, kind: str = "all") -> dict[int, float]:
        """Return a measure by seed."""
        return {
            row["request"]["seed"]: row["scores"][kind][answer][metric]
            for row in self.rows
        }

    def spread(self, metric: str, answer: str, kind: str = "all") -> Spread:
        """Return a measure over the seeds."""
        return Spread.of(list(self.values(metric, answer, kind).values()))

    def difference(self, other: Group, kind: str = "all") -> Spread | None:
        """Return by how much it is better than another, seed by seed."""
        mine, theirs = (
            each.values(COMPARED, each.answers[-1], kind) for each in (self, other)
        )
        common = sorted(set(mine) & set(theirs))
        return Spread.of([mine[s] - theirs[s] for s in common]) if common else None


def grouped(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Group]:
    """Return the runs by set and model, in the order of the tables."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        request = row["request"]
        found.setdefault((request["set_name"], request["model"]), []).append(row)
    order = [(name, model) for name in SETS for model in titles(9)]
    return {key: Group(*key, tuple(found[key])) for key in order if key in found}


def write_report(
    rows: Sequence[Mapping[str, Any]],
    costs: Mapping[int, Sequence[Cost]],
    output: Path,
) -> None:
    """Write ``table.csv``, ``fast_mode.csv`` and both as ``tables.md``."""
    groups = grouped(rows)
    _write_csv(output / "table.csv", list(_table_rows(groups)))
    fast = [
        row
        for (name, model), group in groups.items()
        if model == "unetpp-ds"
        for row in fast_rows(group, groups, costs[SETS[name].spatial_dims])
    ]
    if fast:
        _write_csv(output / "fast_mode.csv", fast)
    text = "\n".join([*_tables(groups), *_fast_tables(fast), *_cost_tables(costs)])
    (output / "tables.md").write_text(text)


def _table_rows(groups: Mapping[tuple[str, str], Group]) -> Iterator[dict[str, Any]]:
    """Yield what stands in the CSV: a row for each kind of images and answer."""
    for group in groups.values():
        first = group.rows[0]
        measured = first["scores"]["all"][group.answers[0]]
        wanted = [k for k in measured if k in METRICS or k.startswith("pooled_iou_")]
        for kind in group.kinds:
            for answer in group.answers:
                row: dict[str, Any] = {
                    "set": group.set_name,
                    "split": first["request"]["split"],
                    "images": kind,
                    "model": group.model,
                    "answer": answer,
                    "parameters": first["n_parameters"],
                    "steps": first["request"]["steps"],
                    "seeds": len(group.rows),
                    "test_images": first["n_test"],
                }
                for metric in wanted:
                    spread = group.spread(metric, answer, kind)
                    row[metric] = round(spread.mean, 3)
                    deviation = spread.deviation
                    row[f"{metric}_sd"] = deviation and round(deviation, 3)
                yield row


def fast_rows(
    group: Group,
    groups: Mapping[tuple[str, str], Group],
    costs: Sequence[Cost],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the fast-mode table of one set: every level, then the mean."""
    of = {cost.name: cost for cost in costs}
    best = group.values(COMPARED, "mean")
    for k, answer in enumerate(group.answers, 1):
        cost = of["mean" if answer == "mean" else f"level {k}"]
        values = group.values(COMPARED, answer)
        lost = Spread.of([values[seed] - best[seed] for seed in best])
        alone = isolated(groups, group.set_name, k)
        yield {
            "set": group.set_name,
            "answer": answer,
            "parameters": cost.n_parameters,
            "seconds_per_mpx": round(cost.seconds, 3),
            "time_of_mean": round(cost.seconds / of["mean"].seconds, 3),
            "peak_mb": cost.peak_bytes and round(cost.peak_bytes / 1e6, 1),
            "embedded": str(group.spread(COMPARED, answer)),
            "against_mean": lost.signed,
            "isolated": str(alone) if alone else "",
        }


def isolated(
    groups: Mapping[tuple[str, str], Group], name: str, level: int
) -> Spread | None:
    """Return how good the last head of a level is that was trained on its own."""
    group = groups.get((name, f"isolated-{level}"))
    if group is None:
        return None
    return group.spread(COMPARED, f"head {level}" if level > 1 else "head")


# --- Markdown ---


def _tables(groups: Mapping[tuple[str, str], Group]) -> Iterator[str]:
    for name in dict.fromkeys(name for name, _ in groups):
        own = {model: g for (of, model), g in groups.items() if of == name}
        first = next(iter(own.values()))
        for kind in first.kinds:
            yield from _table(name, kind, own)


def _table(name: str, kind: str, own: Mapping[str, Group]) -> Iterator[str]:
    """Yield one table: a line for each network and answer to go by."""
    first = next(iter(own.values())).rows[0]
    what = "" if kind == "all" else f", {kind}"
    yield f"### {name}{what}: {SETS[name].title}\n"
    yield f"split {first['request']['split']}, {first['n_test']} test images, in %\n"
    columns = ["model", "parameters", *METRICS.values(), "against U-Net"]
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for model, group in own.items():
        if model.startswith("isolated-"):
            continue  # it stands in the table of the fast mode
        answers = group.answers[-1:]
        if model == "unetpp-ds":
            answers = ["mean", group.answers[-2]]
        for answer in answers:
            yield _line(group, answer, kind, own.get("unet"))
    yield ""


def _line(group: Group, answer: str, kind: str, unet: Group | None) -> str:
    title = titles(9)[group.model]
    if len(group.answers) > 1:
        title += f", {answer}" + (" of the heads" if answer == "mean" else "")
    against = ""
    if unet is not None and group is not unet and answer == group.answers[-1]:
        difference = group.difference(unet, kind)
        against = difference.signed if difference else ""
    cells = [str(group.spread(metric, answer, kind)) for metric in METRICS]
    n = f"{group.rows[0]['n_parameters']:,}"
    return f"| {' | '.join([title, n, *cells, against])} |"


def _fast_tables(fast: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name in dict.fromkeys(row["set"] for row in fast):
        yield f"### Fast mode, {name}: mean IoU in %\n"
        own = [row for row in fast if row["set"] == name]
        columns = [
            "answer",
            "parameters",
            "s/Mpx",
            "time",
            "peak MB",
            "embedded",
            "against the mean",
            "isolated",
        ]
        yield f"| {' | '.join(columns)} |"
        yield "|" + "---|" * len(columns)
        for row in own:
            cells = [
                row["answer"],
                f"{row['parameters']:,}",
                f"{row['seconds_per_mpx']:.2f}",
                f"{100 * row['time_of_mean']:.0f} %",
                str(row["peak_mb"] or ""),
                row["embedded"],
                row["against_mean"] if row["answer"] != "mean" else "",
                row["isolated"],
            ]
            yield f"| {' | '.join(cells)} |"
        yield ""


def _cost_tables(costs: Mapping[int, Sequence[Cost]]) -> Iterator[str]:
    """Yield what an answer of each network costs."""
    for dims, of_dims in costs.items():
        yield f"### What an answer costs, {dims}-D\n"
        yield "| answer | parameters | s/Mpx | peak MB |"
        yield "|---|---|---|---|"
        for cost in of_dims:
            peak = f"{cost.peak_bytes / 1e6:.0f}" if cost.peak_bytes else ""
            cells = [cost.name, f"{cost.n_parameters:,}", f"{cost.seconds:.2f}", peak]
            yield f"| {' | '.join(cells)} |"
        yield ""


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(rows)
