"""Figures on the pages are those of the code and of the cards of the models."""

from __future__ import annotations

import re
from pathlib import Path

from napari_unetpp import load_model
from napari_unetpp.nn._receptive_field import receptive_field
from napari_unetpp.tiling._grid import halo_for

ROOT = Path(__file__).parents[2]
HOW = ROOT / "docs" / "how-it-works"
CARDS = ROOT / "src" / "napari_unetpp" / "models"


def numbers(path: Path, columns: int) -> list[list[str]]:
    """Return the rows of tables that begin with a number, cut into cells."""
    found = re.findall(r"^ *\| (\d.*) \|$", path.read_text(encoding="utf-8"), re.M)
    rows = [[re.sub("[^0-9.]", "", cell) for cell in row.split(" | ")] for row in found]
    return [row for row in rows if len(row) == columns]


def test_halos_are_those_of_the_network():
    rows = numbers(HOW / "tiling.md", 3)
    config = load_model("nuclei").config.network
    assert len(rows) == config.depth
    for level, seen, halo in (map(int, row) for row in rows):
        radius = receptive_field(config, level)
        assert radius == (seen, seen)
        assert halo_for(radius, (2**level,) * 2) == (halo, halo)


def test_sizes_and_scores_of_the_heads_are_those_of_the_card():
    model = load_model("nuclei")
    card = (CARDS / "nuclei.md").read_text(encoding="utf-8")
    rows = numbers(HOW / "heads.md", 3)
    assert len(rows) == model.network.config.depth
    for head, parameters, ap50 in rows:
        assert model.prune(int(head)).n_parameters == int(parameters)
        scores = re.search(rf"\| head {head} \|(.*)\|", card)[1].split("|")
        assert scores[3].strip() == ap50
